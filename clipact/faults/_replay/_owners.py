"""Which module a target belongs to, for targets that no operation is seen to read."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import final

from torch import nn

from clipact.faults._memory._tensors import TargetTensor
from clipact.faults._replay._values import key, plain_tensors

__all__ = ["Owners"]


@final
class Owners:
    """The modules that hold targets.

    Args:
        modules: Visible modules, by path.
        tensors: The targets.

    Attributes:
        all: The numbers of the targets.
    """

    def __init__(self, modules: Mapping[str, nn.Module], tensors: Sequence[TargetTensor]) -> None:
        self.all = frozenset(range(len(tensors)))
        self._holders: dict[int, set[str]] = {n: set() for n in range(len(tensors))}
        self._packed = {n: item.name for n, item in enumerate(tensors) if item.home is not None}
        held: dict[int, set[int]] = {}
        for number, item in enumerate(tensors):
            held.setdefault(key(item.tensor), set()).add(number)
        for path, module in modules.items():
            own = (*module.parameters(recurse=False), *module.buffers(recurse=False))
            for tensor in plain_tensors(own):
                for number in held.get(key(tensor), ()):
                    self._holders[number].add(path)

    def readers(self, number: int, called: AbstractSet[str]) -> AbstractSet[str]:
        """Of the modules that were called, those that may have read a target out of sight.

        That is who holds it, or has it packed, or the innermost module that was called and that this one lies in: code
        there may have read it through a cache, which faults make it fill again.
        """
        paths = {self._packed[number]} if number in self._packed else self._holders[number]
        return {_innermost(path, called) for path in paths}


def _innermost(path: str, called: AbstractSet[str]) -> str:
    while path and path not in called:
        path = path.rpartition(".")[0]
    return path
