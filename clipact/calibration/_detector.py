"""Notice when protected activations leave their calibrated range."""

import warnings
from collections.abc import Callable
from enum import Enum, auto
from types import TracebackType
from typing import Any, Self, final

from torch import Tensor, nn

from clipact.errors import OutOfRangeError, OutOfRangeWarning, SelectionError
from clipact.nn import Activation, RangeRestricted


class OnOutOfRange(Enum):
    """What a :class:`RangeDetector` does with a value past its threshold."""

    COUNT = auto()
    """Count on the device, without waiting for it; read the counts when it suits."""
    WARN = auto()
    """Count, and warn with an :class:`~clipact.errors.OutOfRangeWarning` (waits for the device at every site)."""
    RAISE = auto()
    """Raise an :class:`~clipact.errors.OutOfRangeError` at the first site (waits for the device at every site)."""


@final
class RangeDetector:
    """Count, warn or raise where a clipact activation meets a value past its threshold, or NaN.

    A context manager: protected activations cost nothing more outside of it. A value out of range is the cheapest
    symptom of a hardware fault; what to do with it (run the batch again, reload the weights) is up to the caller.

    Args:
        model: A model with clipact activations.
        action: What to do, :attr:`OnOutOfRange.COUNT` by default.

    Raises:
        SelectionError: The model has no clipact activation.

    Examples:
        >>> import torch, clipact as ca
        >>> model = ca.nn.SaturatedReLU(6.0)
        >>> with RangeDetector(model) as detector:
        ...     _ = model(torch.tensor([1.0, 7.0, float("inf")]))
        >>> detector.counts, detector.total
        ({'': 2}, 2)
    """

    def __init__(self, model: nn.Module, action: OnOutOfRange = OnOutOfRange.COUNT) -> None:
        self._sites = {
            name: module for name, module in model.named_modules() if isinstance(module, Activation)
        }
        if not self._sites:
            raise SelectionError(
                f"{type(model).__name__} has no clipact activation to watch; protect it or replace its activations first"
            )
        self._action = action
        self._counts: dict[str, Tensor] = {}
        self._handles: list[Any] = []

    @property
    def counts(self) -> dict[str, int]:
        """Values out of range by site, sites that saw none included."""
        return {
            name: int(self._counts[name]) if name in self._counts else 0 for name in self._sites
        }

    @property
    def total(self) -> int:
        """Values out of range over all sites."""
        return sum(self.counts.values())

    def reset(self) -> None:
        """Start counting from zero."""
        self._counts.clear()

    def __enter__(self) -> Self:
        if self._handles:
            raise RuntimeError("this detector is watching already; make another one to nest them")
        for name, module in self._sites.items():
            if isinstance(module, RangeRestricted):  # its activation must not run a second time
                hook = self._see_output(name, module)
                self._handles.append(module.activation.register_forward_hook(hook))
            else:
                self._handles.append(
                    module.register_forward_pre_hook(self._see_input(name, module))
                )
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        while self._handles:
            self._handles.pop().remove()

    def _see_output(
        self, name: str, module: RangeRestricted
    ) -> Callable[[nn.Module, Any, Tensor], None]:
        def see(_inner: nn.Module, _args: Any, output: Tensor) -> None:
            self._count(name, module.outside(output.detach()))

        return see

    def _see_input(
        self, name: str, module: Activation
    ) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def see(_module: nn.Module, args: tuple[Tensor, ...]) -> None:
            self._count(name, module.out_of_range(args[0].detach()))

        return see

    def _count(self, name: str, outside: Tensor) -> None:
        found = outside.sum()
        self._counts[name] = self._counts[name] + found if name in self._counts else found
        if self._action is OnOutOfRange.COUNT or not int(found):
            return
        message = f"{int(found)} of {outside.numel()} values at {name!r} are out of range"
        if self._action is OnOutOfRange.RAISE:
            raise OutOfRangeError(message)
        warnings.warn(message, OutOfRangeWarning, stacklevel=2)
