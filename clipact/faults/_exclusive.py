"""At most one injection at a time in a tensor."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor

from clipact.errors import FaultError
from clipact.faults._region import Region
from clipact.faults._targets import TargetTensor

# The mark lives on the storage, which all tensors that share it see and nothing else does.
_MARK = "_clipact_faulted_regions"


@contextmanager
def exclusive(tensors: Sequence[TargetTensor]) -> Iterator[None]:
    """Mark the tensors as being injected into, for the length of a block.

    Raises:
        FaultError: One of them already is; nothing is marked then.
    """
    regions = [(item.tensor, Region.of(item.tensor)) for item in tensors]
    for item, (tensor, region) in zip(tensors, regions, strict=True):
        if any(region.overlaps(other) for other in _marks(tensor)):
            raise FaultError(
                f"{item.name} has faults from another inject() already; leave that block first, or combine the targets"
                " with |"
            )
    storages = [(tensor.untyped_storage(), region) for tensor, region in regions]
    try:
        for storage, region in storages:
            setattr(storage, _MARK, [*getattr(storage, _MARK, []), region])
        yield
    finally:
        for storage, region in storages:
            marks = [mark for mark in getattr(storage, _MARK, []) if mark != region]
            setattr(storage, _MARK, marks)


def _marks(tensor: Tensor) -> list[Region]:
    return getattr(tensor.untyped_storage(), _MARK, [])
