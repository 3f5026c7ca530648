"""The golden values of one forward: handed out in place of calls, and compared with what faults leave."""

from collections.abc import Mapping
from typing import Any, TypeAlias, final

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from clipact.faults._replay._arguments import Arguments
from clipact.faults._replay._kernel import Kernel
from clipact.faults._replay._structure import Structure
from clipact.faults._replay._trace import Output, TensorSpec
from clipact.faults._replay._values import bits, is_constant, is_plain, same_constant

__all__ = ["Golden", "Loan", "Place", "Scratch", "flat", "version"]

Place: TypeAlias = tuple[int, torch.dtype]
"""A storage and how its words are read."""


@final
class Scratch:
    """Memory in the place of golden values that nobody reads; one for all."""

    def __init__(self) -> None:
        self._memory: dict[torch.device, Tensor] = {}

    def words(self, dtype: torch.dtype, nbytes: int, device: torch.device) -> Tensor:
        """A row of any values; of floating-point numbers, NaN."""
        memory = self._memory.get(device)
        if memory is None or memory.numel() < nbytes:
            memory = torch.full((nbytes,), 255, dtype=torch.uint8, device=device)
            self._memory[device] = memory
        return memory[: nbytes // dtype.itemsize * dtype.itemsize].view(dtype)


@final
class Golden:
    """One forward of the golden run.

    Args:
        structure: What it did.
        arguments: What it was given.
        around: The modes it ran in.
        values: Storages as they are at its end, in one piece; of some.
        kernels: Of calls of layers that can compute rows by themselves, how.

    Attributes:
        versions: Of each value, how often it was changed in place before.
        kept: Storages of which there are values.
    """

    def __init__(
        self,
        structure: Structure,
        arguments: Arguments,
        around: tuple[Any, ...],
        values: Mapping[Place, Tensor],
        kernels: Mapping[int, Kernel],
    ) -> None:
        self.structure, self.arguments, self.around = structure, arguments, around
        self.kernels = kernels
        self.values = dict(values)
        self.versions = {place: version(value) for place, value in self.values.items()}
        self.kept = frozenset(storage for storage, _ in self.values)

    @property
    def path(self) -> str:
        """The module that was called."""
        return self.structure.calls[0].path

    @property
    def nbytes(self) -> int:
        """What it holds."""
        sizes = self.structure.trace.nbytes
        return self.arguments.nbytes + sum(sizes[storage] for storage in self.kept)

    def equals(self, number: int, value: Any) -> bool:
        """Whether a call has returned what it did in the golden run, to the last bit; never if that is not kept."""
        output = _output(self.structure, number)
        if not self.structure.returned[number] <= self.kept:
            return False
        leaves, spec = pytree.tree_flatten(value)
        return spec == output.spec and all(map(self._same, output.leaves, leaves))

    def _same(self, golden: Any, now: Any) -> bool:
        if not isinstance(golden, TensorSpec):
            return is_constant(now) and same_constant(golden, now)
        value = self.values[golden.storage, golden.dtype]
        return (
            is_plain(now)
            and now.dtype is golden.dtype
            and now.device == value.device
            and tuple(now.shape) == golden.size
            and tuple(now.stride()) == golden.stride
            and torch.equal(
                bits(value.as_strided(golden.size, golden.stride, golden.offset)), bits(now)
            )
        )


@final
class Loan:
    """Golden values that are handed out in the course of one forward.

    Args:
        golden: Whose.
        copied: Storages that others may change, and get copies of.
        scratch: For what nobody reads.
    """

    def __init__(self, golden: Golden, copied: frozenset[int], scratch: Scratch) -> None:
        self._golden, self._copied, self._scratch = golden, copied, scratch
        self._copies: dict[Place, Tensor] = {}
        self._lent: dict[Place, Tensor] = {}

    def output(self, number: int) -> Any:
        """What a call returned: tensors of its own, over golden memory."""
        output = _output(self._golden.structure, number)
        leaves = [
            self._tensor(leaf) if isinstance(leaf, TensorSpec) else leaf for leaf in output.leaves
        ]
        return pytree.tree_unflatten(leaves, output.spec)

    def intact(self) -> bool:
        """Whether nobody has changed what was handed out."""
        return all(version(v) == self._golden.versions[place] for place, v in self._lent.items())

    def _tensor(self, spec: TensorSpec) -> Tensor:
        place = spec.storage, spec.dtype
        value = self._golden.values.get(place)
        if value is None:
            trace = self._golden.structure.trace
            nbytes, device = trace.nbytes[spec.storage], trace.devices[spec.storage]
            value = self._scratch.words(spec.dtype, nbytes, device)
        elif spec.storage in self._copied:
            value = self._copies.setdefault(place, value.clone())
        else:
            self._lent[place] = value
        return value.as_strided(spec.size, spec.stride, spec.offset)


def flat(tensor: Tensor) -> Tensor:
    """A tensor's whole storage as one row of words."""
    words = tensor.untyped_storage().nbytes() // tensor.element_size()
    return tensor.detach().as_strided((words,), (1,), 0)


def _output(structure: Structure, number: int) -> Output:
    output = structure.calls[number].output
    assert output is not None, "only calls with an output that can be kept are asked for it"
    return output


def version(tensor: Tensor) -> int:
    """How often a tensor was changed in place."""
    return tensor._version  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - torch's only name for it
