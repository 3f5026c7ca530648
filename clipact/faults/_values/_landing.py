"""Faults that landed on a value."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from clipact.faults._hits import Codes, Hits
from clipact.faults._models import FaultModel
from clipact.faults._records._record import FaultRecord
from clipact.faults._records._tabulate import rows
from clipact.faults._values._place import Place


class Landing(NamedTuple):
    """What faults did to one tensor in one forward.

    Attributes:
        forward: Number of the forward, from 0.
        place: The tensor's.
        samples: Of each row of ``hits``, the sample's number in the batch.
        hits: Of each of these samples, of each part of the fault model; words that the tensor did not have are left out.
        width: Bits of a word in the number format.
        codes: Bits of the words hit, sample by sample, before anything and after each part of the fault model.
        before: Their values before.
        after: Their values after.
    """

    forward: int
    place: Place
    samples: Sequence[int]
    hits: Sequence[Sequence[Hits]]
    width: int
    codes: Sequence[Codes]
    before: Tensor
    after: Tensor

    def record(self, fault: FaultModel) -> FaultRecord:
        """The table of the faults; the same fault in several samples is several rows."""
        names = [(self.place.name, self.width)] * len(self.hits)
        values = (self.before.to(torch.float64).numpy(), self.after.to(torch.float64).numpy())
        return rows(fault, names, self.hits, self.codes, values)
