"""Bytes of tensors and arrays in one file, which any number of processes map and share."""

import mmap
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple, final

import torch
from torch import Tensor, UntypedStorage

_ALIGNMENT: Final = 64  # as torch's own allocator aligns


class Place(NamedTuple):
    """Where in the file some bytes are."""

    offset: int
    size: int


@final
class MemoryWriter:
    """Puts bytes one after another into a new file."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("xb")
        self._end = 0

    def write(self, content: memoryview) -> Place:
        """Append bytes, aligned."""
        start = -(-self._end // _ALIGNMENT) * _ALIGNMENT
        self._file.seek(start)
        self._file.write(content)
        self._end = start + content.nbytes
        return Place(start, content.nbytes)

    def close(self) -> None:
        """No more is to come."""
        self._file.close()


@final
class MappedMemory:
    """The file, mapped so that pages are shared until they are written to; what is written stays in this process."""

    def __init__(self, file: Path) -> None:
        self._map: mmap.mmap | None = None
        if file.stat().st_size:  # an empty file cannot be mapped
            with file.open("rb") as opened:
                self._map = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY)

    def storage(self, place: Place) -> UntypedStorage:
        """The storage whose bytes are at this place."""
        if not place.size or self._map is None:
            return UntypedStorage(0)
        found = torch.frombuffer(
            self._map, dtype=torch.uint8, count=place.size, offset=place.offset
        )
        return found.untyped_storage()

    def buffers(self, places: Iterable[Place]) -> Iterable[memoryview]:
        """The bytes at these places, one after another."""
        whole = memoryview(b"" if self._map is None else self._map)
        return (whole[place.offset : place.offset + place.size] for place in places)

    def discard_changes(self) -> None:
        """Everything is again as in the file, and pages that were written to are shared again. Only on Linux."""
        if sys.platform == "linux" and self._map is not None:
            self._map.madvise(mmap.MADV_DONTNEED)


def storage_bytes(storage: UntypedStorage) -> memoryview:
    """The bytes of a storage on any device; nothing is copied where it is in main memory."""
    view: Tensor = torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
    content: Any = view.cpu().numpy()
    return memoryview(content)
