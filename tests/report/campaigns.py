"""Campaigns made up, as no model would have them on order."""

import numpy as np
import torch

from clipact import faults

NAMES = ("stem.weight", "layer2.weight", "layer10.weight", "head.weight")


def flip(bit, number, name="stem.weight", number_format=None, dtype=torch.float32):
    """One flipped bit of one value."""
    number_format = number_format or faults.Native()
    before = torch.tensor([number], dtype=dtype)
    code = number_format.encode(before) ^ (np.uint64(1) << np.uint64(bit))
    after = number_format.decode(code, dtype)
    return faults.Fault(name, 0, bit, "flip", float(before), float(after))


def result_of(trials, fault_models, *, golden=None, number_format=None, asked=None):
    return faults.Result.of(
        trials,
        golden=golden or {"accuracy": 0.9, "sdc": 0.0, "due": 0.0},
        faults=fault_models,
        trials_per_fault=asked or len(trials) // len(fault_models),
        seed=3,
        target="Weights()",
        format=number_format or faults.Native(),
        population=1_000_000,
        data="10 samples",
    )


def classified(number, fault_model, sdc=0.0, due=0.0, kept=(), error=None):
    """A trial of a classifier."""
    metrics = {} if error else {"accuracy": 0.9 - 0.9 * sdc, "sdc": sdc, "due": due}
    flips = len(kept) or 5
    return faults.Trial(number, fault_model, metrics, 0.01, flips, "00", error, tuple(kept))
