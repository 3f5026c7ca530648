"""Trace the forward of one container, its children as leaves, for any input that looks like the example."""

import inspect
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import fx, nn
from torch.utils import _pytree as pytree

from clipact.surgery._ambient import ambient, refused_regions, surroundings
from clipact.surgery._call import TENSOR
from clipact.surgery._factories import is_symbol, traced_factories
from clipact.surgery._program import RewrittenForward
from clipact.surgery._randomness import kept_randomness
from clipact.surgery._symbols import TensorSymbol, UntraceableError, symbols_as_tensors
from clipact.surgery._unchanged import unchanged

__all__ = ["Trace", "UntraceableError", "trace"]


@final
@dataclass(frozen=True)
class Trace:
    """What tracing gives.

    Attributes:
        graph: The computation, children as ``call_module`` nodes.
        signature: Of the container's forward, ``self`` included.
        fixed: Expressions over the arguments, each with the plain value it must have.
        required: Arguments that may be None by their default, but were tensors.
    """

    graph: fx.Graph
    signature: inspect.Signature
    fixed: list[tuple[str, Any]]
    required: list[str]


def trace(
    container: nn.Module, arguments: tuple[tuple[Any, ...], dict[str, Any]], *, training: bool
) -> Trace:
    """Trace a container in one of its modes; it is afterwards what it was.

    Raises:
        UntraceableError: With the reason.
    """
    traced = _trace(container, arguments, training=training, plain=True)
    other = _trace(container, arguments, training=training, plain=False)
    if traced.graph.python_code("self").src != other.graph.python_code("self").src:
        raise UntraceableError(
            "what it does depends on the training mode of a child, on gradients being on or on autocast"
        )
    return traced


def _trace(
    container: nn.Module,
    arguments: tuple[tuple[Any, ...], dict[str, Any]],
    *,
    training: bool,
    plain: bool,
) -> Trace:
    """Trace with descendants in the container's mode, gradients and no autocast, or the opposite of all three."""
    root = _traceable(container, training=training)
    tracer = _ContainerTracer(arguments)
    with _undone(container) as (changes, drawn), surroundings(plain=plain):
        for module in container.modules():
            module.training = training if plain or module is container else not training
        root.training = training
        try:
            with traced_factories(tracer), refused_regions(), symbols_as_tensors():
                tracer.surroundings = ambient()
                graph = tracer.trace(root)
        except UntraceableError:
            raise
        except Exception as error:
            reason = next(iter(str(error).splitlines()), "")
            raise UntraceableError(f"{type(error).__name__}: {reason}") from error
        if found := changes():
            raise UntraceableError(f"its forward changes or creates {', '.join(found)}")
        if drawn():
            raise UntraceableError("its forward draws random numbers from Python or NumPy")
    return Trace(graph, tracer.signature, tracer.fixed, tracer.required)


@contextmanager
def _undone(
    container: nn.Module,
) -> Generator[tuple[Callable[[], list[str]], Callable[[], bool]]]:
    """Put back the container's attributes and every random state."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with (
        torch.random.fork_rng(devices=devices),
        kept_randomness() as drawn,
        unchanged(container) as changes,
    ):
        yield changes, drawn


def _traceable(container: nn.Module, *, training: bool) -> nn.Module:
    """The container; if it was rewritten before, a view of it whose class has the rewritten forward."""
    forward = container.__dict__.get("forward")
    if forward is None:
        return container
    if not isinstance(forward, RewrittenForward):
        raise UntraceableError("its forward was replaced on the instance; undo that first")
    program = forward.training if training else forward.evaluating
    view = type(type(container).__name__, (nn.Module,), {"forward": program.compile()})
    root: nn.Module = object.__new__(view)
    root.__dict__ = container.__dict__
    return root


@final
class _ContainerTracer(fx.Tracer):
    """Traces with tensors of the example as symbols and everything else in it as constants."""

    proxy_buffer_attributes = True

    def __init__(self, arguments: tuple[tuple[Any, ...], dict[str, Any]]) -> None:
        super().__init__()
        self.fixed: list[tuple[str, Any]] = []
        self.required: list[str] = []
        self.signature = inspect.Signature()
        self.surroundings = ambient()
        self._arguments = arguments

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        """Every call of a graph runs in the modes of torch in which the graph does.

        Raises:
            UntraceableError: The forward is in another mode by now.
        """
        if ambient() != self.surroundings:
            raise UntraceableError(
                "part of it runs in a gradient, inference or autocast mode that it sets itself"
            )
        return super().create_node(*args, **kwargs)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:  # noqa: ARG002 - fx's signature
        """Every child."""
        return True

    def create_arg(self, a: Any) -> Any:
        """A symbol is a node even if it claims to be a tensor."""
        return a.node if is_symbol(a) else super().create_arg(a)

    def create_args_for_root(
        self,
        root_fn: Callable[..., Any],
        is_module: bool,  # noqa: ARG002, FBT001 - fx's signature
        concrete_args: Any = None,  # noqa: ARG002 - fx's signature
    ) -> tuple[Callable[[], Any], list[Any]]:
        """Placeholders for what is or contains a tensor, constants for the rest."""
        args, kwargs = self._arguments
        self.signature = inspect.signature(root_fn)
        bound = self.signature.bind(self.root, *args, **kwargs)
        bound.apply_defaults()
        for name, value in list(bound.arguments.items())[1:]:
            bound.arguments[name] = self._symbol(name, value)
        return lambda: root_fn(*bound.args, **bound.kwargs), []

    def _symbol(self, name: str, value: Any) -> Any:
        if not any(leaf is TENSOR for leaf in pytree.tree_leaves(value)):
            return self._constant(name, value)
        if self.signature.parameters[name].default is None:
            self.required.append(name)
        return self._unpack(name, self.create_proxy("placeholder", name, (), {}), value)

    def _unpack(self, name: str, proxy: Any, value: Any) -> Any:
        if value is TENSOR:
            return TensorSymbol(proxy.node, self)
        if isinstance(value, dict):
            self.fixed.append((f"list({name})", list(value)))
            return {
                key: self._unpack(f"{name}[{key!r}]", proxy[key], item)
                for key, item in value.items()
            }
        if isinstance(value, tuple | list):
            self.fixed.append((f"len({name})", len(value)))
            items = [self._unpack(f"{name}[{i}]", proxy[i], item) for i, item in enumerate(value)]
            return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
        return self._constant(name, value)

    def _constant(self, name: str, value: Any) -> Any:
        if not _is_plain(value):
            raise TypeError(f"its argument {name} is of type {type(value).__name__}")
        self.fixed.append((name, value))
        return value


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(_is_plain(item) for item in value)
    if isinstance(value, dict):
        return all(_is_plain(item) for item in value.values())
    return value is None or isinstance(value, bool | int | float | str | torch.dtype | torch.device)
