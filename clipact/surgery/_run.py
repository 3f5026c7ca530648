"""Run a model once on an example and leave no trace in it."""

from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from clipact.errors import SurgeryError
from clipact.surgery._buffers import kept_buffers
from clipact.surgery._randomness import kept_randomness

__all__ = ["Example", "evaluating", "plain_attention", "run_once"]

Example = Tensor | tuple[Any, ...] | Mapping[str, Any]


@contextmanager
def evaluating(model: nn.Module) -> Generator[None]:
    """Eval mode without gradients inside; afterwards every module has its own mode again, also after an exception."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        for module, training in modes:
            if training:
                module.training = False
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            if module.training != training:
                module.training = training


def run_once(model: nn.Module, example: Example) -> Any:
    """The model's output for a copy of the example: eval mode, no gradients; buffers and random states are afterwards as before.

    Args:
        model: Any module.
        example: One tensor, a tuple of positional arguments, or a mapping of keyword arguments.

    Raises:
        SurgeryError: The example is none of these.
    """
    args, kwargs = _arguments(example)
    with ExitStack() as stack:
        stack.enter_context(evaluating(model))
        stack.enter_context(kept_buffers(model))
        stack.enter_context(kept_randomness())
        stack.enter_context(torch.random.fork_rng(devices=_cuda_devices(model)))
        stack.enter_context(plain_attention())
        return model(*args, **kwargs)


def _arguments(example: Example) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments; tensors are cloned, since some models overwrite their input."""
    if not isinstance(example, Tensor | tuple | Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may not be typed
        raise SurgeryError(
            f"the example is of type {type(example).__name__}; it must be a tensor, a tuple of positional arguments, or a "
            "mapping of keyword arguments"
        )
    copy: Any = pytree.tree_map_only(Tensor, torch.clone, example)
    if isinstance(example, Mapping):
        return (), {key: copy[key] for key in example} if copy is not example else _cloned(example)
    return (copy if isinstance(example, tuple) else (copy,)), {}


def _cloned(example: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping that pytree takes for a leaf, such as the output of a tokenizer."""
    return {key: pytree.tree_map_only(Tensor, torch.clone, value) for key, value in example.items()}


def _cuda_devices(model: nn.Module) -> list[torch.device]:
    tensors = [*model.parameters(), *model.buffers()]
    return sorted({t.device for t in tensors if t.device.type == "cuda"}, key=str)


@contextmanager
def plain_attention() -> Generator[None]:
    """Fused transformer layers bypass their modules, and round differently from the plain ones."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
