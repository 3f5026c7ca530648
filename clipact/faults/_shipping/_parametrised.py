"""Pickling of modules with parametrisations, whose class torch makes while the program runs and refuses to pickle."""

from typing import Any, Final

import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

_LOAD_HOOKS: Final = "_load_state_dict_pre_hooks"


def reduce_parametrised(module: nn.Module) -> tuple[Any, ...]:
    """What pickle needs to make the module again: its class of before, which tensors are parametrised, its state.

    Note:
        Torch's ``weight_norm`` adds a hook, a local function, that converts checkpoints of its predecessor. It is left out.
    """
    original: Any = parametrize.type_before_parametrizations(module)
    names: Any = module.parametrizations
    state = dict(original.__getstate__(module))
    hooks = state[_LOAD_HOOKS].items()
    kept = [(key, hook) for key, hook in hooks if not _converts_checkpoints(hook)]
    state[_LOAD_HOOKS] = type(state[_LOAD_HOOKS])(kept)
    return rebuild_parametrised, (original, tuple(names)), state


def rebuild_parametrised(original: type[nn.Module], names: tuple[str, ...]) -> nn.Module:
    """An empty module of a class with these tensors parametrised; pickle then gives it its state.

    Torch makes the class when a parametrisation is registered, so one that does nothing is registered on tensors of no
    size; the state replaces both.
    """
    module = original.__new__(original)
    nn.Module.__init__(module)
    for name in names:
        nn.Module.register_parameter(module, name, nn.Parameter(torch.empty(0)))
        parametrize.register_parametrization(module, name, nn.Identity(), unsafe=True)
    module.__dict__.clear()
    return module


def _converts_checkpoints(hook: Any) -> bool:
    return getattr(hook, "hook", hook).__module__ == parametrizations.__name__
