"""A progress bar where tqdm is installed, the bare iterable where it is not."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def track(
    items: Iterable[Item], *, label: str, total: int | None = None, show: bool = True
) -> Iterator[Item]:
    """Iterate over ``items`` behind a progress bar on standard error.

    Args:
        items: What to go through.
        label: What the bar says is being done.
        total: Number of items, if ``len(items)`` does not tell.
        show: False for no bar.
    """
    if show:
        try:
            from tqdm.auto import tqdm  # noqa: PLC0415 - optional, and slow to import
        except ImportError:
            show = False
        else:
            yield from tqdm(items, desc=label, total=total, leave=False, dynamic_ncols=True)
            return
    yield from items
