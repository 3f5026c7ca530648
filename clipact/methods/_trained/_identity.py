"""What a training is of, so that a checkpoint is not continued with something else."""

from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from typing import Any

from torch import nn

from clipact.methods._base import Method
from clipact.methods._trained._data import Sets
from clipact.surgery import Receipt
from clipact.training._checkpoint import data_digest, weight_digests

__all__ = ["identity_of", "settings_of", "sites_of"]


def settings_of(method: Method, *apart: str) -> dict[str, str]:
    """The fields of a method as text, apart from some."""
    described: Any = method
    return {
        field.name: _text(getattr(method, field.name))
        for field in fields(described)
        if field.name not in apart
    }


def identity_of(
    model: nn.Module, sets: Sets, settings: Mapping[str, str], teacher: nn.Module | None
) -> dict[str, dict[str, str]]:
    """By part, a digest or text of each thing that the outcome depends on.

    Args:
        model: Before it is protected.
        sets: The data.
        settings: Of the method.
        teacher: If it is not the model.
    """
    return {
        "weights": weight_digests(model),
        "teacher": {} if teacher is None else weight_digests(teacher),
        "data": {"train": data_digest(sets.train), "validate": data_digest(sets.validate)},
        "settings": dict(settings),
    }


def sites_of(receipt: Receipt) -> dict[str, str]:
    """What stands at each site, with the shapes of its thresholds."""
    return {site.name: _described(module) for site, module in receipt.changes}


def _described(module: nn.Module) -> str:
    shapes = {name: tuple(each.shape) for name, each in module.named_parameters()}
    return f"{type(module).__name__} {shapes}"


def _text(value: Any) -> str:
    return repr(value.value if isinstance(value, Enum) else value)
