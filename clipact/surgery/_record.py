"""Follow a forward pass: which container calls which activation, in what order.

Hooks on every module keep the stack of running modules, a :class:`TorchFunctionMode` sees functional calls. A call
belongs to the container on top of the stack; what happens inside an activation module is its own business.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, final

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from clipact.nn import Activation
from clipact.surgery._call import TENSOR, Call, Called
from clipact.surgery._frames import Frames
from clipact.surgery._functions import FUNCTIONS
from clipact.surgery._kinds import is_replaceable
from clipact.surgery._names import Names, Origin, Source
from clipact.surgery._outputs import first_tensor

__all__ = ["OnCall", "Recorder"]


OnCall = Callable[[Call, Tensor], None]


@final
class Recorder(TorchFunctionMode):
    """Records calls of the given kinds, and of our own activations, while it is active and its hooks are in place.

    Attributes:
        calls: Each place once, by name, in order of its first execution.
        sequences: By container, the calls of each of its executions.
        arguments: By container, the arguments of each execution, tensors replaced by :data:`TENSOR`.
        ran: Paths of the modules that ran.
        reshaped: Paths of those that did not give one new tensor of their input's shape.
        attribute: The attribute through which a function is being called.
    """

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        kinds: tuple[type, ...],
        on_call: OnCall | None = None,
    ) -> None:
        super().__init__()
        self.calls: dict[str, Call] = {}
        self.sequences: dict[str, list[list[Call]]] = {}
        self.arguments: dict[str, list[Any]] = {}
        self.ran: set[str] = set()
        self.reshaped: set[str] = set()
        self.attribute: Source | None = None
        self._kinds = (*kinds, Activation)
        self._names = Names(modules)
        self._paths = {id(module): path for path, module in modules.items()}
        self._on_call = on_call
        self._frames = Frames()
        self._busy = False

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Forward pre-hook of every module."""
        path = self._paths[id(module)]
        opaque = self._hidden() or (isinstance(module, self._kinds) and is_replaceable(module))
        self._frames.push(path, opaque=opaque)
        self.ran.add(path)
        if not opaque:
            marked = pytree.tree_map_only(Tensor, lambda _: TENSOR, (args, kwargs))
            self.arguments.setdefault(path, []).append(marked)

    def end(self, *_: Any) -> None:
        """Forward hook of the model itself, called after an exception too."""
        self._frames.end_root()

    def leave(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Forward hook of every module."""
        path = self._paths[id(module)]
        frame = self._frames.pop(path)
        if not frame.opaque:
            self.sequences.setdefault(path, []).append(frame.calls)
        if not _is_same_shape(args, output):
            self.reshaped.add(path)
        tensor = first_tensor(output)
        if tensor is None or self._hidden() or not isinstance(module, self._kinds):
            return
        self._see(_of_module(path, module), tensor)

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
        self._see(Called(source, found.kind, module, is_output=False, in_place=in_place), output)
        return output

    def _hidden(self) -> bool:
        return self._busy or self._frames.opaque

    def _see(self, called: Called, output: Tensor) -> None:
        frame = self._frames.top
        if called.is_output:
            name = called.source.name
        else:
            frame.ordinals[called.source] += 1
            name = self._names.of(frame.path, called.source, frame.ordinals[called.source])
        if name not in self.calls:
            self.calls[name] = called.at(name, frame.path, output.device)
        call = self.calls[name]
        call.shapes.append(output.shape)
        frame.calls.append(call)
        if self._on_call is not None:
            self._busy = True
            try:
                self._on_call(call, output)
            finally:
                self._busy = False


def _of_module(path: str, module: nn.Module) -> Called:
    whole = is_replaceable(module)
    return Called(
        Source(path, Origin.MODULE),
        type(module),
        (lambda: module) if whole else nn.Identity,
        is_output=not whole,
        in_place=whole and bool(getattr(module, "inplace", False)),
    )


def _is_same_shape(args: tuple[Any, ...], output: Any) -> bool:
    """Whether a module gave a new tensor of its first argument's shape, as activations do."""
    given = args[0] if args else None
    same = isinstance(given, Tensor) and isinstance(output, Tensor) and given.shape == output.shape
    return same and output is not given
