"""The words of a tensor that faults change, with their bits before and after."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from clipact.faults._hits import Hits, Indices, hit_words
from clipact.faults._memory._bound import Bound
from clipact.faults._memory._corrupt import corrupted_codes, group_scale
from clipact.faults._memory._storage import storage_positions
from clipact.faults._memory._tensors import TargetTensor
from clipact.faults._models import FaultModel
from clipact.faults._records._record import FaultRecord
from clipact.faults._records._tabulate import rows


class Patch(NamedTuple):
    """The words of one tensor that change: where they are in storage, and their bits before and after."""

    target: TargetTensor
    words: Tensor
    positions: Tensor
    before: Tensor
    after: Tensor

    def apply(self) -> None:
        """Write the new bits."""
        self.words.index_copy_(0, self.positions, self.after)
        if self.target.home is not None:
            self.target.home.changed()

    def restore(self) -> None:
        """Write the old bits; harmless where the new ones were never written."""
        self.words.index_copy_(0, self.positions, self.before)
        if self.target.home is not None:
            self.target.home.restored()


class Change(NamedTuple):
    """What faults do to tensors of one dtype on one device.

    Attributes:
        bound: These tensors in their number format.
        hits: Of each tensor, of each part of the fault model.
        before: Values before of the words that are hit, tensor by tensor.
        after: Values after.
    """

    bound: Bound
    hits: Sequence[Sequence[Hits]]
    before: Tensor
    after: Tensor

    def record(self, fault: FaultModel) -> FaultRecord:
        """The table of the faults."""
        codes = corrupted_codes(self.before, self.hits, fault, self.bound.codecs)
        names = [item.name for item in self.bound.tensors]
        widths = [codec.width for codec in self.bound.codecs]
        values = (self.before.to(torch.float64).numpy(), self.after.to(torch.float64).numpy())
        return rows(fault, list(zip(names, widths, strict=True)), self.hits, codes, values)


def plan(
    bound: Bound, hits: Sequence[Sequence[Hits]], fault: FaultModel
) -> tuple[list[Patch], list[Change]]:
    """Everything that applying needs, computed before anything is changed.

    Args:
        bound: The tensors.
        hits: Of each part of the fault model, the hits in each tensor.
        fault: What happens.
    """
    groups: dict[tuple[torch.dtype, torch.device], list[int]] = {}
    for place, item in enumerate(bound.tensors):
        if any(part[place].index.size for part in hits):
            groups.setdefault((item.tensor.dtype, item.tensor.device), []).append(place)
    patches: list[Patch] = []
    changes: list[Change] = []
    for places in groups.values():
        some, change = _plan(bound.at(places), [[part[n] for part in hits] for n in places], fault)
        patches += some
        changes.append(change)
    return patches, changes


def _plan(
    bound: Bound, hits: Sequence[Sequence[Hits]], fault: FaultModel
) -> tuple[list[Patch], Change]:
    dtype, device = bound.tensors[0].tensor.dtype, bound.tensors[0].tensor.device
    index = [hit_words(parts) for parts in hits]
    counts = [each.size for each in index]
    positions = torch.from_numpy(_positions(bound, index)).to(device).split(counts)
    before = [all_.index_select(0, hit) for all_, hit in zip(bound.words, positions, strict=True)]
    values = torch.cat(before).cpu().view(dtype)
    codes = corrupted_codes(values, hits, fault, bound.codecs)[-1]
    format_ = bound.codecs[0].format
    changed = format_.decode(codes, dtype, group_scale(bound.codecs, index))
    after = changed.view(bound.words[0].dtype).to(device).split(counts)
    patches = list(map(Patch, bound.tensors, bound.words, positions, before, after))
    return patches, Change(bound, hits, values, changed)


def _positions(bound: Bound, index: Sequence[Indices]) -> Indices:
    """Of each word that is hit, where it is in its tensor's storage."""
    return np.concatenate(
        [
            storage_positions(item.tensor, each)
            for item, each in zip(bound.tensors, index, strict=True)
        ]
    )
