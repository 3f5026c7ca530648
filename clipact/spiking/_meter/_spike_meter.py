"""Count spikes while a network runs."""

from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self, final

import snntorch
import torch
from torch import Tensor, nn

from clipact.calibration import channel_axis
from clipact.errors import SpikingError, SurgeryError
from clipact.nn import HoyerSpike
from clipact.spiking._meter._counter import Counter, number_of_spikes
from clipact.spiking._meter._spike_table import SpikeTable
from clipact.surgery import Execution, intercept

__all__ = ["SpikeMeter"]


@final
class SpikeMeter:
    """Count the spikes of every spiking layer, over as many batches and time steps as run inside.

    Hoyer spikes, snntorch's neurons and, with ``kinds``, anything else whose output is zero or a spike. Nothing in the
    network is replaced, and nothing waits for the device until the table is read.

    Args:
        model: The network.
        kinds: What counts as a spiking layer.
        keep: Of how many samples, the first of each call, spikes are kept to be drawn by
            :func:`clipact.report.spike_raster`; at most 256 calls of a layer are kept.
        channel_dim: Axis that counts channels where the default is wrong: 1 behind ``nn.Conv1d``. A Hoyer spike with
            ``num_features`` knows its own.
        steps: Time steps of an inference that a loop outside the model makes, each a call of the model.

    Raises:
        SurgeryError: On entry, as :func:`clipact.find_sites`; or it is counting already.
        SpikingError: ``keep`` is negative, or ``steps`` less than 1.
        SpikingError: While the network runs: a layer changes its number of channels.

    Examples:
        >>> model = nn.Sequential(HoyerSpike(), nn.Linear(4, 2)).eval()
        >>> with SpikeMeter(model) as meter:
        ...     _ = model(torch.tensor([[2.0, 0.1, 2.0, -1.0], [2.0, 0.1, -3.0, -1.0]]))
        >>> print(meter)
        layer  kind        neurons  spikes a neuron  channels  dead  always on
        ----------------------------------------------------------------------
        0      HoyerSpike        4           37.5 %         4     2          1
        all                      4           37.5 %         4     2          1
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        kinds: tuple[type[nn.Module], ...] = (HoyerSpike, snntorch.SpikingNeuron),
        keep: int = 1,
        channel_dim: int | None = None,
        steps: int = 1,
    ) -> None:
        if keep < 0 or steps < 1:
            raise SpikingError(
                f"SpikeMeter got keep={keep} and steps={steps}; it keeps 0 samples at least, and an inference has 1 step at"
                " least"
            )
        self._model, self._kinds, self._keep = model, kinds, keep
        self._channel_dim, self._steps = channel_dim, steps
        self._counters: dict[str, Counter] = {}
        self._stack = ExitStack()
        self._entered = False

    def table(self) -> SpikeTable:
        """What was counted so far, by layer in execution order; this waits for the device."""
        rows = (counter.row(name, self._steps) for name, counter in self._counters.items())
        return SpikeTable(tuple(rows))

    def rates(self, layer: str) -> Tensor:
        """Spikes of each channel, per neuron of it and sample, all time steps together: shape ``(C,)``.

        Raises:
            KeyError: The layer has not run.
        """
        counter = self._counter(layer)
        return counter.spikes * (counter.steps * self._steps) / counter.each

    def raster(self, layer: str) -> Tensor:
        """Spikes of the samples that were kept, one row a call and sample: shape ``(calls * keep, neurons)``.

        Raises:
            KeyError: The layer has not run.
            SpikingError: No sample was kept.
        """
        kept = [spikes.flatten(1) for spikes in self._counter(layer).kept]
        if not kept:
            raise SpikingError(
                f"the meter kept no spikes of {layer!r}; make it with keep=1 or more, and run at least one sample"
            )
        return torch.cat(kept)

    def reset(self) -> None:
        """Start counting from zero."""
        self._counters.clear()

    def __enter__(self) -> Self:
        if self._entered:
            raise SurgeryError("this meter is counting already; make another one to nest them")
        self._stack.enter_context(intercept(self._model, self._kinds, self._see))
        self._entered = True
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._entered = False
        self._stack.close()

    def __str__(self) -> str:
        return str(self.table())

    def _counter(self, layer: str) -> Counter:
        if layer not in self._counters:
            raise KeyError(
                f"no spiking layer {layer!r} was seen; there is {', '.join(self._counters) or 'none'}"
            )
        return self._counters[layer]

    def _see(self, execution: Execution, output: Any) -> None:
        value = output[0] if isinstance(output, tuple) else output
        if not isinstance(value, Tensor):
            return
        counter = self._counters.setdefault(execution.site, Counter(execution.kind))
        layer = self._model.get_submodule(execution.site)
        spikes = number_of_spikes(layer, value.detach())
        counter.see(execution, spikes, self._others(layer, value.dim()))
        if len(counter.kept) < 256 and self._keep and value.dim():
            counter.kept.append(spikes[: self._keep].clone())

    def _others(self, layer: nn.Module, dims: int) -> tuple[int, ...]:
        if dims < 2:
            return (0,) if dims else ()
        axis = channel_axis(dims, self._channel_dim)
        if self._channel_dim is None and isinstance(layer, HoyerSpike) and layer.num_features:
            axis = layer.channel_dim % dims
        return tuple(dim for dim in range(dims) if dim != axis)
