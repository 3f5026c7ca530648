"""Tasks in flight; whichever is done first comes out first."""

from collections.abc import Iterator
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, TypeVar, final

Item = TypeVar("Item")
Reply = TypeVar("Reply")

_GLANCE: Final = 1.0  # seconds; some systems deliver Ctrl-C only between waits


@final
class Window(Generic[Item, Reply]):
    """Futures that are not done, each with what it is of."""

    def __init__(self) -> None:
        self._flying: dict[Future[Reply], Item] = {}
        self._done: SimpleQueue[Future[Any]] = SimpleQueue()

    def add(self, item: Item, future: Future[Reply]) -> None:
        """One more."""
        self._flying[future] = item
        future.add_done_callback(self._done.put)

    def take(self) -> tuple[Item, Future[Reply]]:
        """Wait for one that is done, and have it out."""
        while True:
            try:
                future: Future[Reply] = self._done.get(timeout=_GLANCE)
            except Empty:
                continue
            return self._flying.pop(future), future

    def cancel(self) -> None:
        """Cancel those that have not begun, and forget them all."""
        for future in self._flying:
            future.cancel()
        self._flying.clear()

    def __len__(self) -> int:
        return len(self._flying)

    def __iter__(self) -> Iterator[Item]:
        return iter(self._flying.values())
