"""A tensor as a model holds it: plain, quantised, or made of several plain tensors."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from clipact.faults._memory._home import Home

_INTEGERS = {torch.qint8: torch.int8, torch.quint8: torch.uint8, torch.qint32: torch.int32}
_SHARDED = "torch.distributed"


class Held(NamedTuple):
    """A tensor that a model holds.

    Attributes:
        name: Dotted name.
        owner: Path of the module that holds it.
        tensor: The tensor with its words.
        identity: Equal for tensors that are one.
        home: Where it lives, if the model is to be told of changes.
        problem: Why its words cannot be changed, if that is known already.
    """

    name: str
    owner: str
    tensor: Tensor
    identity: object
    home: Home | None = None
    problem: str | None = None

    @staticmethod
    def of(name: str, tensor: Tensor, owner: str | None = None) -> "Held":
        """A plain tensor; its owner is what its name says, unless given."""
        return Held(name, name.rpartition(".")[0] if owner is None else owner, tensor, id(tensor))


def parts(held: Held) -> Iterator[Held]:
    """The plain tensors that a tensor is made of: those inside a subclass, the integers of a quantised one, or itself.

    Of an expanded tensor it is the one row, column, … that is in memory.
    """
    tensor = held.tensor
    if is_sharded(tensor):
        sharded = "is spread over processes; inject before it is, or into a full copy"
        yield held._replace(problem=sharded)
    elif is_traceable_wrapper_subclass(tensor):
        flattened: Any = tensor
        for attribute in flattened.__tensor_flatten__()[0]:
            inner: Tensor = getattr(tensor, attribute)
            name = f"{held.name}.{attribute}"
            yield from parts(Held(name, held.owner, inner, id(inner), held.home))
    elif tensor.dtype in _INTEGERS:
        yield held._replace(tensor=integers(tensor), home=held.home or _Itself(tensor))
    elif not is_lazy(tensor) and tensor.layout is torch.strided and 0 in tensor.stride():
        yield held._replace(tensor=_unexpanded(tensor), home=held.home or _Itself(tensor))
    else:
        yield held


def _unexpanded(tensor: Tensor) -> Tensor:
    sizes = [
        min(size, 1) if stride == 0 else size
        for size, stride in zip(tensor.shape, tensor.stride(), strict=True)
    ]
    return tensor.detach().as_strided(sizes, tensor.stride(), tensor.storage_offset())


def integers(quantised: Tensor) -> Tensor:
    """The integers of a quantised tensor of torch's, in its own memory."""
    words = torch.empty(0, dtype=_INTEGERS[quantised.dtype], device=quantised.device)
    place = (quantised.storage_offset(), quantised.shape, quantised.stride())
    return words.set_(quantised.untyped_storage(), *place)  # pyright: ignore[reportArgumentType, reportCallIssue] - a storage, as torch documents


def is_sharded(tensor: Tensor) -> bool:
    """Whether it is a part of a tensor, as DTensor's and FSDP's are."""
    return type(tensor).__module__.startswith(_SHARDED)


class _Itself(Home):
    """A tensor of which the words are a view."""

    def __init__(self, tensor: Tensor) -> None:
        self.key = tensor

    def changed(self) -> None:
        """The tensor sees it."""

    def restored(self) -> None:
        """The tensor sees it."""
