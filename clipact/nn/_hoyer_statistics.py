"""The running Hoyer extremum of a layer: the mean of the first batches, then an exponential moving average."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, distributed

from clipact.errors import SpikingError
from clipact.functional._hoyer import check_channel_dim
from clipact.functional._hoyer_sums import Clip, hoyer_sums
from clipact.functional._run import transforming
from clipact.functional._threshold import as_tensor, fit


@final
@dataclass(frozen=True)
class Statistic:
    """How a layer takes its Hoyer extremum from a batch, and follows it over batches.

    Attributes:
        owner: The layer's class, for error messages.
        num_features: How many channels have an extremum of their own; None for one of the whole tensor.
        channel_dim: Where they are.
        momentum: Weight of a new batch in the moving average.
        clip: How the input is clipped.
        synchronize: Whether all processes take one extremum together.
    """

    owner: str
    num_features: int | None
    channel_dim: int
    momentum: float
    clip: Clip
    synchronize: bool

    def check(self) -> None:
        """Refuse settings without meaning.

        Raises:
            SpikingError: No whole number of channels, no such dimension, or a momentum outside (0, 1].
        """
        features, channel_dim, momentum = self.num_features, self.channel_dim, self.momentum
        if features is not None and (not _is_whole(features) or features < 1):
            raise SpikingError(
                f"{self.owner} got num_features={features!r}; give the number of channels, or None for one threshold a"
                " layer"
            )
        if not _is_whole(channel_dim):
            raise SpikingError(
                f"{self.owner} got channel_dim={channel_dim!r}; give the number of the channels' dimension, for example 1"
            )
        if not isinstance(momentum, float | int) or not 0 < momentum <= 1:  # pyright: ignore[reportUnnecessaryIsInstance] - callers may not check types
            raise SpikingError(
                f"{self.owner} got momentum={self.momentum}; it is the weight of a new batch, in (0, 1], for example 0.1"
            )

    def channel(self, x: Tensor) -> int | None:
        """The dimension of the channels counted from the front; None for a statistic of the whole tensor.

        Raises:
            SpikingError: ``x`` has no such dimension, or another number of channels.
        """
        if self.num_features is None:
            return None
        channel = check_channel_dim(x, self.channel_dim)
        if x.shape[channel] != self.num_features:
            raise SpikingError(
                f"{self.owner} with num_features={self.num_features} met an input of shape {tuple(x.shape)}, which has"
                f" {x.shape[channel]} channels in dimension {channel}; give num_features={x.shape[channel]}, another"
                " channel_dim, or None for one threshold a layer"
            )
        return channel

    def follow(self, x: Tensor, v_threshold: Tensor, running: Tensor, batches: Tensor) -> Tensor:
        """The extremum of a batch, or the running one where the batch has none, which is updated.

        Args:
            x: The batch.
            v_threshold: The clip value.
            running: The running extremum of each channel; overwritten, except under ``torch.func``.
            batches: How many batches it has seen; overwritten likewise.
        """
        size = as_tensor(x, fit(x, v_threshold, "v_threshold"))
        squares, total = hoyer_sums(x, size, self.channel(x), self.clip)
        if self.synchronize and distributed.is_available() and distributed.is_initialized():
            both = torch.stack((squares, total))
            distributed.all_reduce(both)
            squares, total = both.unbind()
        seen = total > 0
        found = torch.where(seen, squares / total, running)
        if torch.compiler.is_compiling() or not transforming():
            batches.add_(seen)
            weight = (1 / batches).clamp(self.momentum, 1).to(running.dtype)
            running.lerp_(found.to(running.dtype), weight)  # nothing found leaves it as it is
        return found


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def new_running(features: int | None) -> Tensor:
    """A running extremum before the first batch: the threshold is the clip value."""
    return torch.ones(features or 1)
