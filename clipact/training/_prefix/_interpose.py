"""Something in the place of every module's ``forward``, put in for a while and taken out without a trace."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Protocol, final

from torch import jit, nn

__all__ = ["Actor", "interposed"]

_FORWARD = "forward"


class Actor(Protocol):
    """What is called in the place of a module's ``forward``."""

    def __call__(
        self,
        module: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Return what ``forward(*args, **kwargs)`` would."""
        ...


@final
class _StandIn:
    def __init__(self, module: nn.Module, actor: Actor) -> None:
        self._module, self._actor = module, actor
        self.__wrapped__: Callable[..., Any] = module.forward

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._actor(self._module, self.__wrapped__, args, kwargs)


@contextmanager
def interposed(model: nn.Module, actor: Actor) -> Generator[None]:
    """Have the actor called in place of the forwards of the model and of its parts, script modules aside."""
    modules = [module for module in model.modules() if not isinstance(module, jit.ScriptModule)]
    before = [module.__dict__.get(_FORWARD) for module in modules]
    try:
        for module in modules:
            module.__dict__[_FORWARD] = _StandIn(module, actor)
        yield
    finally:
        for module, own in zip(modules, before, strict=True):
            if own is None:
                module.__dict__.pop(_FORWARD, None)
            else:
                module.__dict__[_FORWARD] = own
