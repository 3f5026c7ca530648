"""Where samples are in the values of a forward, and how some of them are taken by themselves."""

from collections.abc import Sequence
from typing import final

from torch import Tensor
from torch.utils import _pytree as pytree

from clipact.faults._replay._arguments import Given
from clipact.faults._replay._structure import Structure
from clipact.faults._replay._trace import NOWHERE, Touch
from clipact.faults._replay._values import is_plain

__all__ = ["Batch", "may_split", "select", "size_of"]


@final
class Batch:
    """Which dimension of each value is that of the samples, as a forward of fewer samples showed.

    Args:
        size: Number of samples.
        axes: Of each call, of each tensor that it returned: the dimension; None if it is the same for all samples.
    """

    def __init__(self, size: int, axes: Sequence[Sequence[int | None]]) -> None:
        self.size, self.axes = size, axes

    def arguments(self, given: Given, rows: Tensor) -> Given:
        """Those of some samples."""

        def pick(tensor: Tensor) -> Tensor:
            return select(tensor, 0 if _is_batch(tensor, self.size) else None, rows)

        args, kwargs = pytree.tree_map_only(Tensor, pick, given)
        return args, kwargs


def select(tensor: Tensor, axis: int | None, rows: Tensor) -> Tensor:
    """Some samples of a tensor, in the same order of dimensions in memory."""
    if axis is None:
        return tensor
    order = sorted(range(tensor.dim()), key=lambda dim: -tensor.stride(dim))
    back = [order.index(dim) for dim in range(tensor.dim())]
    rows = rows.to(tensor.device)
    return tensor.permute(order).index_select(order.index(axis), rows).permute(back)


def size_of(given: Given) -> int:
    """Number of samples, if the first tensor among the arguments of a forward has them first; else 0."""
    tensors = [leaf for leaf in pytree.tree_leaves(given) if is_plain(leaf) and leaf.dim()]
    return len(tensors[0]) if tensors else 0


def _is_batch(tensor: Tensor, size: int) -> bool:
    return tensor.dim() > 0 and len(tensor) == size


def may_split(structure: Structure) -> bool:
    """Whether a forward may be begun anew, and cannot find out from its values how many samples there are."""
    outside = any(
        use.touch is Touch.WRITE and structure.created[use.storage] == NOWHERE
        for use in structure.trace.uses
    )
    return not (structure.stateful or outside or structure.trace.decisions)
