"""What was met, forward by forward, before anything is chosen of it."""

import weakref
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from clipact.faults._memory._held import integers, is_sharded
from clipact.faults._memory._storage import unplain
from clipact.faults._values._batch import Batch
from clipact.faults._values._leaves import Leaf
from clipact.faults._values._place import Source

Meeting = tuple[tuple[int, ...], Batch, bool]


@final
@dataclass(eq=False)
class Sighting:
    """A tensor that came by.

    Attributes:
        source: Where from.
        kind: Class of what gave it.
        dtypes: Its types in all forwards.
        meetings: Its shapes, each with the batch and whether it is a packed sequence.
        alias: The source that gave the very same value before, the first time.
        problem: Why faults cannot be put into it.
    """

    source: Source
    kind: type
    alias: Source | None
    problem: str | None
    dtypes: set[torch.dtype] = field(default_factory=set[torch.dtype])
    meetings: set[Meeting] = field(default_factory=set[Meeting])


@final
class Sightings:
    """Every tensor that came by, in the order of first sight.

    Attributes:
        found: By source.
        forwards: Of each forward, the batch and what was met.
    """

    def __init__(self) -> None:
        self.found: dict[Source, Sighting] = {}
        self.forwards: list[tuple[Batch, set[Source]]] = []
        self._values: dict[int, tuple[weakref.ref[Tensor], int, Source]] = {}

    def begin(self, batch: Batch) -> None:
        """A forward starts."""
        self.forwards.append((batch, set()))
        self._values.clear()

    def add(self, source: Source, kind: type, leaf: Leaf) -> None:
        """A tensor came by."""
        tensor = leaf.tensor
        if not tensor.numel() or not _counts(tensor, is_input=source.is_input):
            return
        alias = self._alias(source, tensor)
        if source not in self.found:
            self.found[source] = Sighting(source, kind, alias, _problem(tensor))
        batch, met = self.forwards[-1]
        met.add(source)
        sighting = self.found[source]
        sighting.dtypes.add(integers(tensor).dtype if tensor.is_quantized else tensor.dtype)
        sighting.meetings.add((tuple(tensor.shape), batch, leaf.packed))

    def _alias(self, source: Source, tensor: Tensor) -> Source | None:
        """Where this value came by before; a tensor that was written to since is another value."""
        if tensor.is_inference():
            return None
        version = tensor._version  # noqa: SLF001 - the public way to ask does not exist
        known = self._values.get(id(tensor))
        if known is not None and known[0]() is tensor and known[1] == version:
            return known[2]
        self._values[id(tensor)] = (weakref.ref(tensor), version, source)
        return None


def _counts(tensor: Tensor, *, is_input: bool) -> bool:
    if tensor.is_complex():
        return False
    return is_input or tensor.is_floating_point() or tensor.is_quantized


def _problem(tensor: Tensor) -> str | None:
    if is_sharded(tensor):
        return "is spread over processes"
    return unplain(integers(tensor) if tensor.is_quantized else tensor)
