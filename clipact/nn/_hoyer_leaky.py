"""A leaky neuron of snntorch whose threshold is a Hoyer extremum, one a step."""

from collections.abc import Callable
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from clipact.functional._hoyer_spike import check_surrogate
from clipact.functional._hoyer_sums import Clip, magnitude
from clipact.functional._run import transforming
from clipact.nn._base import as_threshold
from clipact.nn._hoyer_checks import check_firing, check_positive
from clipact.nn._hoyer_leaky_fire import HoyerFiring
from clipact.nn._hoyer_leaky_listed import enlist
from clipact.nn._hoyer_statistics import Statistic
from clipact.nn._hoyer_steps import StepExtrema


@final
class HoyerLeaky(HoyerFiring):
    r"""A ``snntorch.Leaky`` that fires, and is reset, at the Hoyer threshold :math:`|V| E` of its membrane potential.

    Use it for several time steps; for one, :class:`HoyerSpike` gives the same and keeps no state. The potential is
    distributed differently at each step, so each has its own extremum :math:`E`: that of the batch in training, which is
    followed as :class:`HoyerSpike` does, and what was followed in evaluation.

    The conventions are those of snntorch: it returns ``(spk, mem)``, or ``spk`` with ``init_hidden``; ``reset_mem()``
    before a sequence, or ``snntorch.utils.reset(net)``, which resets the neurons of all networks if one is a direct child
    of ``net``, and else none; losses of ``snntorch.functional``.
    A sequence also starts where the shape of the input changes, and where a ``mem`` is passed that does not share its
    memory with the one returned last. Steps past ``num_steps`` share the statistic of the last.

    Note:
        snntorch keeps every neuron it makes alive for ever; these are freed with their network. Its ``Leaky`` fires
        above its threshold, this one at it, except with a ``spike_grad`` of snntorch, which decides that itself.

    Args:
        beta: Decay of the potential a step, between 0 and 1.
        num_features: Channels, for one extremum each; None for one of the whole layer.
        num_steps: Steps with a statistic of their own.
        threshold: :math:`V`, the clip value; positive.
        channel_dim: Where the channels are.
        momentum: Weight of a new batch in the moving average.
        exclude_saturated: Leave values at or past the clip out of the extremum.
        threshold_scale: Factor on the extremum, above 1 for fewer spikes.
        sync_statistics: Take the extremum over all processes of the default group.
        spike_grad: A surrogate of ``snntorch.surrogate``, which sees :math:`u / |V| - E`; None for the box.
        window: The box, in clip values.
        grad_scale: The height of the box.
        surrogate_disable: No surrogate gradient, as in snntorch.
        init_hidden: Keep the potential in the layer and return spikes alone.
        inhibition: Only the neuron with the highest potential fires.
        learn_beta: Whether ``beta`` is trained.
        learn_threshold: Whether ``threshold`` is trained. As in snntorch it is a parameter then, which
            :func:`clipact.thresholds` lists and :class:`clipact.faults.Thresholds` hits; else it is a buffer.
        reset_mechanism: ``"subtract"``, ``"zero"`` or ``"none"``.
        state_quant: A quantiser of the potential, from ``snntorch.quant``, or False.
        output: Return the potential too, despite ``init_hidden``.
        graded_spikes_factor: The size of a spike.
        learn_graded_spikes_factor: Whether that is trained.
        reset_delay: Reset one step after the spike.

    Shape:
        Input, spikes and potential: any shape, with ``num_features`` channels.

    Raises:
        ThresholdError: ``threshold`` is not positive.
        SpikingError: Another setting without meaning, or an input that does not fit.

    References:
        Datta, Liu, Beerel, arXiv 2212.10170; Eshraghian et al., "Training spiking neural networks using lessons from
        deep learning" (snntorch), Proceedings of the IEEE 2023.

    Examples:
        >>> layer = HoyerLeaky(beta=0.5, num_steps=2)
        >>> spikes, mem = layer(torch.tensor([[0.2, 0.5, 0.9]]))
        >>> spikes
        tensor([[0., 0., 1.]])
        >>> layer.effective_threshold
        tensor([[0.6875], [1.0000]])
    """

    threshold_names: ClassVar[tuple[str, ...]] = ("threshold",)
    position: int | None = None

    def __init__(  # noqa: PLR0913 - the settings of snntorch.Leaky and of HoyerSpike, all but two by keyword
        self,
        beta: float | Tensor,
        num_features: int | None = None,
        *,
        num_steps: int,
        threshold: float | Tensor = 1.0,
        channel_dim: int = 1,
        momentum: float = 0.1,
        exclude_saturated: bool = False,
        threshold_scale: float = 1.0,
        sync_statistics: bool = False,
        spike_grad: Callable[[Tensor], Tensor] | None = None,
        window: tuple[float, float] = (0.0, 2.0),
        grad_scale: float = 0.5,
        surrogate_disable: bool = False,
        init_hidden: bool = False,
        inhibition: bool = False,
        learn_beta: bool = False,
        learn_threshold: bool = False,
        reset_mechanism: str = "subtract",
        state_quant: Any = False,
        output: bool = False,
        graded_spikes_factor: float | Tensor = 1.0,
        learn_graded_spikes_factor: bool = False,
        reset_delay: bool = True,
    ) -> None:
        check_surrogate(1, window, grad_scale)
        check_firing("HoyerLeaky", spike_grad, threshold_scale)
        value = as_threshold(threshold, "threshold")
        check_positive("HoyerLeaky", "threshold", value)
        clip = Clip(1, exclude_saturated)
        statistic = Statistic(
            "HoyerLeaky", num_features, channel_dim, momentum, clip, sync_statistics
        )
        extrema = StepExtrema(statistic, num_steps)
        try:
            super().__init__(
                beta,
                threshold=value,  # pyright: ignore[reportArgumentType] - a tensor is welcome
                spike_grad=spike_grad,
                surrogate_disable=surrogate_disable,
                init_hidden=init_hidden,
                inhibition=inhibition,
                learn_beta=learn_beta,
                learn_threshold=learn_threshold,
                reset_mechanism=reset_mechanism,
                state_quant=state_quant,
                output=output,
                graded_spikes_factor=graded_spikes_factor,  # pyright: ignore[reportArgumentType] - so is this one
                learn_graded_spikes_factor=learn_graded_spikes_factor,
                reset_delay=reset_delay,
            )
        finally:
            enlist(self)
        vars(self).pop("state_function", None)  # bound to this neuron, also in a replica of it
        if spike_grad is None and not surrogate_disable:
            self.spike_grad = None
        self.extrema = extrema
        self.threshold_scale = threshold_scale
        self.window = window
        self.grad_scale = grad_scale

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        enlist(self)  # a copy is reset with the others

    @property
    def effective_threshold(self) -> Tensor:
        r"""The smallest potential that fires in evaluation, :math:`|V| E` times the scale: one row a step."""
        place = self.extrema.beside(self.threshold) * self.threshold_scale
        return magnitude(self.threshold.detach()) * place

    def reset_mem(self) -> Tensor:
        """Start a sequence from a potential of 0, which is returned."""
        self.begin(torch.zeros_like(self.mem))
        return self.mem

    def begin(self, mem: Tensor, step: int = 0) -> None:
        """Start a sequence from this potential, or go on with one at this step, for instance after loading both."""
        self.mem = mem
        self.extrema.start(step)

    def forward(self, input_: Tensor, mem: Tensor | None = None) -> Any:
        """One step; returns what ``snntorch.Leaky`` does."""
        self._start(input_, mem)
        self.reset = self.mem_reset(self.mem)
        self.mem = self.state_function(input_)
        if self.state_quant:
            self.mem = self.state_quant(self.mem)  # pyright: ignore[reportCallIssue] - a function where it is true
        self.extrema.look(self.mem, self.threshold)
        spikes = (
            self.fire_inhibition(len(self.mem), self.mem)
            if self.inhibition
            else self.fire(self.mem)
        )
        if not self.reset_delay:
            self._reset_now(spikes / self.graded_spikes_factor - self.reset)
        return spikes if self.init_hidden and not self.output else (spikes, self.mem)

    def _start(self, input_: Tensor, mem: Tensor | None) -> None:
        if mem is not None:
            if self.init_hidden:
                raise TypeError("HoyerLeaky with init_hidden=True keeps its own `mem`; pass none")
            if torch.compiler.is_compiling() or self._is_last(mem):
                self.mem = mem
            else:
                self.begin(mem)
        if self.mem.shape != input_.shape:
            self.begin(torch.zeros_like(input_))

    def _is_last(self, mem: Tensor) -> bool:
        """Whether this is the potential returned last, detached perhaps."""
        return mem is self.mem or (not transforming() and mem.data_ptr() == self.mem.data_ptr())
