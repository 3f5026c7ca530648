"""What a search for sites could not look into."""

from collections.abc import Iterator
from typing import Final

from torch import jit, nn

from clipact.surgery._kinds import is_replaceable
from clipact.surgery._record import Recorder
from clipact.surgery._recording import visible_modules

__all__ = ["unseen"]

_RECURRENT: Final = (nn.RNNBase, nn.RNNCellBase)
_BUILT_IN: Final = "has its tanh and sigmoid built in; pass its class in kinds to have its output"


def unseen(model: nn.Module, recorder: Recorder, kinds: tuple[type, ...]) -> list[str]:
    """One sentence for each thing that may hide an activation."""
    modules = visible_modules(model)
    found = [
        f"{_label(path, module)} is a script module, which cannot be looked into"
        for path, module in model.named_modules()
        if isinstance(module, jit.ScriptModule) and path.rpartition(".")[0] in modules
    ]
    found += [
        f"{_label(path, modules[path])} never ran in the example"
        for path in _idle(modules, recorder, kinds)
    ]
    for path, module in modules.items():
        if path not in recorder.ran or isinstance(module, kinds):
            continue
        if isinstance(module, _RECURRENT):
            found.append(f"{_label(path, module)} {_BUILT_IN}")
        elif _looks_like_activation(path, module, recorder):
            found.append(
                f"{_label(path, module)} may be an activation; if so, pass kinds=({type(module).__name__},)"
            )
    return found


def _idle(
    modules: dict[str, nn.Module], recorder: Recorder, kinds: tuple[type, ...]
) -> Iterator[str]:
    """The topmost modules that did not run, of those that an activation may be in."""
    skipped: tuple[str, ...] = ()
    for path, module in modules.items():
        if path in recorder.ran:
            if isinstance(module, nn.MultiheadAttention):
                skipped = (*skipped, f"{path}.")  # uses the weights of its projections itself
        elif not path.startswith(skipped) and _may_hide_calls(module, kinds):
            skipped = (*skipped, f"{path}.")
            yield path


def _may_hide_calls(module: nn.Module, kinds: tuple[type, ...]) -> bool:
    if isinstance(module, kinds):
        return True
    has_parts = not _is_torchs(module) or next(module.children(), None) is not None
    return has_parts and type(module).forward is not nn.Module.forward


def _looks_like_activation(path: str, module: nn.Module, recorder: Recorder) -> bool:
    calls_a_site = any(call.caller == path for call in recorder.calls.values())
    if _is_torchs(module) or calls_a_site or path in recorder.reshaped:
        return False
    return is_replaceable(module) and next(module.parameters(), None) is None


def _is_torchs(module: nn.Module) -> bool:
    return type(module).__module__.split(".")[:2] == ["torch", "nn"]


def _label(path: str, module: nn.Module) -> str:
    return f"{path or 'the model'} ({type(module).__name__})"
