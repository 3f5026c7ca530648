"""What a forward may change in a model: its buffers, and at which step its neurons are."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from clipact.nn._hoyer_steps import StepExtrema
from clipact.surgery._recording import visible_modules
from clipact.surgery._same import same_bits

__all__ = ["kept_buffers"]

_TABLE: Final = "_buffers"


@contextmanager
def kept_buffers(model: nn.Module) -> Generator[None]:
    """Every buffer is afterwards the object that it was, with the values that it had, and every neuron at its step."""
    modules = visible_modules(model).values()
    tables = [(module.__dict__[_TABLE], dict(module.__dict__[_TABLE])) for module in modules]
    steps = [(module, module.step) for module in modules if isinstance(module, StepExtrema)]
    values = [
        (buffer, buffer.detach().clone()) for buffer in model.buffers() if not is_lazy(buffer)
    ]
    try:
        yield
    finally:
        for table, before in tables:
            if [(k, id(v)) for k, v in table.items()] != [(k, id(v)) for k, v in before.items()]:
                table.clear()
                table.update(before)
        for buffer, value in values:
            _put_back(buffer, value)
        for module, step in steps:
            module.step = step


def _put_back(buffer: Tensor, value: Tensor) -> None:
    if same_bits(buffer, value):
        return
    with torch.no_grad():
        if buffer.shape != value.shape:
            buffer.resize_(value.shape)
        buffer.copy_(value)
