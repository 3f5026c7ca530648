"""The module of the Hoyer spike: a ReLU's place in a network that spikes once."""

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor, nn

from clipact.functional import hoyer_spike
from clipact.functional._hoyer import along
from clipact.functional._hoyer_spike import check_surrogate
from clipact.functional._hoyer_sums import Clip, magnitude
from clipact.functional._run import transforming
from clipact.nn._base import Activation
from clipact.nn._hoyer_checks import check_firing, check_positive
from clipact.nn._hoyer_statistics import Statistic, new_running
from clipact.nn._last_input import LastInput


@final
class HoyerSpike(Activation):
    r"""The module of :func:`clipact.functional.hoyer_spike`: tensor in, tensor out, no state over time.

    It goes where an ``nn.ReLU`` was: behind a convolution (a max-pool, and) a BatchNorm. Training takes the Hoyer
    extremum of each batch and follows it, as BatchNorm does its mean: the mean of the first batches, then an exponential
    moving average. Evaluation uses what was followed. A batch, or a channel of it, without a positive value leaves that
    as it is; before the first batch it is 1, so that the threshold is the clip value.

    In training, under ``torch.func``, the extremum is that of the sample at hand, and nothing is followed.

    Note:
        The published code starts its moving average at 0 without correction, gets NaN for ever from a batch without a
        positive value, and sums in half precision; its clip value can change sign. Here its absolute value is used.

    Args:
        num_features: Channels, for one extremum each; None for one of the whole layer.
        v_threshold: :math:`V`, the clip value: a positive number, or a tensor whose shape is its granularity. Initial
            values set the activity: larger ones mean fewer spikes.
        learn_threshold: Whether it is trained.
        levels: How many spikes a neuron can send at once. One gives 0 or 1; :math:`D` give :math:`k |V| / D`.
        channel_dim: Where the channels are.
        momentum: Weight of a new batch in the moving average.
        exclude_saturated: Leave values at or past the clip out of the extremum.
        threshold_scale: Factor on the extremum, above 1 for fewer spikes. Not trained; may be set at any time.
        spike_grad: A surrogate of ``snntorch.surrogate``, or any function like them, used instead of the box.
        window: The box, in clip values.
        grad_scale: The height of the box.
        nan_to_zero: NaN gives 0; otherwise it is passed on. The extremum never sees it.
        sync_statistics: Take the extremum over all processes of the default group, as ``nn.SyncBatchNorm`` does; else
            each process has its own.

    Shape:
        Input and output: any shape to which ``v_threshold`` broadcasts, with ``num_features`` channels.

    Raises:
        ThresholdError: ``v_threshold`` is not positive.
        SpikingError: Another setting without meaning, or an input that does not fit.

    References:
        Datta, Liu, Beerel, "Hoyer regularizer is all you need for ultra low-latency spiking neural networks",
        arXiv 2212.10170.

    Examples:
        >>> layer = HoyerSpike()
        >>> layer(torch.tensor([-1.0, 0.5, 1.0, 7.0])).detach()
        tensor([0., 0., 1., 1.])
        >>> layer.effective_threshold
        tensor([0.9000])
    """

    threshold_names = ("v_threshold",)
    v_threshold: nn.Parameter
    running_extremum: Tensor
    batches_seen: Tensor

    def __init__(  # noqa: PLR0913 - the names of the method, all but one by keyword and with the paper's values
        self,
        num_features: int | None = None,
        *,
        v_threshold: float | Tensor = 1.0,
        learn_threshold: bool = True,
        levels: int = 1,
        channel_dim: int = 1,
        momentum: float = 0.1,
        exclude_saturated: bool = False,
        threshold_scale: float = 1.0,
        spike_grad: Callable[[Tensor], Tensor] | None = None,
        window: tuple[float, float] = (0.0, 2.0),
        grad_scale: float = 0.5,
        nan_to_zero: bool = True,
        sync_statistics: bool = False,
    ) -> None:
        super().__init__()
        check_surrogate(levels, window, grad_scale)
        check_firing("HoyerSpike", spike_grad, threshold_scale)
        self._register_threshold("v_threshold", v_threshold)
        check_positive("HoyerSpike", "v_threshold", self.v_threshold)
        self.v_threshold.requires_grad_(learn_threshold)
        self.num_features = num_features
        self.levels = levels
        self.channel_dim = channel_dim
        self.momentum = momentum
        self.exclude_saturated = exclude_saturated
        self.threshold_scale = threshold_scale
        self.spike_grad = spike_grad
        self.window = window
        self.grad_scale = grad_scale
        self.nan_to_zero = nan_to_zero
        self.sync_statistics = sync_statistics
        self.last_input = LastInput()
        self._statistic().check()
        self.register_buffer("running_extremum", new_running(num_features))
        self.register_buffer("batches_seen", torch.zeros(num_features or 1, dtype=torch.int64))

    @property
    def effective_threshold(self) -> Tensor:
        r"""The smallest input that spikes in evaluation: :math:`|V| E` times the scale, divided by the levels.

        One value, one a channel, or, where ``v_threshold`` has a granularity of its own, in its shape.
        """
        place = self.running_extremum * self.threshold_scale / self.levels
        size = magnitude(self.v_threshold.detach())
        dims = size.dim()  # without that of the samples
        channel = self.channel_dim - 1 if self.channel_dim >= 0 else dims + self.channel_dim
        return size * along(place, dims, min(max(channel, 0), dims - 1))

    def reset_statistics(self) -> None:
        """Forget what was followed, for instance before a calibration."""
        self.running_extremum.fill_(1.0)
        self.batches_seen.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation."""
        statistic = self._statistic()
        channel = statistic.channel(x)
        place = self.running_extremum
        if not torch.compiler.is_compiling() and not transforming():
            self.last_input.keep(x if self.training and torch.is_grad_enabled() else None)
        if self.training:
            place = statistic.follow(x, self.v_threshold, place, self.batches_seen)
        return hoyer_spike(
            x,
            self.v_threshold,
            along(place, x.dim(), channel or 0) * self.threshold_scale,
            levels=self.levels,
            spike_grad=self.spike_grad,
            window=self.window,
            grad_scale=self.grad_scale,
            nan_to_zero=self.nan_to_zero,
        )

    def out_of_range(self, x: Tensor) -> Tensor:
        """Where ``x`` is NaN; every other input is one of spikes or silence."""
        return x.isnan()

    def extra_repr(self) -> str:
        """The clip value, and what differs from the usual."""
        described = [super().extra_repr()]
        if self.num_features is not None:
            described.insert(0, str(self.num_features))
        if self.levels != 1:
            described.append(f"levels={self.levels}")
        if self.threshold_scale != 1:
            described.append(f"threshold_scale={self.threshold_scale:g}")
        return ", ".join(described)

    def _statistic(self) -> Statistic:
        return Statistic(
            "HoyerSpike",
            self.num_features,
            self.channel_dim,
            self.momentum,
            Clip(self.levels, self.exclude_saturated),
            self.sync_statistics,
        )
