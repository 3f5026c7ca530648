"""Run the golden run once more, as it is without anybody watching, and keep some of its values."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from clipact.faults._replay._arguments import Given
from clipact.faults._replay._golden import Golden, Place, flat, version
from clipact.faults._replay._kernel import Kernel, find_kernel
from clipact.faults._replay._observer import Observed
from clipact.faults._replay._structure import Structure
from clipact.faults._replay._surroundings import surroundings
from clipact.faults._replay._trace import NOWHERE, TensorSpec
from clipact.faults._replay._values import checksum, is_plain

__all__ = ["Keeper", "Wish"]


class Wish(NamedTuple):
    """A forward to come, and the storages to keep of it."""

    seen: Observed
    structure: Structure
    storages: AbstractSet[int]


@final
class Keeper:
    """Stands in for the forwards of all visible modules.

    Args:
        wishes: The forwards to come.
        modules: The visible modules, by path.
        targets: Of tensors that are targets, by ``id``, their numbers.

    Attributes:
        goldens: Of each forward what was kept.
        checksums: Of each forward and call.
        problem: What was not as it had been seen; None if nothing.
    """

    def __init__(
        self,
        wishes: Sequence[Wish],
        modules: Mapping[str, nn.Module],
        targets: Mapping[int, int],
    ) -> None:
        self.goldens: list[Golden] = []
        self.checksums: list[tuple[tuple[int, ...], ...]] = []
        self.problem: str | None = None
        self._wishes, self._modules, self._targets = wishes, modules, targets
        self._wish: Wish | None = None
        self._stack: list[int] = []
        self._next = 0
        self._values: dict[Place, Tensor] = {}
        self._sums: list[list[Tensor]] = []
        self._kernels: dict[int, Kernel] = {}
        self._known: dict[int, dict[int, Kernel | None]] = {}  # alike for forwards that are alike

    def __call__(
        self, path: str, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """See :class:`Actor`."""
        if self.problem:
            return forward(*args, **kwargs)
        if self._wish is None:
            return self._whole(path, forward, (args, kwargs))
        return self._call(self._wish, path, forward, (args, kwargs))

    def finish(self) -> None:
        """The run has ended."""
        if self.problem is None and len(self.goldens) != len(self._wishes):
            self.problem = f"{len(self._wishes)} forwards became {len(self.goldens)}"
        for golden in self.goldens:
            if any(version(v) != golden.versions[place] for place, v in golden.values.items()):
                self.problem = self.problem or "values of one forward are changed after it"

    def _whole(self, path: str, forward: Callable[..., Any], given: Given) -> Any:
        number = len(self.goldens)
        if number >= len(self._wishes) or not _alike(self._wishes[number], given, self._modules):
            self.problem = f"forward {number} was given other arguments, or in another mode"
            return forward(*given[0], **given[1])
        wish = self._wish = self._wishes[number]
        self._next, self._values, self._kernels = 0, {}, {}
        self._sums = [[] for _ in wish.structure.calls]
        try:
            return self._call(wish, path, forward, given)
        finally:
            self._wish = None
            if self._next != len(wish.structure.calls):
                self.problem = self.problem or f"forward {number} made fewer calls"
            self._finish(wish)

    def _finish(self, wish: Wish) -> None:
        own = wish.structure.escaping
        with torch.inference_mode(mode=False):
            values = {
                place: value.clone() if place[0] in own or value.is_inference() else value
                for place, value in self._values.items()
            }
        seen = wish.seen
        golden = Golden(wish.structure, seen.arguments, seen.around, values, self._kernels)
        self.goldens.append(golden)
        self.checksums.append(tuple(tuple(map(int, sums)) for sums in self._sums))

    def _call(self, wish: Wish, path: str, forward: Callable[..., Any], given: Given) -> Any:
        number, self._next = self._next, self._next + 1
        parent = self._stack[-1] if self._stack else NOWHERE
        calls = wish.structure.calls
        if number >= len(calls) or (calls[number].path, calls[number].parent) != (path, parent):
            self.problem = f"{path or 'the model'} was called out of turn"
            return forward(*given[0], **given[1])
        self._stack.append(number)
        try:
            value = forward(*given[0], **given[1])
        finally:
            self._stack.pop()
        self._keep(wish, number, value)
        structure = wish.structure
        if structure.comparable[number] and structure.returned[number] <= wish.storages:
            known = self._known.setdefault(id(structure), {})
            if number not in known:
                known[number] = find_kernel(forward, self._targets, given, value)
            if kernel := known[number]:
                self._kernels[number] = kernel
        return value

    def _keep(self, wish: Wish, number: int, value: Any) -> None:
        output = wish.structure.calls[number].output
        leaves, spec = pytree.tree_flatten(value)
        if output is None:
            return
        path = wish.structure.calls[number].path or "the model"
        if spec != output.spec:
            self.problem = f"{path} returned something else"
            return
        for leaf, expected in zip(leaves, output.leaves, strict=True):
            if not isinstance(expected, TensorSpec):
                continue
            if not is_plain(leaf) or not _fits(leaf, expected):
                self.problem = f"{path} returned a tensor of another shape or type"
                return
            self._sums[number].append(checksum(leaf))
            if expected.storage in wish.storages:
                self._values[expected.storage, expected.dtype] = flat(leaf)


def _fits(tensor: Tensor, spec: TensorSpec) -> bool:
    return (tensor.dtype, tuple(tensor.shape), tuple(tensor.stride()), tensor.storage_offset()) == (
        spec.dtype,
        spec.size,
        spec.stride,
        spec.offset,
    )


def _alike(wish: Wish, given: Given, modules: Mapping[str, nn.Module]) -> bool:
    around = surroundings(modules.values())
    return around == wish.seen.around and wish.seen.arguments.again(given)
