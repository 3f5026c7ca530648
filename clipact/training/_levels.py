"""What a schedule writes to: the values of thresholds, or the slopes of smooth activations."""

from collections.abc import Mapping
from typing import final

import torch
from torch import nn

from clipact.errors import ScheduleError
from clipact.nn import Activation
from clipact.training._listed import listed

__all__ = ["Levels", "Slopes"]


@final
class Levels:
    """Writes a value into every element of thresholds, or that multiple of what they are now.

    Args:
        thresholds: Parameters by name, such as :func:`clipact.thresholds` or some of them.
        relative: The value is a factor on the thresholds as they are at this moment, not their new value.

    Raises:
        ScheduleError: There are no thresholds, or a factor is asked for on one that is infinite.

    Examples:
        >>> threshold = nn.Parameter(torch.tensor([2.0, 4.0]))
        >>> Levels({"act.threshold": threshold}, relative=True)(0.5)
        >>> threshold.tolist()
        [1.0, 2.0]
    """

    def __init__(self, thresholds: Mapping[str, nn.Parameter], *, relative: bool = False) -> None:
        if not thresholds:
            raise ScheduleError(
                "there are no thresholds to schedule; put activations that have some into the model first"
            )
        self.thresholds = dict(thresholds)
        self._initial = (
            {name: each.detach().clone() for name, each in thresholds.items()} if relative else None
        )
        if self._initial is not None:
            endless = [name for name, each in self._initial.items() if not each.isfinite().all()]
            if endless:
                raise ScheduleError(
                    f"{listed(endless)} is not finite, so that a factor on it has no meaning; schedule its value"
                )

    @torch.no_grad()
    def __call__(self, value: float) -> None:
        """Write."""
        for name, threshold in self.thresholds.items():
            if self._initial is None:
                threshold.fill_(value)
            else:
                threshold.copy_(self._initial[name] * value)

    def check_resumed(self, value: float) -> None:
        """Refuse to multiply thresholds that were multiplied before.

        Raises:
            ScheduleError: They are not this multiple of what they were when this object was made.
        """
        for name, initial in (self._initial or {}).items():
            threshold = self.thresholds[name].detach()
            if not torch.equal((initial * value).to(threshold), threshold):
                raise ScheduleError(
                    f"{name} is not {value:g} times what it was when Levels() was made; to resume, make it before the "
                    "model's state is loaded, and load that of the schedule after it"
                )


@final
class Slopes:
    """Writes the slope of every smooth activation in a model, such as :class:`clipact.nn.HyReLU`.

    A steep slope makes the smooth activation nearly the hard one that is deployed, but gives its threshold a gradient
    only near the threshold: anneal from flat to steep. That of :class:`clipact.nn.RelativeHyReLU` must be at least 1.
    A compiled model is compiled again for each slope.

    Args:
        model: A model with activations that have a slope.

    Raises:
        ScheduleError: It has none.

    Examples:
        >>> from clipact.nn import HyReLU
        >>> model = nn.Sequential(HyReLU(6.0))
        >>> Slopes(model)(100.0)
        >>> model
        Sequential( (0): HyReLU(threshold=6, slope=100) )
    """

    def __init__(self, model: nn.Module) -> None:
        self._activations = [
            module
            for module in model.modules()
            if isinstance(module, Activation) and isinstance(getattr(module, "slope", None), float)
        ]
        if not self._activations:
            raise ScheduleError(
                f"no activation in the {type(model).__name__} has a slope; put in smooth ones first, such as ca.nn.HyReLU"
            )

    def __call__(self, value: float) -> None:
        """Write.

        Raises:
            ScheduleError: The slope is not positive and finite.
        """
        if not 0 < value < float("inf"):
            raise ScheduleError(
                f"a slope of {value} has no meaning; it must be positive and finite"
            )
        for activation in self._activations:
            setattr(activation, "slope", value)  # noqa: B010 - not every activation has a slope
