"""The storages that one forward touches, numbered in the order in which it meets them."""

from collections.abc import Iterable
from typing import final

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from clipact.faults._replay._trace import NOWHERE, Touch, Use
from clipact.faults._replay._values import key, size

__all__ = ["Memory"]


@final
class Memory:
    """Numbers storages, and writes down where each came to be and every use of it."""

    def __init__(self) -> None:
        self.created: list[int] = []
        self.creator: list[int] = []
        self.nbytes: list[int] = []
        self.devices: list[torch.device] = []
        self.uses: list[Use] = []
        self._numbers: dict[int, int] = {}
        self._held: list[
            StorageWeakRef
        ] = []  # while these are there, no other storage gets the key

    def number(self, tensor: Tensor) -> int:
        """Of the storage of a tensor; one not met before was there before the forward."""
        found = self._numbers.get(key(tensor))
        return self._add(tensor, NOWHERE, NOWHERE) if found is None else found

    def create(self, tensors: Iterable[Tensor], time: int, call: int) -> None:
        """Those of these storages that were not met before came to be now."""
        for tensor in tensors:
            if key(tensor) not in self._numbers:
                self._add(tensor, time, call)

    def use(self, tensor: Tensor, time: int, call: int, touch: Touch) -> None:
        """An operation touched it."""
        number = self.number(tensor)
        self.nbytes[number] = max(self.nbytes[number], size(tensor))
        self.uses.append(Use(time, number, call, touch))

    def alive(self) -> frozenset[int]:
        """Storages that somebody still holds."""
        return frozenset(number for number, held in enumerate(self._held) if not held.expired())

    def _add(self, tensor: Tensor, time: int, call: int) -> int:
        number = self._numbers[key(tensor)] = len(self.created)
        self._held.append(StorageWeakRef(tensor.untyped_storage()))
        self.created.append(time)
        self.creator.append(call)
        self.nbytes.append(size(tensor))
        self.devices.append(tensor.device)
        return number
