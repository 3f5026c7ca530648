"""Rewrite one container: each of its activation calls goes to a child of its own."""

import inspect
import re
import types
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, fx, nn

from clipact.nn import Activation
from clipact.surgery._call import Call
from clipact.surgery._functions import FUNCTIONS
from clipact.surgery._kinds import is_replaceable
from clipact.surgery._names import Origin
from clipact.surgery._program import Program, find
from clipact.surgery._record import Recorder
from clipact.surgery._trace import Trace, UntraceableError, trace

__all__ = ["rewrite"]

_IMPORT_CHECK = "clipact.surgery._program:check"


def rewrite(
    path: str,
    container: nn.Module,
    recorder: Recorder,
    targets: Mapping[str, str],
    kinds: tuple[type, ...],
) -> tuple[Program, Program]:
    """Programs for eval and training mode in which chosen calls go to other children.

    Args:
        path: The container's.
        container: Left as it is; it must have no activation object registered twice.
        recorder: What its forward did in the example.
        targets: Name of a call -> path of the child that it goes to, relative to the container.
        kinds: What was recorded.

    Raises:
        UntraceableError: With the reason.
    """
    calls = _sequence(recorder, path)
    arguments = recorder.arguments[path]
    if any(repr(other) != repr(arguments[0]) for other in arguments):
        raise UntraceableError(
            "it is called in several ways, with different arguments that are not tensors"
        )
    programs: list[Program] = []
    settings: list[Any] = []
    for training in (False, True):
        traced = trace(container, arguments[0], training=training)
        nodes = _activation_nodes(traced.graph, container, kinds)
        if not _agree(nodes, calls, path):
            mode = "in training mode " if training else ""
            raise UntraceableError(
                f"{mode}tracing sees {len(nodes)} activation calls, the example made {len(calls)}"
            )
        settings.append([_settings(node) for node, _ in nodes])
        if settings[-1] != settings[0]:
            raise UntraceableError("an activation function has other settings in training mode")
        for node, call in zip(nodes, calls, strict=True):
            if call.name in targets:
                _redirect(traced.graph, node, targets[call.name], in_place=call.in_place)
        programs.append(_program(path or type(container).__name__, traced))
    return programs[0], programs[1]


def _settings(node: fx.Node) -> tuple[Any, ...]:
    """The arguments of an activation call that are plain values."""
    given = (*node.args, *node.kwargs.items())
    return tuple(repr(value) for value in given[1:] if not isinstance(value, fx.Node))


def _sequence(recorder: Recorder, path: str) -> list[Call]:
    runs = [[call for call in run if not call.is_output] for run in recorder.sequences[path]]
    if any(run != runs[0] for run in runs):
        raise UntraceableError("it runs several times and does not always make the same calls")
    return runs[0]


def _activation_nodes(
    graph: fx.Graph, container: nn.Module, kinds: tuple[type, ...]
) -> list[tuple[fx.Node, Any]]:
    """The nodes that call activations, each with the module's path, or None and the kind, as :func:`_agree` wants it."""
    found: list[tuple[fx.Node, Any]] = []
    for node in graph.nodes:
        if node.op == "call_module":
            module = container.get_submodule(str(node.target))
            if isinstance(module, (*kinds, Activation)) and is_replaceable(module):
                found.append((node, str(node.target)))
        elif node.op in {"call_function", "call_method"}:
            called = (
                getattr(Tensor, str(node.target), None) if node.op == "call_method" else node.target
            )
            function = FUNCTIONS.get(called) if isinstance(called, _HASHABLE) else None
            if function is not None and issubclass(function.kind, kinds):
                found.append((node, function.kind))
    return found


_HASHABLE = (types.FunctionType, types.BuiltinFunctionType, types.MethodDescriptorType)


def _agree(nodes: list[tuple[fx.Node, Any]], calls: Sequence[Call], path: str) -> bool:
    """Whether tracing found what the recorder saw, in the same order."""
    expected = [
        call.source.name.removeprefix(f"{path}.")
        if call.source.origin is Origin.MODULE
        else call.kind
        for call in calls
    ]
    return [what for _, what in nodes] == expected


def _redirect(graph: fx.Graph, found: tuple[fx.Node, Any], target: str, *, in_place: bool) -> None:
    """Have a node's work done by a child, out of place; who used an overwritten input uses the output from here on."""
    node, _ = found
    given: Any = node.kwargs.get("input", node.args[0] if node.args else None)
    with graph.inserting_before(node):
        new = graph.create_node("call_module", target, (given,))
    node.replace_all_uses_with(new)
    if in_place:
        order = {other: index for index, other in enumerate(graph.nodes)}
        for user in [user for user in given.users if order[user] > order[node]]:
            user.replace_input_with(given, new)
    graph.erase_node(node)


def _program(where: str, traced: Trace) -> Program:
    for node in traced.graph.nodes:
        node.meta.pop(
            "is_wrapped", None
        )  # would have the generated code register itself with torch.fx
    code = traced.graph.python_code("self")
    imports = {"_check": _IMPORT_CHECK}
    constants: dict[str, Any] = {}
    for name, value in code.globals.items():
        if re.search(rf"\b{re.escape(name)}\b", code.src):
            if isinstance(value, float | None):
                constants[name] = value
            else:
                imports[name] = _reference(name, value)
    head = _head(where, traced, constants)
    return Program(code.src, head, imports, constants)


def _reference(name: str, value: Any) -> str:
    if isinstance(value, types.ModuleType):
        return value.__name__
    reference = f"{getattr(value, '__module__', None)}:{getattr(value, '__qualname__', '')}"
    try:
        if find(reference) is value:
            return reference
    except (ImportError, AttributeError, ValueError):
        pass
    raise UntraceableError(f"it uses {name}, which cannot be found by a name in a module")


def _head(where: str, traced: Trace, constants: dict[str, Any]) -> str:
    """The function with the container's own signature, which checks its arguments and calls the body."""
    parameters = [
        parameter.replace(
            annotation=inspect.Parameter.empty, default=_default(parameter, constants)
        )
        for parameter in traced.signature.parameters.values()
    ]
    signature = inspect.Signature(parameters)
    owner = parameters[0].name
    lines = [f"def forward{signature}:"]
    for index, (expression, value) in enumerate(traced.fixed):
        constants[f"_fixed_{index}"] = value
        lines.append(f"    _check({where!r}, {expression!r}, {expression}, _fixed_{index})")
    lines += [
        f"    if {name} is None: _check({where!r}, {name!r}, None, 'a tensor')"
        for name in traced.required
    ]
    given = [str(node.target) for node in traced.graph.nodes if node.op == "placeholder"]
    return "\n".join([*lines, f"    return _body({', '.join([owner, *given])})", ""])


class _Name:
    """Prints as a bare name, in a signature that becomes source code."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


def _default(parameter: inspect.Parameter, constants: dict[str, Any]) -> Any:
    if parameter.default is inspect.Parameter.empty:
        return parameter.default
    name = f"_default_{parameter.name}"
    constants[name] = parameter.default
    return _Name(name)
