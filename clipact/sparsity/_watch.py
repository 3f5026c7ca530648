"""The hook by which a controller of sparsity sees an activation, and by which another one notices it."""

import weakref
from collections.abc import Iterable, Mapping
from typing import Any, final

from torch import Tensor, nn

from clipact.errors import ScheduleError
from clipact.sparsity._first_input import first_input
from clipact.sparsity._granules import Thresholded
from clipact.sparsity._held import Held

__all__ = ["Watch", "refuse_trained", "refuse_unholdable"]


@final
class Watch:
    """Forward hook with keyword arguments: tell a controller of one activation, for as long as that controller exists.

    A copy of the model alone has nobody to tell; where model and controller are copied together, theirs is told.

    Args:
        held: What the controller knows of the activation.
    """

    def __init__(self, held: Held | None) -> None:
        self._held = None if held is None else weakref.ref(held)

    @property
    def held(self) -> Held | None:
        """What a controller knows of the activation, None if there is no controller any more."""
        return None if self._held is None else self._held()

    def __call__(
        self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor
    ) -> None:
        if (held := self.held) is not None:
            held.see(first_input(args, kwargs), output)

    def __reduce__(self) -> Any:
        return Watch, (self.held,)


def refuse_unholdable(model: nn.Module, modules: Mapping[str, Thresholded]) -> None:
    """Refuse what is trained, and what another controller holds.

    Raises:
        ScheduleError: Names the activations.
    """
    refuse_trained(modules.items())
    others = {id(held.module.tau) for held in _held(model.modules())}
    if taken := [name for name, module in modules.items() if id(module.tau) in others]:
        raise ScheduleError(
            f"tau of {_listed(taken)} is held already, by another controller of sparsity that is still open, and two would fight; "
            "close() that one first, or choose other activations with where="
        )


def refuse_trained(modules: Iterable[tuple[str, Thresholded]]) -> None:
    """Refuse thresholds that an optimizer may train.

    Raises:
        ScheduleError: Names the activations.
    """
    if trained := [name for name, module in modules if module.tau.requires_grad]:
        raise ScheduleError(
            f"tau of {_listed(trained)} is trained itself (requires_grad=True), and cannot be held as well; turn that off"
        )


def _held(modules: Iterable[nn.Module]) -> Iterable[Held]:
    for module in modules:
        for hook in module.__dict__["_forward_hooks"].values():
            if isinstance(hook, Watch) and (held := hook.held) is not None:
                yield held


def _listed(names: list[str]) -> str:
    return ", ".join(name or "the model" for name in names)
