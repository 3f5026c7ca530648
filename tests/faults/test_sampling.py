import numpy as np
import pytest
import torch
from torch import nn

from clipact.errors import FaultError
from clipact.faults import (
    BitFlip,
    Campaign,
    Exhaustive,
    Store,
    Stratified,
    Uniform,
    Weights,
    by_bit,
    by_tensor,
    by_tensor_and_bit,
)
from clipact.faults._hits import BitSpace

SPACES = [BitSpace("a", (40,), 32), BitSpace("b", (3, 5), 32), BitSpace("c", (7,), 16)]
ONE = BitFlip(count=1)


def address(hits):
    """Which bit of all is hit; exactly one may be."""
    (part,) = hits
    found = [(s, int(h.index[0]), int(h.mask[0])) for s, h in enumerate(part) if h.index.size]
    ((space, index, mask),) = found
    assert mask.bit_count() == 1
    return space, index, mask.bit_length() - 1


def test_exhaustive_hits_every_bit_once():
    sampler = Exhaustive().prepare(ONE, SPACES, seed=0)
    population = sum(space.bits for space in SPACES)
    every = [address(sampler.hits(trial)) for trial in range(population)]
    assert len(set(every)) == population
    assert sampler.plan(population, np.empty(0), np.empty(0)).tolist() == list(range(population))
    with pytest.raises(FaultError, match=f"trials={population}"):
        sampler.plan(population - 1, np.empty(0), np.empty(0))


@pytest.mark.parametrize(("by", "strata"), [(by_bit, 32), (by_tensor, 3), (by_tensor_and_bit, 80)])
def test_strata_have_their_share_of_the_trials(by, strata):
    sampler = Stratified(by=by).prepare(ONE, SPACES, seed=1)
    trials = sampler.plan(1000, np.empty(0), np.empty(0))
    assert trials.size == len(set(trials.tolist())) == 1000
    found = [address(sampler.hits(trial)) for trial in trials.tolist()]
    met: dict[object, int] = {}
    for trial, (space, _, bit) in zip(trials.tolist(), found, strict=True):
        key = by(SPACES[space].name, bit)
        met[key] = met.get(key, 0) + 1
        assert met.setdefault(("stratum", key), trial % strata) == trial % strata
    counts = {
        key: n for key, n in met.items() if not (isinstance(key, tuple) and key[0] == "stratum")
    }
    bits = dict.fromkeys(counts, 0)
    for space in SPACES:
        for bit in range(space.width):
            bits[by(space.name, bit)] += space.words
    total = sum(bits.values())
    assert len(counts) == strata
    for key, count in counts.items():
        assert abs(count - 2 - (1000 - 2 * strata) * bits[key] / total) < 1


def test_a_trial_does_not_depend_on_how_many_there_are():
    sampler = Stratified().prepare(ONE, SPACES, seed=1)
    few, many = (sampler.plan(n, np.empty(0), np.empty(0)) for n in (100, 400))
    assert set(few.tolist()) < set(many.tolist())


def test_draws_are_uniform_in_a_stratum():
    sampler = Stratified(by=by_tensor).prepare(ONE, SPACES, seed=3)
    found = [address(sampler.hits(3 * draw + 2)) for draw in range(11_200)]
    counts = np.bincount([index * 16 + bit for _, index, bit in found], minlength=112)
    assert {space for space, _, _ in found} == {2}
    chi = float(((counts - 100) ** 2 / 100).sum())
    assert 64 < chi < 175  # chi-square of 111 degrees of freedom: 0.01 % to 99.99 %


def outcome(space, index, bit):
    """A known truth: high exponent bits do the damage."""
    return float(bit == 30 or (bit in (28, 29) and (index + space) % 3 == 0))


def truth():
    every = [
        outcome(s, i, b)
        for s, space in enumerate(SPACES)
        for i in range(space.words)
        for b in range(space.width)
    ]
    return sum(every) / len(every)


def estimates(sampling, trials, seeds):
    found = []
    for seed in range(seeds):
        sampler = sampling.prepare(ONE, SPACES, seed)
        numbers = sampler.plan(trials, np.empty(0), np.empty(0))
        values = np.array([outcome(*address(sampler.hits(t))) for t in numbers.tolist()])
        if sampler.estimator is None:
            found.append((float(values.mean()), None))
        else:
            interval = sampler.estimator.estimate(numbers, values, 0.95)
            found.append((interval.estimate, interval))
    return found


def test_stratified_estimates_are_unbiased_and_vary_less():
    plain = np.array([mean for mean, _ in estimates(Uniform(), 200, 150)])
    found = estimates(Stratified(), 200, 150)
    means = np.array([mean for mean, _ in found])
    known = truth()
    assert abs(means.mean() - known) < 4 * means.std() / np.sqrt(150)
    assert means.std() < 0.7 * plain.std()
    covered = sum(interval.low <= known <= interval.high for _, interval in found)
    assert covered >= 0.93 * 150


def test_a_stratum_without_a_trial_has_no_estimate():
    estimator = Stratified().prepare(ONE, SPACES, seed=1).estimator
    assert np.isnan(estimator.estimate(np.arange(31), np.zeros(31), 0.95).estimate)


def test_refuses():
    with pytest.raises(FaultError, match="BitFlip\\(count=1\\)"):
        Stratified().prepare(BitFlip(rate=0.1), SPACES, 0)
    with pytest.raises(FaultError, match="64 or more"):
        Stratified().prepare(ONE, SPACES, 0).plan(63, np.empty(0), np.empty(0))


def test_a_stratified_campaign_weighs_its_trials(tmp_path):
    torch.manual_seed(0)
    model, path = nn.Linear(8, 8), tmp_path / "run.sqlite"

    def evaluate(net):
        return float(not bool((net.weight.abs() < 1e3).all()))

    given = {"fault": ONE, "target": Weights()}
    whole = Campaign(model, evaluate, trials=8 * 8 * 32, sampling=Exhaustive(), **given).run(
        progress=False
    )
    known = float(whole.values("value").mean())
    assert 0.0 < known < 0.2
    part = Campaign(model, evaluate, trials=320, sampling=Stratified(), **given).run(
        store=path, progress=False
    )
    (row,) = part.summary().rows
    assert row.weighted
    assert row.means["value"].low <= known <= row.means["value"].high
    assert Store.read(path).summary().rows == (row,)
