"""What every clipact activation module shares: thresholds that are parameters, checked when they are set."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from clipact.errors import ThresholdError


class Activation(nn.Module, ABC):
    """Base of the activation modules.

    A threshold is an :class:`torch.nn.Parameter` whose shape is its granularity, ``requires_grad=False`` until someone
    trains it. A subclass names its thresholds in :attr:`threshold_names` and registers each with
    :meth:`_register_threshold`.

    Attributes:
        position: Place among the model's sites in execution order, set by
            :func:`clipact.replace_activations`; ``None`` for a module that was put into a model by hand.
    """

    threshold_names: ClassVar[tuple[str, ...]] = ("threshold",)
    position: int | None = None

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Same shape, dtype and device as ``x``."""

    @abstractmethod
    def out_of_range(self, x: Tensor) -> Tensor:
        """Which elements of the input lie past a threshold or are NaN: a bool tensor of the shape of ``x``."""

    def harden(self) -> "Activation":
        """The form to deploy: a smooth activation gives its hard counterpart with the same thresholds, others themselves."""
        return self

    def extra_repr(self) -> str:
        """Each threshold's shape, and its range where it has a value."""
        return ", ".join(
            f"{name}={_describe(getattr(self, name))}" for name in self.threshold_names
        )

    def _register_threshold(
        self, name: str, value: float | Tensor, *, minimum: float = 0.0
    ) -> None:
        self.register_parameter(
            name, nn.Parameter(as_threshold(value, name, minimum=minimum), requires_grad=False)
        )


def at_least_zero(threshold: Tensor) -> Tensor:
    """The threshold, or 0 where training has pushed it below.

    The gradient is passed on as if it were the threshold's own, so that one that was pushed too far can come back.
    """
    if not threshold.requires_grad:
        return threshold.clamp(min=0)
    return threshold - threshold.detach().clamp(max=0)


def as_threshold(value: float | Tensor, name: str, *, minimum: float = 0.0) -> Tensor:
    """A detached floating-point copy of ``value`` of at least one dimension, checked.

    A layer-wise threshold has shape ``(1,)``, not ``()``: sharded training refuses parameters without dimensions.

    Args:
        value: A number or a tensor.
        name: What it is called, for the error message.
        minimum: The smallest value allowed.

    Raises:
        ThresholdError: NaN, a value below ``minimum``, an empty tensor, or a tensor that is not floating-point.
    """
    tensor = value.detach().clone() if isinstance(value, Tensor) else torch.tensor(float(value))
    if not tensor.is_floating_point():
        raise ThresholdError(
            f"{name} is a tensor of {tensor.dtype}; thresholds are floating-point: use {name}.float()"
        )
    if tensor.numel() == 0:
        raise ThresholdError(
            f"{name} is an empty tensor of shape {tuple(tensor.shape)}; give at least one value"
        )
    if tensor.device.type != "meta":
        if bool(tensor.isnan().any()):
            raise ThresholdError(f"{name} contains NaN; give numbers, or infinity for no limit")
        if bool((tensor < minimum).any()):
            raise ThresholdError(
                f"{name} goes down to {tensor.min().item():g}; it must be at least {minimum:g}"
            )
    return tensor.reshape(1) if tensor.dim() == 0 else tensor


def check_granularities(owner: str, **thresholds: Tensor) -> None:
    """Refuse thresholds of one module whose shapes fit no common input.

    Args:
        owner: The module's class, for the error message.
        **thresholds: The thresholds by name.

    Raises:
        ThresholdError: Their shapes do not broadcast together.
    """
    try:
        torch.broadcast_shapes(*(threshold.shape for threshold in thresholds.values()))
    except RuntimeError:
        found = " and ".join(f"{name} of shape {tuple(t.shape)}" for name, t in thresholds.items())
        raise ThresholdError(
            f"{owner} got {found}; give both the same granularity, or one of them a single value"
        ) from None


def _describe(value: Tensor) -> str:
    if value.numel() == 1 and value.device.type != "meta":
        return f"{value.item():g}"
    return str(tuple(value.shape))
