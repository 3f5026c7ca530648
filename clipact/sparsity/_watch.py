"""The hook by which a controller of sparsity sees an activation, and by which another one notices it."""

import weakref
from collections.abc import Iterable, Mapping
from typing import Any, final

from torch import Tensor, nn

from clipact.errors import ScheduleError
from clipact.sparsity._granules import Thresholded
from clipact.sparsity._held import Held

__all__ = ["Watch", "refuse_trained", "refuse_unholdable"]


@final
class Watch:
    """Forward hook: tell a controller of one activation, for as long as that controller exists.

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

    def __call__(self, _module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if (held := self.held) is not None:
            held.see(inputs, output)

    def __reduce__(self) -> Any:
        return Watch, (self.held,)


def refuse_unholdable(model: nn.Module, modules: Mapping[str, Thresholded]) -> None:
    """Refuse what is trained, what another controller holds, and what two activations share.

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
    first: dict[int, str] = {}
    for name, module in modules.items():
        other = first.setdefault(id(module.tau), name)
        if other != name:
            raise ScheduleError(
                f"{_listed([other])} and {_listed([name])} have one and the same tau, which cannot hold the sparsity of each; give each its own, or "
                "choose one with where="
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
