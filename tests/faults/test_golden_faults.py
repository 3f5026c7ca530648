"""Faults of two seeds, frozen when written: a stored seed and trial number must stay replayable."""

import pytest
import torch
from torch import nn

from clipact.faults import Biases, BitFlip, Weights, inject
from clipact.faults._hits import BitSpace
from clipact.faults._models import Burst, Extent, RandomValue, Zero, draw_parts
from clipact.faults._streams import Draw

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


OTHERS = {
    Burst(bits=4, rate=0.01): [[([4, 5, 7], [120, 30, 15], None), ([], [], None)]],
    Burst(words=Extent.ROW, chance=0.2, count=1): [[([], [], None), ([0, 1, 4], [2, 1, 32], None)]],
    RandomValue(-1.0, 1.0, count=3): [
        [
            ([1, 7], [255, 255], [0.7989814472691934, 0.786795034032387]),
            ([1], [255], [-0.9555913056529748]),
        ]
    ],
    Zero(rate=0.2) + BitFlip(count=3): [
        [([1, 2, 4, 8, 10, 11], [255, 255, 255, 255, 255, 255], None), ([], [], None)],
        [([1, 9], [128, 32], None), ([0], [32], None)],
    ],
}


@pytest.mark.parametrize("fault", OTHERS)
def test_other_fault_models_draw_what_they_always_drew(fault):
    spaces = [BitSpace("a", (4, 3), 8), BitSpace("b", (5,), 8)]
    found = [
        [(one.index.tolist(), one.mask.tolist(), payload(one)) for one in part]
        for part in draw_parts(fault, spaces, Draw(7, 3))
    ]
    assert found == OTHERS[fault]


def payload(hits):
    return None if hits.payload is None else hits.payload.tolist()
