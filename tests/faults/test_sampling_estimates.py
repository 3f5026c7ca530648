import numpy as np
import pytest

from clipact.faults import Allocation, BitFlip, Exhaustive, Stratified, Uniform, by_bit, by_tensor
from clipact.faults._hits import BitSpace

# As of a small CNN: bit 30 nearly always matters, bits 25 and 26 sometimes, the sign rarely, the mantissa hardly ever
SPACES = [BitSpace("a", (72,), 32), BitSpace("b", (1152,), 32), BitSpace("c", (640,), 32)]
ONE = BitFlip(count=1)
RATES = {30: 0.7, 26: 0.05, 25: 0.05, 31: 0.01, 22: 0.003}


def outcomes(shares):
    """A known truth: of every bit 0 or 1, or a share."""
    generator = np.random.default_rng(0)
    found = []
    for space in SPACES:
        hit = np.zeros((space.words, 32))
        for bit, rate in RATES.items():
            hit[:, bit] = generator.random(space.words) < rate
        found.append(hit * generator.beta(2, 2, hit.shape) if shares else hit)
    return found


WHOLE, SHARES = outcomes(shares=False), outcomes(shares=True)


def truth(table):
    return np.concatenate([part.ravel() for part in table]).mean()


def values_of(sampler, trials, table):
    values = np.empty(trials.size)
    for place, trial in enumerate(trials.tolist()):
        (hits,) = sampler.hits(trial)
        ((space, hit),) = [(s, h) for s, h in enumerate(hits) if h.index.size]
        values[place] = table[space][hit.index[0], int(hit.mask[0]).bit_length() - 1]
    return values


def campaign(sampling, trials, seed, table):
    """Sampler, trials in the order in which they are run, and their values."""
    sampler = sampling.prepare(ONE, SPACES, seed, trials)
    planned, values = np.empty(0, np.int64), np.empty(0)
    while (wanted := sampler.plan(planned, values)).size > planned.size:
        values = np.concatenate([values, values_of(sampler, wanted[planned.size :], table)])
        planned = wanted
    assert planned.size == trials
    return sampler, planned, values


NEYMAN = Stratified(allocation=Allocation.NEYMAN)


@pytest.mark.slow
@pytest.mark.parametrize("table", [WHOLE, SHARES], ids=["whole", "shares"])
@pytest.mark.parametrize(
    ("sampling", "trials", "worth"),
    [(Stratified(), 60, 0.8), (Stratified(), 400, 1.5), (NEYMAN, 400, 1.8), (NEYMAN, 1000, 2.3)],
    ids=["proportional, few", "proportional", "Neyman, few", "Neyman"],
)
def test_unbiased_with_intervals_that_hold_and_fewer_trials(sampling, trials, worth, table):
    campaigns = 200 if trials < 1000 else 120
    found = []
    for seed in range(campaigns):
        sampler, planned, values = campaign(sampling, trials, seed, table)
        found.append(sampler.estimate(planned, values))
    known = truth(table)
    errors = np.array([one.estimate for one in found]) - known
    assert abs(errors.mean()) < 3.3 * errors.std() / np.sqrt(campaigns)
    every = np.concatenate([part.ravel() for part in table])
    assert every.var() / trials / (errors**2).mean() > worth
    covered = sum(one.low <= known <= one.high for one in found) / campaigns
    assert covered >= 0.93


def test_unbiased_in_small_strata_after_a_pilot():
    # two strata of 6 and 30 faults: every estimate is a fraction of a small number, over many seeds
    spaces = [BitSpace("a", (6,), 1), BitSpace("b", (30,), 1)]
    bad = [np.arange(6) == 2, np.arange(30) % 6 == 0]
    sampling = Stratified(by=by_tensor, allocation=Allocation.NEYMAN, pilot=0.4)
    errors = []
    for seed in range(1500):
        sampler = sampling.prepare(ONE, spaces, seed, 20)
        planned, values = np.empty(0, np.int64), np.empty(0)
        for _ in range(2):
            planned = sampler.plan(planned, values)
            values = np.array(
                [float(bad[s][h.index[0]]) for t in planned.tolist() for s, h in enumerate(sampler.hits(t)[0]) if h.index.size]
            )  # fmt: skip
        errors.append(sampler.estimate(planned, values).estimate - 6 / 36)
    errors = np.array(errors)
    assert abs(errors.mean()) < 3.3 * errors.std() / np.sqrt(errors.size)


@pytest.mark.parametrize("sampling", [Stratified(), NEYMAN, Stratified(by=by_bit)])
def test_all_bits_are_exact(sampling):
    spaces = [BitSpace("a", (2, 3), 8), BitSpace("b", (5,), 8)]
    sampler = sampling.prepare(ONE, spaces, 0, 10**6)
    planned = sampler.plan(np.empty(0, np.int64), np.empty(0))
    planned = sampler.plan(planned, np.zeros(planned.size))
    assert planned.size == 88
    values = np.random.default_rng(0).random(88)
    found = sampler.estimate(planned, values)
    assert found.estimate == pytest.approx(values.mean())
    assert found.low == found.high == found.estimate


def test_a_part_of_an_exhaustive_campaign_is_a_sample_without_replacement():
    spaces, known = [BitSpace("a", (50,), 8)], 60 / 400
    bad = np.random.default_rng(1).permutation(400) < 60
    covered, widths = 0, {}
    for seed in range(400):
        sampler = Exhaustive().prepare(ONE, spaces, seed, 400)
        planned = sampler.plan(np.empty(0, np.int64), np.empty(0))
        values = bad[planned].astype(float)
        for part in (100, 390):
            found = sampler.estimate(planned[:part], values[:part])
            widths[part] = found.high - found.low
            covered += found.low <= known <= found.high
    assert 0.93 <= covered / 800 <= 0.98
    assert widths[390] < 0.15 * widths[100]
    whole = sampler.estimate(planned, values)
    assert whole.low == whole.high == pytest.approx(known)


def test_a_stratum_in_which_nothing_was_seen_is_not_certain():
    sampler, planned, values = campaign(Stratified(by=by_bit), 640, 0, WHOLE)
    none = sampler.estimate(planned, np.zeros_like(values))
    assert none.estimate == 0.0
    assert 3 / 640 < none.high < 5 / 640  # the rule of three
    everything = sampler.estimate(planned, np.ones_like(values))
    assert everything.high == 1.0
    assert 1 - 5 / 640 < everything.low < 1 - 3 / 640


def test_strata_without_a_trial_have_no_estimate():
    sampler, planned, values = campaign(Stratified(), 640, 0, WHOLE)
    assert np.isnan(sampler.estimate(planned[:10], values[:10]).estimate)
    assert np.isfinite(sampler.estimate(planned, values).estimate)
    assert np.isnan(sampler.estimate(np.empty(0, np.int64), np.empty(0)).estimate)


def test_the_pilot_alone_makes_the_estimate_until_the_others_are_as_many():
    sampler, planned, values = campaign(NEYMAN, 1000, 3, WHOLE)
    pilot = sampler.estimate(planned[:200], values[:200])
    assert sampler.estimate(planned[:399], values[:399]).estimate == pilot.estimate
    later = sampler.estimate(planned[:500], values[:500])
    assert later.estimate != pilot.estimate
    assert later.high - later.low < pilot.high - pilot.low


@pytest.mark.parametrize("sampling", [Stratified(), NEYMAN, Uniform(), Exhaustive()])
def test_an_estimate_does_not_depend_on_the_order_of_trials(sampling):
    trials = 96 * 640 if sampling != Exhaustive() else sum(s.bits for s in SPACES)
    sampler = sampling.prepare(ONE, SPACES, 0, trials)
    planned = sampler.plan(np.empty(0, np.int64), np.empty(0))[:5000]
    values = (planned % 7 == 0).astype(float)
    order = np.random.default_rng(0).permutation(planned.size)
    one, two = (
        sampler.estimate(planned, values),
        sampler.estimate(planned[order], values[order]),
    )
    assert one.estimate == pytest.approx(two.estimate, rel=1e-12)
    assert one.high == pytest.approx(two.high, rel=1e-9)


def test_other_metrics_have_an_interval_too():
    table = [10.0 * part - 3.0 for part in SHARES]
    known, covered = truth(table), 0
    for seed in range(60):
        sampler, planned, values = campaign(Stratified(by=by_bit), 320, seed, table)
        found = sampler.estimate(planned, values)
        covered += found.low <= known <= found.high
    assert covered >= 54


def test_other_metrics_of_a_campaign_that_looked_at_one():
    _, planned, values = campaign(NEYMAN, 600, 1, WHOLE)
    sampler = NEYMAN.prepare(ONE, SPACES, 1, 600)
    assert np.isfinite(sampler.estimate(planned, 1.0 - values).estimate)
    one, other = sampler.estimate(planned, values), sampler.estimate(planned, 1.0 - values)
    assert one.estimate + other.estimate == pytest.approx(1.0)


def test_values_that_are_not_finite_have_no_estimate():
    sampler, planned, values = campaign(Stratified(), 100, 0, WHOLE)
    values[3] = np.nan
    assert np.isnan(sampler.estimate(planned, values).high)
