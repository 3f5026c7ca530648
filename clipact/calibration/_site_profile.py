"""Statistics of the activations at one site, from which thresholds are taken."""

from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from clipact.calibration._granularity import Granularity, channel_axis, reduce_to
from clipact.calibration._moments import Moments
from clipact.calibration._sketch import QuantileSketch
from clipact.errors import CalibrationError


@final
@dataclass(frozen=True)
class SiteProfile:
    """What was seen at one site.

    Each statistic is asked for at a granularity and comes in the shape that broadcasts as a threshold there:
    ``(1,)`` for a layer, ``(C, 1, 1)`` (``(F,)`` for vectors and sequences) for channels, ``(C, H, W)`` for neurons.

    Attributes:
        name: The site.
        shape: Shape of one sample's activation, ``(C, H, W)`` or ``(F,)``; only ``(C,)`` when samples had
            different sizes, in which case there are no statistics by neuron.
        axis: Which axis of the activation counts channels, batch included.
        dims: Number of dimensions of the activation, batch included.
        moments: Extremes and moments by neuron.
        sketch: Quantile sketch by layer or channel, or None.
    """

    name: str
    shape: tuple[int, ...]
    axis: int
    dims: int
    moments: Moments
    sketch: QuantileSketch | None = None

    @property
    def samples(self) -> int:
        """Number of values that each neuron's statistics are made of."""
        return self.moments.count

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.shape[min(self.axis, len(self.shape)) - 1] if self.shape else 1

    def maximum(
        self, granularity: Granularity | str = Granularity.LAYER, *, channel_dim: int | None = None
    ) -> Tensor:
        """Exact maximum.

        Args:
            granularity: ``"layer"``, ``"channel"`` or ``"neuron"``.
            channel_dim: Axis that counts channels, batch included; the profile's own by default.

        Raises:
            CalibrationError: By neuron, or along another axis, where samples had different sizes.
        """
        return self._reduced(self.moments.largest, granularity, channel_dim, largest=True)

    def minimum(
        self, granularity: Granularity | str = Granularity.LAYER, *, channel_dim: int | None = None
    ) -> Tensor:
        """Exact minimum; arguments as in :meth:`maximum`."""
        return self._reduced(self.moments.smallest, granularity, channel_dim, largest=False)

    def mean(self, granularity: Granularity | str = Granularity.LAYER) -> Tensor:
        """Mean; arguments as in :meth:`maximum`."""
        return self._moments(Granularity(granularity)).mean

    def std(self, granularity: Granularity | str = Granularity.LAYER) -> Tensor:
        """Population standard deviation; arguments as in :meth:`maximum`."""
        found = self._moments(Granularity(granularity))
        return (found.deviation / found.count).sqrt()

    def quantile(self, q: float, granularity: Granularity | str = Granularity.LAYER) -> Tensor:
        """Quantile, off by at most 1.6 % of its value for magnitudes between 2^-16 and 2^16.

        Args:
            q: Between 0 and 1; 1 gives the exact maximum and 0 the exact minimum.
            granularity: As fine as the profile's sketches: ``"layer"`` unless :func:`calibrate` was told otherwise.

        Raises:
            CalibrationError: ``q`` outside [0, 1], or the profile keeps no quantiles that fine.
        """
        wanted = Granularity(granularity)
        if not 0.0 <= q <= 1.0:
            raise CalibrationError(
                f"quantile {q} of {self.name!r} asked for; it lies between 0 and 1"
            )
        if q in (0.0, 1.0):
            return self.maximum(wanted) if q else self.minimum(wanted)
        found = self._sketch_at(wanted).quantile(q)
        values = found.to(self.moments.largest.dtype).reshape(self._threshold_shape(wanted))
        return torch.minimum(torch.maximum(values, self.minimum(wanted)), self.maximum(wanted))

    def __or__(self, other: "SiteProfile") -> "SiteProfile":
        """The profile of both sets of samples together."""
        left, right = self, other
        if left.shape != right.shape:
            left, right = left.by_channel(), right.by_channel()
        if (
            left.shape != right.shape
            or left.dims != right.dims
            or (left.sketch is None) != (right.sketch is None)
        ):
            raise CalibrationError(
                f"the profiles of {self.name!r} have shapes {self.shape} and {other.shape}; they cannot be merged"
            )
        sketch = None
        if left.sketch is not None and right.sketch is not None:
            sketch = QuantileSketch(left.sketch.counts + right.sketch.counts)
        return replace(left, moments=left.moments | right.moments, sketch=sketch)

    def by_channel(self) -> "SiteProfile":
        """The same statistics without their detail by neuron."""
        if len(self.shape) < 2:
            return self
        return replace(
            self, shape=(self.shape[self.axis - 1],), moments=self.moments.to_channels(self.axis)
        )

    def _reduced(
        self,
        values: Tensor,
        granularity: Granularity | str,
        channel_dim: int | None,
        *,
        largest: bool,
    ) -> Tensor:
        wanted = Granularity(granularity)
        axis = self.axis if channel_dim is None else channel_axis(self.dims, channel_dim)
        collapsed = len(self.shape) < self.dims - 1
        if collapsed and (
            wanted is Granularity.NEURON or (wanted is Granularity.CHANNEL and axis != self.axis)
        ):
            raise CalibrationError(
                f"{wanted} thresholds of {self.name!r} asked for, but samples had different sizes there; "
                "calibrate with inputs of one size, or take 'layer' or 'channel'"
            )
        if collapsed and wanted is Granularity.CHANNEL:
            return values.reshape(self._threshold_shape(wanted))
        amax = torch.amax if largest else torch.amin
        return reduce_to(values, wanted, lambda v, dims: amax(v, dims, keepdim=True), axis)

    def _moments(self, wanted: Granularity) -> Moments:
        if wanted is Granularity.NEURON:
            self.maximum(wanted)  # says so where there are none
            return self.moments
        found = self.by_channel().moments
        if wanted is Granularity.LAYER:
            columns = [
                v.unsqueeze(0) for v in (found.largest, found.smallest, found.mean, found.deviation)
            ]
            return Moments(found.count, *columns).to_channels(1)
        shape = self._threshold_shape(wanted)
        return replace(
            found, mean=found.mean.reshape(shape), deviation=found.deviation.reshape(shape)
        )

    def _sketch_at(self, wanted: Granularity) -> QuantileSketch:
        rows = 0 if self.sketch is None else self.sketch.counts.shape[0]
        if (
            self.sketch is None
            or wanted is Granularity.NEURON
            or (wanted is Granularity.CHANNEL and rows == 1 < self.channels)
        ):
            kept = (
                "none"
                if self.sketch is None
                else "those of the layer"
                if rows == 1
                else "those of each channel"
            )
            raise CalibrationError(
                f"quantiles by {wanted} of {self.name!r} asked for, but the profile keeps {kept}; "
                "calibrate(..., quantiles='channel') keeps them by channel, which is the finest there is"
            )
        if wanted is Granularity.LAYER:
            return QuantileSketch(self.sketch.counts.sum(0, keepdim=True))
        return self.sketch

    def _threshold_shape(self, wanted: Granularity) -> tuple[int, ...]:
        return (1,) if wanted is Granularity.LAYER else (-1, *[1] * (self.dims - 1 - self.axis))
