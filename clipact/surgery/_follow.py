"""Follow a forward pass: which container calls which activation, in what order.

Hooks on modules keep the stack of running modules, a :class:`TorchFunctionMode` sees functional calls. A call belongs
to the container on top of the stack; what happens inside an activation module is its own business.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple, final

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from clipact.nn import Activation
from clipact.surgery._call import Called
from clipact.surgery._frames import Frame, Frames, version_of
from clipact.surgery._functions import FUNCTIONS
from clipact.surgery._kinds import is_replaceable
from clipact.surgery._names import Names, Origin, Source

__all__ = ["Arguments", "Follower", "Listener", "Run"]

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class Run(NamedTuple):
    """One execution of a call.

    Attributes:
        name: The site's name.
        number: How often it was executed before in this forward.
        called: What is called.
        overwrote: It has overwritten its input, which is the output.
        frame: The container that calls it.
    """

    name: str
    number: int
    called: Called
    overwrote: bool
    frame: Frame


class Listener(ABC):
    """What is told of a forward pass while it runs."""

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments | None:  # noqa: ARG002 - for those that override it
        """A forward starts: a call of the model, or of a part of it, from outside. What is returned replaces its arguments."""
        return None

    def entered(  # noqa: B027 - not every listener wants to know
        self, frame: Frame, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """A module starts to run."""

    def left(  # noqa: B027 - as above
        self, frame: Frame, args: tuple[Any, ...], output: Any
    ) -> None:
        """A module has run."""

    @abstractmethod
    def see(self, run: Run, output: Any) -> Any:
        """A site gave this output. What is returned, unless None, is what the model goes on with."""


@final
class Follower(TorchFunctionMode):
    """Tells a listener what the model runs, while it is active and its hooks are in place.

    Sites are calls of the given kinds and of our own activations.

    Attributes:
        attribute: The attribute through which a function is being called.
    """

    def __init__(
        self, modules: Mapping[str, nn.Module], kinds: tuple[type, ...], listener: Listener
    ) -> None:
        super().__init__()
        self.attribute: Source | None = None
        self._kinds = (*kinds, Activation)
        self._names = Names(modules)
        self._paths = {id(module): path for path, module in modules.items()}
        self._listener = listener
        self._frames = Frames()
        self._executions: dict[str, int] = {}
        self._busy = False

    def enter(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Arguments | None:
        """Forward pre-hook of a module."""
        path = self._paths[id(module)]
        changed = None
        if self._frames.is_outside(path) and not self._busy:
            self._executions.clear()
            changed = self._listener.begin(args, kwargs)
            args, kwargs = changed or (args, kwargs)
        opaque = self._hidden() or (isinstance(module, self._kinds) and is_replaceable(module))
        frame = self._frames.push(path, opaque=opaque)
        if args and isinstance(args[0], Tensor) and getattr(module, "inplace", False):
            frame.given = (args[0], version_of(args[0]))
        self._listener.entered(frame, args, kwargs)
        return changed

    def leave(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        """Forward hook of a module."""
        path = self._paths[id(module)]
        frame = self._frames.pop(path)
        self._listener.left(frame, args, output)
        if self._hidden() or not isinstance(module, self._kinds):
            return None
        return self._see(_of_module(path, module), output, overwrote=frame.overwrote(output))

    def returned(self, *_: Any) -> None:
        """Forward hook of a module that has others, before them."""
        self._frames.top.returned = True

    def result(self, module: nn.Module, _args: tuple[Any, ...], output: Any) -> Any:
        """Forward hook of a layer that is no site, before its other hooks."""
        if self._hidden():
            return None
        return self._see(_of_layer(self._paths[id(module)], module), output)

    def end(self, *_: Any) -> None:
        """Forward hook of the model itself, called after an exception too."""
        self._frames.end_root()

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """See a functional call of an activation."""
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        found = FUNCTIONS.get(func)
        if (
            found is None
            or not self._frames
            or self._hidden()
            or not issubclass(found.kind, self._kinds)
        ):
            return output
        source, self.attribute = self.attribute or Source(found.name, Origin.FUNCTION), None
        module = partial(found.as_module, args, kwargs)
        in_place = found.overwrites(args, kwargs)
        called = Called(source, found.kind, module, is_output=False, in_place=in_place)
        changed = self._see(called, output, overwrote=in_place)
        return output if changed is None else changed

    def _hidden(self) -> bool:
        return self._busy or self._frames.opaque

    def _see(self, called: Called, output: Any, *, overwrote: bool = False) -> Any:
        frame = self._frames.top
        name = called.source.name
        if not called.is_output:
            frame.ordinals[called.source] += 1
            name = self._names.of(frame.path, called.source, frame.ordinals[called.source])
        number = self._executions.get(name, 0)
        self._executions[name] = number + 1
        self._busy = True
        try:
            return self._listener.see(Run(name, number, called, overwrote, frame), output)
        finally:
            self._busy = False


def _of_module(path: str, module: nn.Module) -> Called:
    if not is_replaceable(module):
        return _of_layer(path, module)
    in_place = bool(getattr(module, "inplace", False))
    source = Source(path, Origin.MODULE)
    return Called(source, type(module), lambda: module, is_output=False, in_place=in_place)


def _of_layer(path: str, module: nn.Module) -> Called:
    source = Source(path, Origin.MODULE)
    return Called(source, type(module), nn.Identity, is_output=True, in_place=False)
