"""Zero, RandomValue and Noise."""

import itertools

import numpy as np
import pytest
import torch

from clipact.errors import FaultError
from clipact.faults import FixedPoint
from clipact.faults._hits import BitSpace
from clipact.faults._models import Extent, Noise, RandomValue, Zero

FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
FLOATS += [torch.float8_e4m3fn, torch.float8_e5m2]
INTEGERS = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]
MODELS = [Zero, lambda **kw: RandomValue(-3.0, 5.0, **kw), lambda **kw: Noise(0.5, **kw)]


@pytest.mark.parametrize("make", MODELS)
def test_words_are_binomial_and_uniform(make, draw, is_binomial, chi_square_limit):
    spaces, seeds = [BitSpace("a", (5, 4), 8), BitSpace("b", (15,), 32)], 2000
    counts, hits = [], np.zeros(35)
    for seed in range(seeds):
        found = draw(make(rate=0.1), spaces, seed)[0]
        assert [
            set(one.mask.tolist()) - {2**space.width - 1}
            for one, space in zip(found, spaces, strict=True)
        ] == [set(), set()]
        counts.append(sum(one.index.size for one in found))
        hits[found[0].index] += 1
        hits[20 + found[1].index] += 1
    assert is_binomial(counts, 35, 0.1)
    statistic = ((hits - seeds * 0.1) ** 2 / (seeds * 0.09)).sum()
    assert statistic < chi_square_limit(35)


@pytest.mark.parametrize("make", MODELS)
def test_one_row_a_word(make, faulty):
    golden = torch.randn(40, 5)
    now, record = faulty(golden, make(count=17))
    assert len(record) == 17
    assert set(record.bit.tolist()) == {-1}
    assert np.all(np.diff(record.index) > 0)
    flat = now.reshape(-1)
    np.testing.assert_array_equal(record.after, flat[torch.from_numpy(record.index)].double())
    rest = torch.ones(200, dtype=torch.bool)
    rest[torch.from_numpy(record.index)] = False
    assert torch.equal(flat[rest], golden.reshape(-1)[rest])


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("number_format", [None, FixedPoint(bits=12, fraction=4)])
def test_in_memory_as_by_the_pure_function(make, number_format, faulty, purely):
    golden = torch.randn(6, 5, 4)
    fault = make(words=Extent.ROW, rate=0.2)
    kwargs = {"format": number_format} if number_format else {}
    now, record = faulty(golden, fault, **kwargs)
    assert len(record) >= 4
    assert torch.equal(now, purely(golden, fault, number_format))


@pytest.mark.parametrize("dtype", FLOATS + INTEGERS + [torch.bool])
def test_zero(dtype, faulty):
    golden = torch.ones(30).to(dtype)
    now, record = faulty(golden, Zero(rate=1.0))
    assert len(record) == 30
    assert (now.double() == 0.0).all()


def test_zero_is_positive_also_of_inf_and_nan(faulty):
    golden = torch.tensor([-1.0, float("inf"), float("nan"), -0.0])
    now, _ = faulty(golden, Zero(rate=1.0))
    assert now.view(torch.int32).tolist() == [0, 0, 0, 0]


def test_random_values_are_uniform_and_their_own(faulty, chi_square_limit):
    now, _ = faulty(torch.zeros(20000, dtype=torch.float64), RandomValue(-3.0, 5.0, rate=1.0))
    assert now.min() >= -3.0
    assert now.max() < 5.0
    assert now.unique().numel() == 20000
    counts = np.histogram(now.numpy(), bins=40, range=(-3.0, 5.0))[0]
    assert ((counts - 500) ** 2 / 500).sum() < chi_square_limit(39)


def test_random_values_do_not_depend_on_what_was_there(faulty):
    fault = RandomValue(-1.0, 1.0, rate=0.5)
    a, _ = faulty(torch.full((50,), float("nan")), fault)
    b, _ = faulty(torch.full((50,), 7.0), fault)
    hit = ~a.isnan()
    assert 10 < hit.sum() < 40
    assert torch.equal(a[hit], b[hit])


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_are_rounded_and_saturate(dtype, faulty):
    top, bottom = torch.iinfo(dtype).max, torch.iinfo(dtype).min
    golden = torch.zeros(200, dtype=dtype)
    assert set(faulty(golden, RandomValue(1e30, 1e30, rate=1.0))[0].tolist()) == {top}
    assert set(faulty(golden, RandomValue(-1e30, -1e30, rate=1.0))[0].tolist()) == {bottom}
    assert set(faulty(golden, RandomValue(2.0, 4.0, rate=1.0))[0].tolist()) == {2, 3, 4}
    assert set(faulty(golden, RandomValue(2.5, 2.5, rate=1.0))[0].tolist()) == {2}


@pytest.mark.parametrize("dtype", FLOATS)
def test_noise_has_its_standard_deviation(dtype, faulty):
    golden = torch.full((20000,), 2.0).to(dtype)
    now, _ = faulty(golden, Noise(0.5, rate=1.0))
    change = (now.double() - 2.0).numpy()
    rounding = {torch.float8_e4m3fn: 0.25, torch.float8_e5m2: 0.5}.get(dtype, 0.01) / 12**0.5
    assert abs(change.mean()) < 5 * 0.5 / 20000**0.5 + rounding / 10
    assert change.std() == pytest.approx(np.hypot(0.5, rounding), rel=0.03)


def test_noise_is_normal(faulty, chi_square_limit):
    now, _ = faulty(torch.zeros(20000, dtype=torch.float64), Noise(1.0, rate=1.0))
    edges = np.array([-1.6448536, -1.2815516, -0.8416212, -0.5244005, -0.2533471, 0.0])
    edges = np.concatenate([[-np.inf], edges, -edges[-2::-1], [np.inf]])
    shares = np.array([0.05, 0.05, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05])
    counts = np.array([((now >= a) & (now < b)).sum().item() for a, b in itertools.pairwise(edges)])
    assert ((counts - 20000 * shares) ** 2 / (20000 * shares)).sum() < chi_square_limit(11)


def test_relative_noise_is_in_units_of_the_golden_tensor(faulty):
    golden = torch.cat(
        [torch.randn(10000) * 7.0 + 100.0, torch.tensor([float("inf"), float("nan")])]
    )
    now, _ = faulty(golden, Noise(0.1, relative=True, rate=1.0))
    assert (now - golden)[:-2].std().item() == pytest.approx(0.7, rel=0.05)
    assert now[-2] == float("inf")
    assert now[-1].isnan()
    constant, _ = faulty(torch.full((9,), 3.0), Noise(5.0, relative=True, rate=1.0))
    assert torch.equal(constant, torch.full((9,), 3.0))
    nothing_finite, _ = faulty(torch.full((9,), float("inf")), Noise(5.0, relative=True, rate=1.0))
    assert torch.equal(nothing_finite, torch.full((9,), float("inf")))


def test_noise_on_integers(faulty):
    golden = torch.tensor([127, -128, 0] * 500, dtype=torch.int8)
    now, _ = faulty(golden, Noise(20.0, rate=1.0))
    assert (now[golden == 127] == 127).float().mean() > 0.4
    assert (now[golden == -128] == -128).float().mean() > 0.4
    assert now[golden == 0].float().std().item() == pytest.approx(20.0, rel=0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Zero, "give exactly one"),
        (lambda: RandomValue(1.0, -1.0, count=1), "the lower one first"),
        (lambda: RandomValue(0.0, float("inf"), count=1), "give finite bounds"),
        (lambda: RandomValue("0", 1.0, count=1), "give a number"),
        (lambda: Noise(-1.0, count=1), "finite and at least 0"),
        (lambda: Noise(float("nan"), count=1), "finite and at least 0"),
        (lambda: Noise(1.0, rate=1.5), "a probability per word or line"),
    ],
)
def test_refuses(make, message):
    with pytest.raises(FaultError, match=message):
        make()


def test_print_like_code_and_compare():
    assert str(Zero(rate=1e-4)) == "Zero(rate=0.0001)"
    assert str(RandomValue(-1, 1, count=3)) == "RandomValue(-1.0, 1.0, count=3)"
    noise = Noise(0.1, relative=True, rate=0.5, words=Extent.CHANNEL)
    assert str(noise) == "Noise(0.1, relative=True, rate=0.5, words=Extent.CHANNEL)"
    assert eval(str(noise), {"Noise": Noise, "Extent": Extent}) == noise
    assert Noise(0.1, rate=0.5) != Noise(0.1, relative=True, rate=0.5)


def test_expected_and_too_many(draw):
    spaces = [BitSpace("a", (4, 3), 8), BitSpace("b", (6,), 8)]
    assert Zero(rate=0.5).expected(spaces) == 9.0
    assert Zero(count=2, words=Extent.ROW).expected(spaces) == pytest.approx(2 * 18 / 5)
    with pytest.raises(FaultError, match="19 words are to be hit, but the target has 18"):
        draw(Zero(count=19), spaces)
    with pytest.raises(FaultError, match="6 rows are to be hit, but the target has 5"):
        draw(Zero(count=6, words=Extent.ROW), spaces)
    assert sum(one.index.size for one in draw(Zero(count=18), spaces)[0]) == 18
