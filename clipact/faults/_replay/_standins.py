"""Stand-ins for the ``forward`` of modules, put in for a while and taken out without a trace."""

import copy
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from types import MethodType
from typing import Any, Protocol, final

from torch import jit, nn

__all__ = ["Actor", "StandIn", "is_opaque", "standing_in", "visible_modules"]


class Actor(Protocol):
    """What is called in the place of a module's ``forward``."""

    def __call__(
        self, path: str, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Return what ``forward(*args, **kwargs)`` would."""
        ...


@final
class StandIn:
    """In the place of a module's ``forward``; a copy of the module has its own forward again."""

    def __init__(self, module: nn.Module, path: str, actor: Actor) -> None:
        self._module, self._path, self._actor = module, path, actor
        self._own: Any = module.__dict__.get("forward")
        self.__wrapped__: Callable[..., Any] = module.forward

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._actor(self._path, self.__wrapped__, args, kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if self._own is not None:
            return copy.deepcopy(self._own, memo)
        module = memo.get(id(self._module), self._module)
        return MethodType(type(module).forward, module)


@contextmanager
def standing_in(modules: Iterable[tuple[str, nn.Module]], actor: Actor) -> Generator[None]:
    """Have the actor called in place of the modules' own forwards, which it is given."""
    chosen = list(modules)
    before = [module.__dict__.get("forward") for _, module in chosen]
    try:
        for path, module in chosen:
            module.__dict__["forward"] = StandIn(module, path, actor)
        yield
    finally:
        # a Ctrl-C must not leave one behind, and to take out twice does no harm
        try:
            _take_out(chosen, before)
        except BaseException:
            _take_out(chosen, before)
            raise


def _take_out(chosen: list[tuple[str, nn.Module]], before: list[Any]) -> None:
    for (_, module), own in zip(chosen, before, strict=True):
        if own is not None:
            module.__dict__["forward"] = own
        else:
            module.__dict__.pop("forward", None)


def visible_modules(model: nn.Module) -> dict[str, nn.Module]:
    """The modules whose calls Python sees, by first path: nothing inside of script modules and compiled ones."""
    opaque = [module for module in model.modules() if is_opaque(module)]
    hidden = {id(part) for module in opaque for part in list(module.modules())[1:]}
    return {path: module for path, module in model.named_modules() if id(module) not in hidden}


def is_opaque(module: nn.Module) -> bool:
    """Whether what a module runs is not its own Python code."""
    children: dict[str, Any] = module.__dict__.get("_modules", {})
    return isinstance(module, jit.ScriptModule) or "_orig_mod" in children
