"""What modules returned in one forward before the first threshold that trains."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, final

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

__all__ = ["Key", "Leaf", "Outcome", "Tape", "UnfitError", "is_plain"]

Key: TypeAlias = tuple[int, ...]
"""Which call: how many calls each of its callers had made before, the outermost first."""

Leaf: TypeAlias = tuple[Key, int]
"""Which of the values in what a call returned."""

_CONSTANTS: Final = (type(None), bool, int, float, str, torch.dtype, torch.device, torch.Size)


class UnfitError(Exception):
    """The model cannot be run from the middle; the message says why."""


def is_plain(leaf: Any) -> bool:
    """Whether this is a tensor that can be kept and handed out again."""
    return type(leaf) is Tensor and leaf.layout is torch.strided and not leaf.requires_grad


@final
class Outcome:
    """What a call returned, taken apart."""

    def __init__(self, value: Any) -> None:
        self.leaves, self._spec = pytree.tree_flatten(value)
        for leaf in self.leaves:
            if not (is_plain(leaf) or isinstance(leaf, _CONSTANTS)):
                raise UnfitError(f"a module returns a {type(leaf).__name__}")

    def value(self) -> Any:
        """Put together again."""
        return pytree.tree_unflatten(self.leaves, self._spec)

    def tensors(self, key: Key) -> Mapping[Leaf, Tensor]:
        """The tensors among the leaves."""
        return {(key, place): leaf for place, leaf in enumerate(self.leaves) if is_plain(leaf)}


@final
@dataclass
class Tape:
    """One forward up to the first threshold that trains.

    Attributes:
        outcomes: Of the outermost calls that ended before.
        spine: The calls that were at work when it was reached, and its own.
        modules: Of all these calls the module, by ``id``.
    """

    outcomes: dict[Key, Outcome] = field(default_factory=dict[Key, Outcome])
    spine: tuple[Key, ...] = ()
    modules: dict[Key, int] = field(default_factory=dict[Key, int])

    @property
    def shape(self) -> tuple[Any, ...]:
        """Which calls were made; the same for most batches."""
        leaves = tuple((key, len(each.leaves)) for key, each in self.outcomes.items())
        return self.spine, leaves, tuple(self.modules[key] for key in (*self.spine, *self.outcomes))

    def tensors(self) -> dict[Leaf, Tensor]:
        """Everything that was returned."""
        return {
            leaf: tensor
            for key, outcome in self.outcomes.items()
            for leaf, tensor in outcome.tensors(key).items()
        }

    def keep(self, used: AbstractSet[Leaf], gone: Callable[[Tensor], Tensor]) -> int:
        """Let go of everything that nobody looks at; how many bytes remain.

        Args:
            used: What somebody looks at.
            gone: What takes the place of the rest.
        """
        size = 0
        for (key, place), tensor in self.tensors().items():
            if (key, place) not in used:
                self.outcomes[key].leaves[place] = gone(tensor)
                continue
            storage = tensor.untyped_storage().nbytes()
            own = tensor.numel() * tensor.element_size()
            if storage > own:
                self.outcomes[key].leaves[place] = tensor.clone()
            size += own
        return size
