"""What a training is of, so that a checkpoint is not continued with something else."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from torch import Tensor, nn

from clipact.methods._base import Method
from clipact.methods._trained._data import Sets
from clipact.training._checkpoint import data_digest, weight_digests

__all__ = ["identity_of", "settings_of", "shapes"]


def settings_of(method: Method, *apart: str) -> dict[str, str]:
    """The fields of a method as text, apart from some."""
    described: Any = method
    return {
        field.name: repr(getattr(method, field.name))
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


def shapes(thresholds: Mapping[str, Tensor]) -> dict[str, str]:
    """The thresholds' shapes by name, as text."""
    return {name: str(tuple(threshold.shape)) for name, threshold in thresholds.items()}
