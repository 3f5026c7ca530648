"""Put a recorder into a model for a while: its hooks, and an object of its own at every registration."""

import functools
import types
from collections.abc import Callable, Generator
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager
from typing import Any, Final, final

from torch import jit, nn

from clipact.nn import Activation
from clipact.surgery._follow import Follower, Listener
from clipact.surgery._functions import FUNCTIONS
from clipact.surgery._kinds import is_replaceable
from clipact.surgery._names import Origin, Source, join
from clipact.surgery._record import Recorder
from clipact.surgery._registered import registered
from clipact.surgery._uncopied import Uncopied

__all__ = ["HOOKS", "following", "recording", "twin", "unshared", "visible_modules"]

HOOKS: Final = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
)
"""The dictionaries in which a module keeps its forward hooks."""


@contextmanager
def recording(model: nn.Module, kinds: tuple[type, ...]) -> Generator[Recorder]:
    """A recorder of everything the model runs inside; afterwards the model is as it was."""
    recorder = Recorder()
    with following(model, kinds, recorder):
        yield recorder


@contextmanager
def following(
    model: nn.Module,
    kinds: tuple[type, ...],
    listener: Listener,
    *,
    layers: tuple[type, ...] = (),
    names: AbstractSet[str] | None = None,
) -> Generator[None]:
    """Tell a listener what the model runs inside; afterwards the model is as it was.

    Args:
        model: Any module.
        kinds: What counts as a site.
        listener: Told of sites, and of modules that run.
        layers: Kinds of which the output is a site too, as their forward returns it, before other hooks see it. What
            they call is looked into.
        names: The only sites that the listener needs to be told of; fewer cost less. It is then not told of every module.
    """
    with ExitStack() as stack:
        stack.enter_context(unshared(model, kinds))
        modules = visible_modules(model)
        follower = Follower(modules, kinds, listener)
        stack.enter_context(_probed(modules, follower))
        for path, module in modules.items():
            if names is not None and path not in names and _calls_nothing(module, kinds):
                continue
            if module.__dict__["_forward_hooks"]:
                first = module.register_forward_hook(Uncopied(follower.returned), prepend=True)
                stack.callback(first.remove)
            before = module.register_forward_pre_hook(Uncopied(follower.enter), with_kwargs=True)
            stack.callback(before.remove)
            stack.callback(module.register_forward_hook(Uncopied(follower.leave)).remove)
            told = names is None or path in names
            if told and isinstance(module, layers) and not isinstance(module, (*kinds, Activation)):
                first = module.register_forward_hook(Uncopied(follower.result), prepend=True)
                stack.callback(first.remove)
        last = model.register_forward_hook(Uncopied(follower.end), always_call=True)
        stack.callback(last.remove)
        if names is None or not names <= modules.keys():
            stack.enter_context(follower)
        yield


def _calls_nothing(module: nn.Module, kinds: tuple[type, ...]) -> bool:
    """Whether this is a layer of torch's that can neither be nor call a site."""
    if isinstance(module, (*kinds, Activation)) or next(module.children(), None) is not None:
        return False
    return type(module).__module__.split(".")[:2] == ["torch", "nn"]


def visible_modules(model: nn.Module) -> dict[str, nn.Module]:
    """The model's modules by path, each object once; what lies inside a script module runs out of Python's sight."""
    visible: dict[str, nn.Module] = {}
    hidden: tuple[str, ...] = ()
    for path, module in model.named_modules():
        if isinstance(module, jit.ScriptModule):
            hidden = (*hidden, f"{path}.")
        elif not path.startswith(hidden):
            visible[path] = module
    return visible


@contextmanager
def unshared(model: nn.Module, kinds: tuple[type, ...]) -> Generator[None]:
    """One activation object registered at several places becomes one object a place."""
    seen: set[int] = set()
    with ExitStack() as stack:
        for parent in visible_modules(model).values():
            for key, child in registered(parent).items():
                if (
                    child is None
                    or not isinstance(child, (*kinds, Activation))
                    or not is_replaceable(child)
                ):
                    continue
                if id(child) in seen:
                    stack.callback(registered(parent).__setitem__, key, child)
                    registered(parent)[key] = twin(child)
                seen.add(id(child))
        yield


def twin(module: nn.Module) -> nn.Module:
    """Another module object with the same parameters, buffers, children and settings, and hook tables of its own."""
    other: nn.Module = object.__new__(type(module))
    other.__dict__ = dict(module.__dict__)
    for name in HOOKS:
        other.__dict__[name] = other.__dict__[name].copy()
    return other


@final
class _Probe:
    """A function stored as an attribute, telling the follower through which attribute it is called."""

    def __init__(self, function: Callable[..., Any], source: Source, follower: Follower) -> None:
        self._function = function
        self._source = source
        self._follower = follower

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._follower.attribute = self._source
        try:
            return self._function(*args, **kwargs)
        finally:
            self._follower.attribute = None

    def __reduce__(self) -> Any:
        return _itself, (self._function,)  # a copy of the model has the function


def _itself(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


@contextmanager
def _probed(modules: dict[str, nn.Module], follower: Follower) -> Generator[None]:
    with ExitStack() as stack:
        for path, module in modules.items():
            attributes = module.__dict__
            for key in [key for key, value in attributes.items() if _is_activation_function(value)]:
                stack.callback(attributes.__setitem__, key, attributes[key])
                attributes[key] = _Probe(
                    attributes[key], Source(join(path, key), Origin.ATTRIBUTE), follower
                )
        yield


def _is_activation_function(value: Any) -> bool:
    if isinstance(value, functools.partial):
        value = value.func
    plain = (types.FunctionType, types.BuiltinFunctionType, types.MethodDescriptorType)
    return isinstance(value, plain) and value in FUNCTIONS
