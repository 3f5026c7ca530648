"""A forward of two samples, to see where samples are in the values of one of many."""

from collections.abc import Callable
from typing import Any, Final, final

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from clipact.faults._replay._arguments import Given
from clipact.faults._replay._batch import Batch, select, size_of
from clipact.faults._replay._structure import Structure
from clipact.faults._replay._trace import TensorSpec
from clipact.faults._replay._values import bits, is_plain

__all__ = ["Probe"]

_MANY: Final = 4
"""Samples below which fewer do not pay."""


@final
class Probe:
    """Runs a forward with its first and its last sample, and compares what its calls return with those of all samples.

    Args:
        structure: What it did with all.
    """

    def __init__(self, structure: Structure) -> None:
        self._structure = structure
        self._paths: list[str] = []
        self._values: dict[int, Any] = {}

    def run(self, forward: Callable[..., Any], given: Given, value: Any) -> Batch | None:
        """Where samples are; None if they depend on each other, or are computed in another way where there are few.

        Args:
            forward: The forward.
            given: Its arguments for all samples.
            value: What it returned for them.
        """
        size = size_of(given)
        if size < _MANY:
            return None
        rows = torch.tensor([0, size - 1])
        try:
            some = self.call(self._structure.calls[0].path, forward, self._some(given, size, rows))
        except Exception:
            return None  # it does not work with two samples
        if self._paths != [call.path for call in self._structure.calls]:
            return None
        axes = [self._axes(number, size) for number in range(len(self._paths))]
        known = [each for each in axes if each is not None]
        if len(known) < len(axes) or axes[0] is None or not _agree(value, some, axes[0], rows):
            return None
        return Batch(size, known)

    def call(self, path: str, forward: Callable[..., Any], given: Given) -> Any:
        """A call inside."""
        number = len(self._paths)
        self._paths.append(path)
        value = forward(*given[0], **given[1])
        self._values[number] = pytree.tree_leaves(value)
        return value

    @staticmethod
    def _some(given: Given, size: int, rows: Tensor) -> Given:
        return Batch(size, []).arguments(given, rows)

    def _axes(self, number: int, size: int) -> list[int | None] | None:
        """The dimensions of the samples in what a call returned; None if that cannot be told."""
        output = self._structure.calls[number].output
        found: list[int | None] = []
        if output is None:
            return found
        leaves = self._values[number]
        if len(leaves) != len(output.leaves):
            return None
        for expected, leaf in zip(output.leaves, leaves, strict=True):
            if not isinstance(expected, TensorSpec):
                continue
            if not is_plain(leaf) or leaf.dim() != len(expected.size):
                return None
            other = [d for d, n in enumerate(expected.size) if n != leaf.shape[d]]
            if len(other) > 1 or any((expected.size[d], leaf.shape[d]) != (size, 2) for d in other):
                return None
            found.append(other[0] if other else None)
        return found


def _agree(value: Any, some: Any, axes: list[int | None], rows: Tensor) -> bool:
    """Whether a forward returned for some samples what it returned for them among all."""
    whole = [leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, Tensor)]
    part = [leaf for leaf in pytree.tree_leaves(some) if isinstance(leaf, Tensor)]
    return all(
        torch.equal(bits(select(one, axis, rows)), bits(other))
        for one, other, axis in zip(whole, part, axes, strict=True)
    )
