"""Rows as a data frame, where pandas is installed."""

from typing import TYPE_CHECKING, Any

from clipact.errors import MissingExtraError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["data_frame"]


def data_frame(data: Any) -> "pd.DataFrame":
    """A data frame of rows, each a mapping, or of a mapping of columns.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    try:
        import pandas as pd  # noqa: PLC0415 - optional, and slow to import
    except ImportError:
        raise MissingExtraError("to_pandas() needs pandas: pip install 'clipact[pandas]'") from None
    return pd.DataFrame(data)
