import numpy as np
import pytest
import torch
from torch import nn

from clipact.errors import CampaignError, FaultError
from clipact.faults import (
    Allocation,
    BitFlip,
    Campaign,
    Exhaustive,
    Shard,
    Store,
    Stratified,
    StuckAt,
    Uniform,
    Weights,
    by_bit,
    by_tensor,
    by_tensor_and_bit,
)
from clipact.faults._hits import BitSpace
from clipact.faults._models import draw_parts
from clipact.faults._streams import Draw

SPACES = [BitSpace("a", (40,), 32), BitSpace("b", (3, 5), 32), BitSpace("c", (7,), 16)]
BITS = sum(space.bits for space in SPACES)
ONE = BitFlip(count=1)
NONE = np.empty(0, dtype=np.int64)


def address(hits):
    """Which bit of all is hit; exactly one may be."""
    (part,) = hits
    found = [(s, int(h.index[0]), int(h.mask[0])) for s, h in enumerate(part) if h.index.size]
    ((space, index, mask),) = found
    assert mask.bit_count() == 1
    return space, index, mask.bit_length() - 1


def plan(sampling, trials, seed=0, fault=ONE):
    sampler = sampling.prepare(fault, SPACES, seed, trials)
    return sampler, sampler.plan(NONE, np.empty(0))


def test_uniform_draws_what_the_fault_model_says():
    fault = BitFlip(rate=0.01)
    sampler, trials = plan(Uniform(), 50, seed=3, fault=fault)
    assert trials.tolist() == list(range(50))
    found, drawn = sampler.hits(7), draw_parts(fault, SPACES, Draw(3, 7))
    for one, two in zip(found[0], drawn[0], strict=True):
        assert np.array_equal(one.index, two.index)
        assert np.array_equal(one.mask, two.mask)
    assert sampler.estimator is None


def test_exhaustive_hits_every_bit_once_in_a_random_order():
    sampler, trials = plan(Exhaustive(), BITS, seed=5)
    assert sorted(trials.tolist()) == list(range(BITS))
    assert trials.tolist() != list(range(BITS))
    every = [address(sampler.hits(trial)) for trial in range(BITS)]
    assert len(set(every)) == BITS
    assert every == sorted(every)  # trial t is bit address t
    _, others = plan(Exhaustive(), BITS, seed=6)
    assert trials.tolist() != others.tolist()


def test_exhaustive_needs_as_many_trials_as_there_are_bits_and_takes_no_more():
    with pytest.raises(FaultError, match=rf"all {BITS:,} faults.* trials={BITS}"):
        plan(Exhaustive(), BITS - 1)
    assert plan(Exhaustive(), 10 * BITS)[1].size == BITS


def test_exhaustive_of_chosen_bits():
    fault = BitFlip(count=1, bits=[3, 15])
    sampler, trials = plan(Exhaustive(), 2 * 62, fault=fault)
    every = {address(sampler.hits(trial)) for trial in trials.tolist()}
    assert len(every) == 2 * (40 + 15 + 7)
    assert {bit for _, _, bit in every} == {3, 15}


@pytest.mark.parametrize(("by", "strata"), [(by_bit, 32), (by_tensor, 3), (by_tensor_and_bit, 80)])
def test_strata_have_their_share_of_the_trials(by, strata):
    sampler, trials = plan(Stratified(by=by), 1000, seed=1)
    assert trials.size == len(set(trials.tolist())) == 1000
    counts, bits, numbers = {}, {}, {}
    for trial in trials.tolist():
        space, _, bit = address(sampler.hits(trial))
        key = by(SPACES[space].name, bit)
        counts[key] = counts.get(key, 0) + 1
        assert numbers.setdefault(key, trial % strata) == trial % strata
    for space in SPACES:
        for bit in range(space.width):
            bits[by(space.name, bit)] = bits.get(by(space.name, bit), 0) + space.words
    assert len(set(numbers.values())) == strata
    for key, count in counts.items():
        assert abs(count - 1000 * bits[key] / BITS) < 1


@pytest.mark.parametrize("allocation", Allocation)
def test_the_fault_of_a_trial_depends_on_its_number_alone(allocation):
    few, many = (
        Stratified(allocation=allocation).prepare(ONE, SPACES, 1, trials) for trials in (70, 2000)
    )
    for trial in many.plan(NONE, np.empty(0)).tolist():
        assert address(few.hits(trial)) == address(many.hits(trial))


def test_no_bit_of_a_stratum_is_drawn_twice():
    sampler, trials = plan(Stratified(by=by_tensor), BITS, seed=2)
    assert len({address(sampler.hits(trial)) for trial in trials.tolist()}) == trials.size == BITS


def test_first_draws_are_uniform_in_a_stratum():
    found = []
    for seed in range(1500):
        sampler = Stratified(by=by_tensor).prepare(ONE, [BitSpace("c", (3,), 8)], seed, 4)
        _, index, bit = address(sampler.hits(0))
        found.append(index * 8 + bit)
    counts = np.bincount(found, minlength=24)
    chi = float(((counts - 62.5) ** 2 / 62.5).sum())
    assert 6 < chi < 57  # chi-square of 23 degrees of freedom: 0.01 % to 99.99 %


def test_other_seeds_draw_other_bits():
    one, two = (Stratified().prepare(ONE, SPACES, seed, 100) for seed in (0, 1))
    assert [address(one.hits(t)) for t in range(100)] != [address(two.hits(t)) for t in range(100)]


def test_stuck_bits_and_chosen_bits_have_strata_too():
    fault = StuckAt(1, count=1, bits=range(8, 12))
    sampler, trials = plan(Stratified(), 90, fault=fault)
    assert {address(sampler.hits(t))[2] for t in trials.tolist()} == {8, 9, 10, 11}


@pytest.mark.parametrize("fault", [BitFlip(rate=0.1), BitFlip(count=2), ONE + ONE])
@pytest.mark.parametrize("sampling", [Stratified(), Exhaustive()])
def test_refuses_what_is_not_one_fault(sampling, fault):
    with pytest.raises(FaultError, match=r"give BitFlip\(count=1\)"):
        plan(sampling, BITS, fault=fault)


def test_refuses_bits_that_words_do_not_have():
    with pytest.raises(FaultError, match="bit 20"):
        plan(Stratified(), 100, fault=BitFlip(count=1, bits=[20]))


@pytest.mark.parametrize("given", [{"pilot": 0.0}, {"pilot": 0.6}, {"by": 3}])
def test_refuses_wrong_arguments(given):
    with pytest.raises(FaultError, match="Stratified"):
        Stratified(**given)


def test_refuses_keys_that_cannot_be_compared():
    with pytest.raises(FaultError, match=r"gave \[30\]|gave \[0\]"):
        plan(Stratified(by=lambda tensor, bit: [bit]), 100)


def test_prints_and_compares():
    assert str(Stratified()) == "stratified (by_tensor_and_bit, proportional)"
    assert "Neyman" in str(Stratified(allocation=Allocation.NEYMAN))
    assert Stratified() == Stratified(by=by_tensor_and_bit)
    assert Stratified(allocation=Allocation.NEYMAN).is_adaptive
    assert not Stratified().is_adaptive


def breaks(net):
    return float(not bool((net.weight.abs() < 1e3).all()))


@pytest.fixture
def given():
    torch.manual_seed(0)
    return {"model": nn.Linear(8, 8), "evaluation": breaks, "fault": ONE, "target": Weights()}


@pytest.mark.parametrize(
    "sampling",
    [Stratified(), Stratified(by=by_bit, allocation=Allocation.NEYMAN, metric="value")],
    ids=["proportional", "Neyman"],
)
def test_a_stratified_campaign_weighs_its_trials(tmp_path, given, sampling):
    whole = Campaign(**given, trials=8 * 8 * 32, sampling=Exhaustive()).run(progress=False)
    (row,) = whole.summary().rows
    known = float(whole.values("value").mean())
    assert 0.0 < known < 0.2
    assert row.means["value"].low == row.means["value"].high == pytest.approx(known)
    path = tmp_path / "run.sqlite"
    part = Campaign(**given, trials=320, sampling=sampling)
    (row,) = part.run(store=path, progress=False).summary().rows
    assert row.weighted
    assert row.trials == 320
    assert row.means["value"].low <= known <= row.means["value"].high
    assert Store.read(path).summary().rows == (row,)


def test_a_campaign_goes_on_with_more_trials(tmp_path, given):
    sampling = Stratified(by=by_bit, allocation=Allocation.NEYMAN, metric="value")
    path = tmp_path / "run.sqlite"
    Campaign(**given, trials=100, sampling=sampling).run(store=path, progress=False)
    more = Campaign(**given, trials=400, sampling=sampling)
    found = more.run(store=path, progress=False)
    (row,) = found.summary().rows
    fresh = more.run(progress=False)
    assert set(found.columns.trial.tolist()) >= set(fresh.columns.trial.tolist())
    assert row.means["value"].high - row.means["value"].low < 0.1


def test_a_shard_cannot_have_a_pilot(given):
    campaign = Campaign(**given, sampling=Stratified(allocation=Allocation.NEYMAN))
    with pytest.raises(CampaignError, match="adaptive"):
        campaign.run(shard=Shard(0, 2))
