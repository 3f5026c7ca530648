"""How a neuron takes part in snntorch's class-wide resets without being kept alive by them."""

import weakref
from typing import Any, Protocol, final

from snntorch import SpikingNeuron
from torch import Tensor


class Neuron(Protocol):
    """What a listed neuron offers."""

    mem: Tensor

    def begin(self, mem: Tensor) -> None:
        """Start a sequence from this membrane potential."""


@final
class Listed:
    """Stands for a neuron in ``SpikingNeuron.instances``, which holds every neuron ever made.

    When the neuron is gone it stands for nothing, and leaves when the next one is listed: resets of snntorch walk along
    the list by number, and a collection of garbage meanwhile must not shorten it. Resets of snntorch ask for the class of what is listed, and read and write its ``mem``.
    """

    def __init__(self, neuron: Neuron) -> None:
        self._neuron = weakref.ref(neuron)

    @property
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - so that isinstance sees the neuron's
        neuron = self._neuron()
        return Listed if neuron is None else type(neuron)

    @property
    def mem(self) -> Tensor:
        """The neuron's membrane potential."""
        return self._alive().mem

    @mem.setter
    def mem(self, value: Tensor) -> None:
        self._alive().begin(value)

    def _alive(self) -> Neuron:
        neuron = self._neuron()
        if neuron is None:
            raise ReferenceError("this neuron is gone")
        return neuron

    @property
    def is_gone(self) -> bool:
        """Whether the neuron is."""
        return self._neuron() is None


def enlist(neuron: Neuron) -> None:
    """Put a :class:`Listed` for the neuron where snntorch puts, or has put, the neuron itself."""
    instances = SpikingNeuron.instances
    instances[:] = [
        each
        for each in instances
        if each is not neuron and not (type(each) is Listed and each.is_gone)
    ]
    instances.append(Listed(neuron))
