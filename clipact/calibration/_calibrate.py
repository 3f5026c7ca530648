"""Stream calibration data through a model and profile every site."""

from collections.abc import Mapping, Sized
from typing import Any

from torch import Tensor, nn

from clipact._progress import track
from clipact.calibration._batches import Batches, model_inputs, peek, run, to_device_of
from clipact.calibration._granularity import Granularity, channel_axis
from clipact.calibration._moments import Moments
from clipact.calibration._profile import Profile
from clipact.calibration._site_profile import SiteProfile
from clipact.calibration._sketch import QuantileSketch
from clipact.errors import CalibrationError, SelectionError
from clipact.surgery import ACTIVATIONS, evaluating, find_sites, watch
from clipact.surgery._outputs import first_tensor
from clipact.where import Where, select


def calibrate(
    model: nn.Module,
    batches: Batches,
    *,
    where: Where | None = None,
    kinds: tuple[type[nn.Module], ...] = ACTIVATIONS,
    quantiles: Granularity | str | None = Granularity.LAYER,
    progress: bool = False,
) -> Profile:
    """Profile the activations of a model over calibration data.

    The model runs in eval mode without gradients and is handed back as it was, each module in its own mode. Memory is
    that of the thresholds: four values a neuron, and 16 KiB a quantile sketch. Nothing in the model is replaced.

    Args:
        model: Any module; its activations may be modules, shared modules or functional calls.
        batches: An iterable of tensors, ``(inputs, labels)`` pairs or mappings of keyword arguments, or a single tensor
            or mapping, which is one batch. They are moved to the model's device.
        where: Which sites; all by default.
        kinds: What counts as a site, as in :func:`clipact.find_sites`.
        quantiles: Keep quantile sketches by ``"layer"`` or ``"channel"``, or None for none.
        progress: Show a bar (where tqdm is installed).

    Returns:
        A mapping from site name to :class:`SiteProfile`, in execution order, with the profile of the model's
        output in ``.output``.

    Raises:
        CalibrationError: No batch, an empty batch, or an activation that is NaN or infinite.
        SelectionError: No site found, or ``where`` picks none.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> batches = [torch.randn(16, 4) for _ in range(8)]
        >>> profile = calibrate(model, batches)
        >>> profile["1"].maximum("neuron").shape, profile["1"].samples
        (torch.Size([3]), 128)
    """
    finest = None if quantiles is None else Granularity(quantiles)
    if finest is Granularity.NEURON:
        raise CalibrationError(
            "quantiles by neuron asked for; they are kept by 'layer' or 'channel'"
        )
    first, stream = peek(batches)
    sites = find_sites(model, to_device_of(model, model_inputs(first)), kinds=kinds)
    if not sites:
        hint = ". ".join(
            [
                f"{type(model).__name__} has no site of these kinds; name others in kinds=",
                *sites.unseen,
            ]
        )
        raise SelectionError(hint)
    chosen = [site.name for site in select(where, sites, what=f"sites of {type(model).__name__}")]
    observer = _Observer(chosen, finest)
    handle = model.register_forward_hook(observer.see_output)
    try:
        with evaluating(model), watch(model, kinds, observer.see_site):
            for batch in track(stream, label="calibrate", total=_length(batches), show=progress):
                run(model, to_device_of(model, model_inputs(batch)))
                observer.check()
    finally:
        handle.remove()
    found = observer.profiles
    return Profile({name: found[name] for name in chosen if name in found}, observer.output)


class _Observer:
    """Adds what it is shown to the profiles, and remembers whether all of it was finite."""

    def __init__(self, names: list[str], quantiles: Granularity | None) -> None:
        self.profiles: dict[str, SiteProfile] = {}
        self.output: SiteProfile | None = None
        self._names = frozenset(names)
        self._quantiles = quantiles
        self._finite: list[tuple[str, Tensor]] = []
        self._batch = 0

    def see_site(self, name: str, _kind: type[nn.Module], output: Tensor) -> None:
        if name in self._names:
            found = self._profile(name, output)
            self.profiles[name] = self.profiles[name] | found if name in self.profiles else found

    def see_output(self, _model: nn.Module, _args: Any, given: Any) -> None:
        output = _logits(given)
        if (
            isinstance(output, Tensor)
            and output.is_floating_point()
            and output.dim() > 1
            and len(output)
        ):
            found = self._profile("output of the model", output)
            self.output = self.output | found if self.output else found

    def check(self) -> None:
        """One wait for the device a batch."""
        broken = [name for name, finite in self._finite if not bool(finite)]
        self._finite.clear()
        if broken:
            raise CalibrationError(
                f"batch {self._batch} gives NaN or infinite activations at {', '.join(broken)}; thresholds would mean nothing. "
                "Check the data and the model before it is calibrated"
            )
        self._batch += 1

    def _profile(self, name: str, output: Tensor) -> SiteProfile:
        if output.dim() < 2 or output.numel() == 0 or output.is_meta:
            raise CalibrationError(
                f"batch {self._batch} gives an activation of shape {tuple(output.shape)} on {output.device} at {name!r}; "
                "calibration needs real batches, the first axis counting at least one sample"
            )
        moments = Moments.of(output.detach())
        self._finite.append(
            (name, moments.largest.isfinite().all() & moments.smallest.isfinite().all())
        )
        axis = channel_axis(output.dim())
        return SiteProfile(
            name,
            tuple(output.shape[1:]),
            axis,
            output.dim(),
            moments,
            self._sketch(output.detach(), axis),
        )

    def _sketch(self, output: Tensor, axis: int) -> QuantileSketch | None:
        if self._quantiles is None:
            return None
        rows = (
            output.reshape(1, -1)
            if self._quantiles is Granularity.LAYER
            else output.movedim(axis, 0).flatten(1)
        )
        sketch = QuantileSketch.empty(rows.shape[0], output.device)
        sketch.add(rows)
        return sketch


def _logits(output: Any) -> Any:
    """The output itself, or the logits of a Hugging Face model where a guard of the output would guard them."""
    if not isinstance(output, Mapping):
        return output
    named: Any = output.get("logits")
    return named if named is first_tensor(output) else None


def _length(batches: Batches) -> int | None:
    if isinstance(batches, Tensor | Mapping):
        return 1
    return len(batches) if isinstance(batches, Sized) else None
