"""What happened while thresholds were trained."""

from collections.abc import Iterable, Mapping
from typing import Any, final

from clipact._frame import data_frame
from clipact._text import aligned

__all__ = ["History"]


@final
class History(list[dict[str, Any]]):
    """One dictionary an attempt or epoch, in order; ``print(history)`` shows them as a table.

    Args:
        rows: With the same keys each.

    Examples:
        >>> print(History([{"epoch": 1, "loss": 0.25}, {"epoch": 2, "loss": 0.125}]))
        epoch   loss
        ------------
        1       0.25
        2      0.125
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        super().__init__(dict(row) for row in rows)

    def to_pandas(self) -> Any:
        """A data frame with a row an entry.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return data_frame(list(self))

    def __str__(self) -> str:
        if not self:
            return "nothing was trained"
        header = list(self[0])
        return aligned(header, [[_shown(row.get(name)) for name in header] for row in self])


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
