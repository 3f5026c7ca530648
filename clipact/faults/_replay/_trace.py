"""What one forward of a model did: its calls, the memory they touched, and when."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple, final

import torch
from torch.utils._pytree import TreeSpec

__all__ = ["NOWHERE", "Call", "Output", "Read", "TensorSpec", "Touch", "Trace", "Use"]

NOWHERE = -1
"""In place of a call or a time: not inside the forward."""


@final
class Touch(IntEnum):
    """What an operation does with memory."""

    VIEW = 0
    READ = 1
    WRITE = 2


@final
class TensorSpec(NamedTuple):
    """A tensor as a window on a storage, which is known by its number."""

    storage: int
    dtype: torch.dtype
    size: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int


@final
@dataclass(frozen=True)
class Output:
    """What a call returned: a nested value whose leaves are tensors and constants."""

    spec: TreeSpec
    leaves: tuple[Any, ...]

    @property
    def tensors(self) -> tuple[TensorSpec, ...]:
        """Its tensors."""
        return tuple(leaf for leaf in self.leaves if isinstance(leaf, TensorSpec))


@final
@dataclass(frozen=True)
class Call:
    """A call of a module's ``forward``.

    Attributes:
        path: The module, by the first name it has in the model.
        ordinal: How many calls of it there were before in the same forward of the model.
        parent: Number of the call whose code made this one.
        place: How many calls the parent had made before.
        enter: Time at which it began; every operation, beginning and end has a time of its own.
        exit: Time at which it ended.
        children: Numbers of the calls that its own code made.
        output: None where it cannot be kept.
        pure: Whether all it did is in its output and in tensors: no attribute of a module, no random state, no
            list among its arguments was changed.
        watched: Whether a module that it called has hooks, which would not run if this call did not.
    """

    path: str
    ordinal: int
    parent: int
    place: int
    enter: int
    exit: int
    children: tuple[int, ...]
    output: Output | None
    pure: bool
    watched: bool


@final
class Use(NamedTuple):
    """An operation, in the code of one call, that touched a storage."""

    time: int
    storage: int
    call: int
    touch: Touch


@final
class Read(NamedTuple):
    """An operation that read a target's tensor, or what was computed from nothing but such.

    Attributes:
        tensor: Which.
        time: When.
        call: In the code of which call.
        place: After how many calls that it made.
    """

    tensor: int
    time: int
    call: int
    place: int


@final
@dataclass(frozen=True)
class Trace:
    """One forward. Two of the same trace did the same on other values.

    Attributes:
        calls: In the order in which they began; the first is the forward itself.
        created: Of each storage, the time at which it came to be; ``NOWHERE`` for what was there before.
        creator: The call whose code made it.
        nbytes: Its size.
        devices: Where it is.
        uses: By time.
        reads: By time.
        decisions: Times at which values of tensors became values of Python, on which its further course may depend.
        alive: Storages that somebody held when it had ended: whoever got its output, a hook, an attribute, a list.
    """

    calls: tuple[Call, ...]
    created: tuple[int, ...]
    creator: tuple[int, ...]
    nbytes: tuple[int, ...]
    devices: tuple[torch.device, ...]
    uses: tuple[Use, ...]
    reads: tuple[Read, ...]
    decisions: tuple[int, ...]
    alive: frozenset[int]
