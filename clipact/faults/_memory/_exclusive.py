"""At most one injection at a time in a tensor."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager

from torch import UntypedStorage

from clipact.errors import FaultError
from clipact.faults._memory._region import Region
from clipact.faults._memory._tensors import TargetTensor

# The mark lives on the storage, which all tensors that share it see and nothing else does.
_MARK = "_clipact_faulted_regions"


@contextmanager
def exclusive(tensors: Sequence[TargetTensor]) -> Generator[None]:
    """Mark the tensors as being injected into, for the length of a block.

    Raises:
        FaultError: One of them already is; nothing is marked then.
    """
    for item in tensors:
        if any(item.region.overlaps(other) for other in _marks(item.tensor.untyped_storage())):
            raise FaultError(
                f"{item.name} has faults from another inject() already; leave that block first, or combine the targets"
                " with |"
            )
    storages = [(item.tensor.untyped_storage(), item.region) for item in tensors]
    try:
        for storage, region in storages:
            setattr(storage, _MARK, [*_marks(storage), region])
        yield
    finally:
        # as in undoing faults: Ctrl-C must not leave a mark, and to clear twice does no harm
        try:
            _clear(storages)
        except BaseException:
            _clear(storages)
            raise


def _clear(storages: Sequence[tuple[UntypedStorage, Region]]) -> None:
    for storage, region in storages:
        setattr(storage, _MARK, [mark for mark in _marks(storage) if mark != region])


def _marks(storage: UntypedStorage) -> list[Region]:
    return getattr(storage, _MARK, [])
