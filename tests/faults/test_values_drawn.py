import numpy as np
import pytest
import torch
from torch import nn

from clipact.faults import Activations, BitFlip, Lifetime, Native
from clipact.faults._hits import BitSpace
from clipact.faults._models import draw_parts, number_of_faults
from clipact.faults._streams import Draw
from clipact.faults._values import Drawn, observe

DRAW = Draw(seed=3, trial=5)
FLIPS = BitFlip(rate=0.02)


@pytest.fixture
def places():
    model = nn.Sequential(nn.ReLU(), nn.Linear(40, 30), nn.ReLU())
    return observe(model, Activations(), lambda: model(torch.randn(4, 40))).places


def drawn(places, lifetime, fault=FLIPS, stored=()):
    spaces = [*stored, *(place.space(Native()) for place in places)]
    return Drawn(fault, places, spaces, DRAW, lifetime)


def words(hits):
    return [(part.index.tolist(), part.mask.tolist()) for part in hits]


def test_static_faults_are_the_same_everywhere(places):
    plan = drawn(places, Lifetime.STATIC)
    (expected,) = draw_parts(FLIPS, [place.space(Native()) for place in places], DRAW)
    for at, place in enumerate(places):
        for forward in (0, 1, 0):
            found = plan(forward, place, 3)
            assert list(found) == [0, 1, 2]
            assert all(words(hits) == words([expected[at]]) for hits in found.values())


def test_batch_faults_are_drawn_anew_in_each_forward(places):
    plan = drawn(places, Lifetime.BATCH)
    first, second = (plan(forward, places[0], 3) for forward in (0, 1))
    assert words(first[0]) == words(first[2])
    assert words(first[0]) != words(second[0])
    assert words(plan(0, places[0], 3)[1]) == words(first[1])
    spaces = [place.space(Native()) for place in places]
    (expected,) = draw_parts(FLIPS, spaces, Draw(3, 5, forward=1))
    assert words(second[0]) == words([expected[0]])


def test_sample_faults_are_drawn_anew_for_each(places):
    plan = drawn(places, Lifetime.SAMPLE)
    found = [words(hits) for forward in (0, 1) for hits in plan(forward, places[0], 4).values()]
    assert len({str(each) for each in found}) == 8
    spaces = [place.space(Native()) for place in places]
    (expected,) = draw_parts(FLIPS, spaces, Draw(3, 5, forward=1, sample=2))
    assert found[6] == words([expected[0]])


def test_a_count_is_over_all_places_of_a_sample(places):
    for lifetime in Lifetime:
        plan = drawn(places, lifetime, BitFlip(count=5))
        for row in range(4):
            hits = [plan(2, place, 4)[row] for place in places]
            assert sum(number_of_faults(BitFlip(count=5), [part]) for part in hits) == 5


def test_tensors_in_memory_may_be_drawn_together(places):
    weight = BitSpace("weight", (1000,), 32)
    plan = drawn(places, Lifetime.STATIC, BitFlip(count=40), [weight])
    spaces = [weight, *(place.space(Native()) for place in places)]
    (expected,) = draw_parts(BitFlip(count=40), spaces, DRAW)
    for at, place in enumerate(places, 1):
        assert words(plan(0, place, 1)[0]) == words([expected[at]])


def test_counts_are_binomial(places):
    plan = drawn(places[:1], Lifetime.SAMPLE)
    bits = places[0].space(Native()).bits
    counts = [
        number_of_faults(FLIPS, [hits])
        for forward in range(40)
        for hits in plan(forward, places[0], 50).values()
    ]
    mean, spread = bits * 0.02, np.sqrt(bits * 0.02 * 0.98)
    assert abs(np.mean(counts) - mean) < 4 * spread / np.sqrt(len(counts))
    assert 0.93 < np.std(counts) / spread < 1.07
