"""Count zeros while a model runs and trains."""

from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self, final

import torch
from torch import Tensor, nn

from clipact.calibration import Granularity, channel_axis
from clipact.errors import SparsityError, SurgeryError
from clipact.sparsity._counter import Counter
from clipact.sparsity._sparsity_table import SparsityTable
from clipact.surgery import ACTIVATIONS, Execution, intercept
from clipact.where import Where, select


@final
class SparsityMeter:
    """Count zeros at every site of a model, forward and backward, over as many batches as run inside.

    Nothing in the model is replaced, and nothing waits for the device until the table is read. Counts are exact
    integers; entering the meter again goes on counting.

    *Gradients* are those that the activation hands back, with respect to its input: exactly zero where it is flat,
    which is what a sparse backward pass can skip. They count whenever ``backward()`` runs for what ran inside. Of an
    activation that composes several operations, it is the gradient with respect to the input of the last one.

    A unit is *dead* if it was zero whenever it was seen, *always on* if it never was. NaN and infinities count as not
    zero, and are counted apart as well.

    Args:
        model: Any module; its activations may be modules, shared modules or functional calls.
        where: Which sites the table shows; all by default.
        kinds: What counts as a site, as in :func:`clipact.find_sites`.
        units: ``"channel"`` (features of a linear layer) or ``"neuron"``.
        channel_dim: Axis that counts channels, batch included, where the default is wrong: 1 behind ``nn.Conv1d``.

    Raises:
        SparsityError: Units by layer are asked for; or, while the model runs, a site changes its number of units.
        SurgeryError: On entry, as :func:`clipact.find_sites`; or it is counting already.

    Examples:
        >>> import clipact as ca
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
        >>> with torch.no_grad():
        ...     _ = model[0].weight.fill_(1.0), model[0].bias.copy_(torch.tensor([-9.0, 0.0, 9.0]))
        >>> with SparsityMeter(model) as meter:
        ...     model(torch.tensor([[1.0, 1, 1, 1], [-1.0, -1, -1, -1]])).sum().backward()
        >>> print(meter)
        site  kind  values    zero  gradient zero  units  dead  always on
        -----------------------------------------------------------------
        1     ReLU       6  50.0 %         50.0 %      3     1          1
        all              6  50.0 %         50.0 %      3     1          1
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        where: Where | None = None,
        kinds: tuple[type[nn.Module], ...] = ACTIVATIONS,
        units: Granularity | str = Granularity.CHANNEL,
        channel_dim: int | None = None,
    ) -> None:
        self._units = Granularity(units)
        if self._units is Granularity.LAYER:
            raise SparsityError("units='layer' asked for; a unit is a 'channel' or a 'neuron'")
        self._model, self._where, self._kinds = model, where, kinds
        self._channel_dim = channel_dim
        self._counters: dict[str, Counter] = {}
        self._stack = ExitStack()
        self._entered = False

    def table(self) -> SparsityTable:
        """What was counted so far, by site in execution order; this waits for the device.

        Raises:
            SelectionError: ``where`` picks no site that has run.
        """
        rows = [counter.row(name) for name, counter in self._counters.items()]
        return SparsityTable(tuple(select(self._where, rows, what="sites") if rows else rows))

    def activity(self, site: str) -> Tensor:
        """Share of the values of each unit that were not zero: ``(C,)``, or a sample's shape where units are neurons.

        Raises:
            KeyError: The site has not run.
        """
        if site not in self._counters:
            raise KeyError(f"no site {site!r} was seen; there is {', '.join(self._counters)}")
        counter = self._counters[site]
        return counter.active / counter.each

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

    def _see(self, execution: Execution, output: Any) -> None:
        if not isinstance(output, Tensor):
            return
        counter = self._counters.get(execution.site)
        if counter is None:
            counter = self._counters[execution.site] = Counter.of(execution.kind, output.device)
        if not _in_backward():
            counter.see(execution.site, output.detach(), self._others(output.dim()))
        counter.follow(output)

    def _others(self, dims: int) -> tuple[int, ...]:
        """Every axis along which a unit is seen several times."""
        if self._units is Granularity.NEURON or dims < 2:
            return (0,) if dims > 1 else ()
        axis = channel_axis(dims, self._channel_dim)
        return tuple(dim for dim in range(dims) if dim != axis)


def _in_backward() -> bool:
    """Whether a backward pass is at work: a checkpointed forward is then run again, and was counted before."""
    task: int = torch._C._current_graph_task_id()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue] - what torch's checkpointing asks; there is no public question
    return task != -1
