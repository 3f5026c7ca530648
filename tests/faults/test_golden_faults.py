"""Faults of two seeds, frozen when written: a stored seed and trial number must stay replayable."""

import pytest
import torch
from torch import nn

from clipact.faults import Biases, BitFlip, Weights, inject

# made by: with inject(model, fault, Weights() | Biases(), seed=seed, trial=3) as r: [(f.tensor, f.index, f.bit) for f in r]
FROZEN = {
    (0, BitFlip(rate=0.0025)): (
        ("a.weight", [(7, 21), (18, 1), (50, 12), (54, 28), (58, 8), (80, 31), (83, 0), (119, 2)]),
        ("b.weight", [(6, 21), (23, 15)]),
        ("a.bias", [(3, 13), (8, 23)]),
        ("b.bias", [(0, 0)]),
    ),
    (0, BitFlip(count=6)): (
        ("a.weight", [(63, 24), (66, 25)]),
        ("b.weight", [(10, 15), (13, 3), (22, 17)]),
        ("a.bias", [(7, 23)]),
    ),
    (7, BitFlip(rate=0.0025)): (
        (
            "a.weight",
            [(12, 23), (46, 18), (81, 22), (84, 1), (87, 3), (88, 26), (94, 24), (95, 18)],
        ),
        ("a.bias", [(2, 2), (9, 25)]),
    ),
    (7, BitFlip(count=6)): (
        ("a.weight", [(66, 23), (88, 11)]),
        ("b.weight", [(6, 2), (12, 2), (26, 0)]),
        ("c.weight", [(3, 4)]),
    ),
}


@pytest.mark.parametrize(("seed", "fault"), FROZEN)
def test_a_seed_draws_what_it_always_drew(seed, fault):
    layers = {"a": nn.Linear(12, 10), "b": nn.Linear(10, 3), "c": nn.Linear(3, 2)}
    layers["c"].to(torch.bfloat16)
    with inject(nn.ModuleDict(layers), fault, Weights() | Biases(), seed=seed, trial=3) as record:
        found = [(each.tensor, each.index, each.bit) for each in record]
    frozen = FROZEN[seed, fault]
    assert found == [(name, index, bit) for name, hits in frozen for index, bit in hits]
