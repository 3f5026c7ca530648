"""The values that each element of a threshold decides about."""

from typing import Final

from torch import Tensor, nn

from clipact.errors import SelectionError, SparsityError
from clipact.nn import CST, CReLU, ShiftedReLU, SoftThreshold
from clipact.where import Candidate, Where, select

__all__ = ["Thresholded", "rows_of", "shared_axes", "sides_of", "thresholded"]

Thresholded = CReLU | CST | ShiftedReLU | SoftThreshold
_KINDS: Final = (CReLU, CST, ShiftedReLU, SoftThreshold)


def thresholded(model: nn.Module, where: Where | None) -> dict[str, Thresholded]:
    """The activations with a ``tau``, by path; each module once.

    Raises:
        SelectionError: There is none, or ``where`` picks none.
        SparsityError: Two of them share a ``tau``.
    """
    found = {path: module for path, module in model.named_modules() if isinstance(module, _KINDS)}
    if not found:
        names = ", ".join(kind.__name__ for kind in _KINDS)
        raise SelectionError(
            f"{type(model).__name__} has no activation with a tau ({names}); put some in with replace_activations() first"
        )
    candidates = [Candidate(path, type(module)) for path, module in found.items()]
    chosen = select(where, candidates, what="activations with a tau")
    first: dict[int, str] = {}
    for each in chosen:
        other = first.setdefault(id(found[each.name].tau), each.name)
        if other != each.name:
            raise SparsityError(
                f"{other} and {each.name} have one and the same tau, which cannot give each the sparsity that is wanted; give "
                "each its own, or choose one with where="
            )
    return {each.name: found[each.name] for each in chosen}


def sides_of(module: Thresholded) -> int:
    """Whether the activation cuts on one side or on two."""
    return 2 if isinstance(module, (CST, SoftThreshold)) else 1


def shared_axes(x: Tensor, threshold: Tensor) -> tuple[int, ...]:
    """The axes of ``x`` along which one element of the threshold counts for all.

    Examples:
        >>> import torch
        >>> shared_axes(torch.zeros(8, 3, 4, 4), torch.zeros(3, 1, 1))
        (0, 2, 3)
    """
    missing = x.dim() - threshold.dim()
    if threshold.numel() == 1:
        return tuple(range(x.dim()))
    return tuple(
        axis for axis in range(x.dim()) if axis < missing or threshold.shape[axis - missing] == 1
    )


def rows_of(x: Tensor, threshold: Tensor) -> Tensor:
    """``x`` with one row for each element of the threshold, in its order.

    Examples:
        >>> import torch
        >>> rows_of(torch.zeros(8, 3, 4, 4), torch.zeros(3, 1, 1)).shape
        torch.Size([3, 128])
    """
    kept = [axis for axis in range(x.dim()) if axis not in set(shared_axes(x, threshold))]
    return x.movedim(kept, list(range(len(kept)))).reshape(threshold.numel(), -1)
