"""Which memory holds a target's tensors, or what was computed from nothing but them and other constants."""

from collections.abc import Iterable, Sequence
from typing import final

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from clipact.faults._memory._region import Region
from clipact.faults._memory._tensors import TargetTensor
from clipact.faults._replay._values import key

__all__ = ["Sources"]


@final
class Sources:
    """Follows targets through casts and reparametrisations that may be cached and read again later.

    Everything is a constant that does not depend on the arguments of a forward.

    Args:
        tensors: The targets.
    """

    def __init__(self, tensors: Sequence[TargetTensor]) -> None:
        self._targets: dict[int, list[tuple[int, Region]]] = {}
        for number, item in enumerate(tensors):
            self._targets.setdefault(key(item.tensor), []).append((number, item.region))
        self._derived: dict[int, tuple[StorageWeakRef, frozenset[int]]] = {}
        self._varying: dict[int, StorageWeakRef] = {}

    def begin(self, arguments: Iterable[Tensor]) -> None:
        """A forward with these arguments begins."""
        self._derived = {k: v for k, v in self._derived.items() if not v[0].expired()}
        self._varying = {k: v for k, v in self._varying.items() if not v.expired()}
        for tensor in arguments:
            self._vary(tensor)

    def of(self, tensor: Tensor) -> frozenset[int]:
        """The targets whose bits a read of this tensor depends on."""
        place = key(tensor)
        if place in self._targets:
            region = Region.of(tensor) if tensor.numel() else None
            return frozenset(
                number
                for number, target in self._targets[place]
                if region and region.start < target.end and target.start < region.end
            )
        return self._derived[place][1] if place in self._derived else frozenset()

    def flow(self, inputs: Sequence[Tensor], written: Iterable[Tensor]) -> None:
        """An operation computed ``written``, which may be among the inputs, from the inputs."""
        if any(key(tensor) in self._varying for tensor in inputs):
            for tensor in written:
                self._vary(tensor)
            return
        found = frozenset[int]().union(*map(self.of, inputs))
        for tensor in written:
            if found and key(tensor) not in self._targets:
                self._derived[key(tensor)] = StorageWeakRef(tensor.untyped_storage()), found

    def vary(self, tensors: Iterable[Tensor]) -> None:
        """These depend on the arguments."""
        for tensor in tensors:
            self._vary(tensor)

    def _vary(self, tensor: Tensor) -> None:
        if (place := key(tensor)) not in self._targets:
            self._derived.pop(place, None)
            self._varying[place] = StorageWeakRef(tensor.untyped_storage())
