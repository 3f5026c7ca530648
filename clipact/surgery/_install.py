"""Carry out a plan: children, guards, rewritten forwards."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from torch import nn

from clipact.nn import Activation
from clipact.surgery._call import Call
from clipact.surgery._journal import Journal
from clipact.surgery._names import Origin, split
from clipact.surgery._output_guard import attach, free_child
from clipact.surgery._plan import Plan
from clipact.surgery._program import Program, RewrittenForward
from clipact.surgery._recording import HOOKS, twin

__all__ = ["finish", "install", "stand_ins"]

_BACKWARD: Final = ("_backward_hooks", "_backward_pre_hooks", "_is_full_backward_hook")


def stand_ins(plan: Plan, calls: Mapping[str, Call]) -> dict[str, nn.Module]:
    """For each place of the plan a module that does what the model did there before, out of place."""
    modules: dict[str, nn.Module] = {}
    for name in plan.modules:
        modules[name] = twin(calls[name].activation)
        if getattr(modules[name], "inplace", False):
            modules[name].__dict__["inplace"] = False
    return modules


def install(
    journal: Journal,
    model: nn.Module,
    modules: Mapping[str, nn.Module],
    programs: Mapping[str, tuple[Program, Program]],
) -> None:
    """Register the modules, have containers run their programs, and keep fused transformer layers from bypassing them."""
    put_modules(journal, model, modules)
    for path, (evaluating, training) in programs.items():
        container = model.get_submodule(path)
        forward = RewrittenForward(container, evaluating, training)
        label = path or type(model).__name__
        journal.set_attribute(label, container, "forward", forward)
        journal.set_attribute(
            label, container, "_replicate_for_data_parallel", forward.replicate, checked=False
        )
    for path in modules:
        _unfuse(journal, model, path)


def put_modules(journal: Journal, model: nn.Module, modules: Mapping[str, nn.Module]) -> None:
    """Register modules at their paths, in place of a module or a function in an attribute."""
    for path, module in modules.items():
        parent_path, key = split(path)
        parent = model.get_submodule(parent_path)
        if key in parent.__dict__:
            journal.drop_attribute(path, parent, key)
        journal.set_child(path, parent, key, module)


def put_guards(journal: Journal, model: nn.Module, guards: Mapping[str, nn.Module]) -> None:
    """Attach guards to the outputs of layers."""
    for path, guard in guards.items():
        layer = model.get_submodule(path)
        attach(journal, path, layer, guard, free_child(layer))
        _unfuse(journal, model, path)


def adopt_hooks(journal: Journal, new: nn.Module, call: Call) -> None:
    """Hooks on a module that is replaced move to the new one; their handles go on working."""
    old = call.activation
    if call.source.origin is not Origin.MODULE or any(module is old for module in new.modules()):
        return  # where the old module goes on running inside the new one, its hooks do too
    for name in (*HOOKS, *_BACKWARD):
        theirs: Any = old.__dict__.get(name)
        if not theirs:
            continue
        ours: Any = new.__dict__.get(name)
        own_path = call.name == call.source.name
        if isinstance(theirs, dict) and (ours or not own_path):
            theirs = OrderedDict({**theirs, **(ours or {})})
        journal.set_attribute(call.name, new, name, theirs, checked=False)


def finish(
    journal: Journal,
    model: nn.Module,
    calls: Mapping[str, Call],
    plan: Plan,
    chosen: Mapping[str, nn.Module],
) -> None:
    """Put the new modules in the place of the stand-ins: device, mode, hooks and position of what they replace."""
    modules = {name: chosen.get(name, calls[name].activation) for name in plan.modules}
    known = _known(model, calls)
    for name, module in modules.items():
        if name in chosen:
            module.to(calls[name].device)
            _set_mode(model, module, calls[name], known)
        adopt_hooks(journal, module, calls[name])
    put_modules(journal, model, modules)
    put_guards(
        journal, model, {path: guard.to(calls[path].device) for path, guard in plan.guards.items()}
    )
    for path in sorted(plan.split - plan.modules.keys()):
        parent_path, key = split(path)
        journal.hold(path, model.get_submodule(parent_path), key)
    number(journal, calls, chosen)


def _known(model: nn.Module, calls: Mapping[str, Call]) -> set[int]:
    """Modules that belong to the model, stand-ins or not."""
    replaced = [
        module
        for call in calls.values()
        if call.source.origin is Origin.MODULE
        for module in call.activation.modules()
    ]
    return {id(module) for module in (*model.modules(), *replaced)}


def _set_mode(model: nn.Module, new: nn.Module, call: Call, known: set[int]) -> None:
    """The mode of the module that is replaced, for a function that of its caller; the model's own modules keep theirs."""
    is_module = call.source.origin is Origin.MODULE and not call.is_output
    mode = call.activation if is_module else model.get_submodule(call.caller)
    for module in new.modules():
        if id(module) not in known:
            module.training = mode.training


def number(journal: Journal, calls: Mapping[str, Call], chosen: Mapping[str, nn.Module]) -> None:
    """Write the execution order into all activations of ours in the model, old and new."""
    there = {
        id(module): module
        for name, call in calls.items()
        for module in [chosen.get(name, call.activation)]
    }
    ours = [module for module in there.values() if isinstance(module, Activation)]
    for position, module in enumerate(ours):
        journal.set_attribute("position", module, "position", position, checked=False)


def _unfuse(journal: Journal, model: nn.Module, path: str) -> None:
    """Torch's transformer layers compute everything in one kernel, activation included, if they may."""
    while path:
        path, _ = split(path)
        module = model.get_submodule(path)
        if isinstance(module, nn.TransformerEncoderLayer) and module.activation_relu_or_gelu != 0:
            journal.set_attribute(path, module, "activation_relu_or_gelu", 0)
        if isinstance(module, nn.TransformerEncoder) and module.use_nested_tensor:
            journal.set_attribute(path, module, "use_nested_tensor", value=False)
