import numpy as np
import pytest
import torch

from clipact.errors import FaultError
from clipact.faults import FixedPoint
from clipact.faults._hits import BitSpace
from clipact.faults._models import Burst, Extent
from clipact.faults._models._lines import lines_of

SPACE = BitSpace("a", (4, 3, 5), 8)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"bits": 4}, "give exactly one"),
        ({"count": 1, "bits": 0}, "the number of adjacent bits"),
        ({"count": 1, "bits": [1]}, "the number of adjacent bits"),
        ({"count": 1, "chance": 0.0}, "above 0 and up to 1"),
        ({"count": 1, "chance": 1.5}, "above 0 and up to 1"),
        ({"count": 1, "chance": "1"}, "give a number"),
        ({"rate": 2.0}, "a probability per starting position"),
    ],
)
def test_refuses(kwargs, message):
    with pytest.raises(FaultError, match=message):
        Burst(**kwargs)


def test_prints_like_code():
    assert str(Burst(bits=4, rate=1e-7)) == "Burst(rate=1e-07, bits=4)"
    column = Burst(bits=1, words=Extent.COLUMN, count=2, chance=0.5)
    assert str(column) == "Burst(count=2, bits=1, words=Extent.COLUMN, chance=0.5)"
    assert eval(str(column), {"Burst": Burst, "Extent": Extent}) == column
    assert hash(column) == hash(Burst(bits=1, words=Extent.COLUMN, count=2, chance=0.5))


@pytest.mark.parametrize("bits", [1, 4, 8, None])
@pytest.mark.parametrize("words", [1, 6, Extent.ROW, Extent.COLUMN, Extent.CHANNEL])
def test_one_burst_covers_adjacent_bits_of_a_line(bits, words, draw, bits_in):
    lines = lines_of(SPACE.shape, words)
    all_lines = lines.words(np.arange(lines.number)).tolist()
    wide = bits or 8
    for seed in range(50):
        found = bits_in(draw(Burst(bits=bits, words=words, count=1), [SPACE], seed)[0][0], SPACE)
        hit = np.flatnonzero(found.any(axis=1)).tolist()
        assert hit in all_lines
        (pattern,) = {tuple(row) for row in found[hit].tolist()}
        first = pattern.index(1)
        assert pattern == (0,) * first + (1,) * wide + (0,) * (8 - wide - first)


@pytest.mark.parametrize("bits", [3, None])
@pytest.mark.parametrize("words", [1, 6, Extent.ROW, Extent.COLUMN, Extent.CHANNEL])
def test_starts_are_uniform(bits, words, draw, chi_square_limit):
    spaces = [SPACE, BitSpace("b", (3, 2, 4), 8)]
    fault, seeds = Burst(bits=bits, words=words, count=1), 2000
    lines = [lines_of(space.shape, words) for space in spaces]
    starts = sum(each.number for each in lines) * (6 if bits else 1)
    met = {}
    for seed in range(seeds):
        (found,) = draw(fault, spaces, seed)
        key = str([(one.index.tolist(), one.mask.tolist()) for one in found])
        met[key] = met.get(key, 0) + 1
    assert starts * 0.95 < len(met) <= starts
    each = seeds / starts
    counts = [*met.values(), *[0] * (starts - len(met))]
    assert sum((n - each) ** 2 / each for n in counts) < chi_square_limit(starts - 1)


@pytest.mark.parametrize("words", [1, Extent.ROW, Extent.COLUMN, Extent.CHANNEL])
def test_the_number_of_bursts_is_binomial(words, draw, is_binomial):
    spaces = [SPACE, BitSpace("b", (3, 2, 4), 8)]
    lines = [lines_of(space.shape, words) for space in spaces]
    counts = [
        sum(
            one.index.size // each.length
            for one, each in zip(
                draw(Burst(words=words, rate=0.2), spaces, seed)[0], lines, strict=True
            )
        )
        for seed in range(2000)
    ]
    assert is_binomial(counts, sum(each.number for each in lines), 0.2)


def test_a_bit_that_two_bursts_cover_is_inverted_once(faulty):
    golden = torch.zeros(40, dtype=torch.uint8)
    now, record = faulty(golden, Burst(bits=3, rate=1.0))
    assert torch.equal(now, torch.full_like(golden, 255))
    assert len(record) == 320


@pytest.mark.parametrize("words", [1, 4, Extent.CHANNEL])
def test_chance(words, draw, is_binomial, chi_square_limit, bits_in):
    fault, seeds = Burst(bits=5, words=words, chance=0.3, count=1), 2000
    cells = lines_of(SPACE.shape, words).length * 5
    counts, hits = [], np.zeros(8)
    for seed in range(seeds):
        found = bits_in(draw(fault, [SPACE], seed)[0][0], SPACE)
        counts.append(found.sum())
        hits += found.sum(axis=0)
    assert is_binomial(counts, cells, 0.3)
    # bit b is covered from min(b, 3, 7 - b) + 1 of the four starts
    covered = np.array([1, 2, 3, 4, 4, 3, 2, 1]) / 4 * seeds * cells / 5
    assert (abs(hits - 0.3 * covered) < 5 * (0.3 * covered * cells) ** 0.5).all()


def test_expected_is_the_mean_number_of_bits():
    spaces = [BitSpace("a", (4, 3), 8), BitSpace("b", (6,), 8)]
    assert Burst(bits=4, rate=0.1).expected(spaces) == pytest.approx(0.1 * 18 * 5 * 4)
    row = Burst(words=Extent.ROW, count=2, chance=0.5)
    assert row.expected(spaces) == pytest.approx(2 * 0.5 * 8 * (4 * 3 + 1 * 6) / 5)


def test_too_wide_and_too_few(draw):
    with pytest.raises(FaultError, match="is wider than a word of a, which has 8 bits"):
        draw(Burst(bits=9, count=1), [SPACE])
    with pytest.raises(FaultError, match="13 bursts are to be hit, but the target has 12"):
        draw(Burst(words=Extent.ROW, count=13), [SPACE])
    with pytest.raises(FaultError, match="no tensor of the target has any bursts"):
        draw(Burst(words=61, rate=0.5), [SPACE])


@pytest.mark.parametrize(
    "fault", [Burst(bits=4, rate=0.05), Burst(words=Extent.COLUMN, chance=0.5, count=2)]
)
@pytest.mark.parametrize("number_format", [None, FixedPoint(bits=12, fraction=4)])
def test_in_memory_as_by_the_pure_function(fault, number_format, faulty, purely):
    golden = torch.randn(6, 5, 4)
    kwargs = {"format": number_format} if number_format else {}
    now, record = faulty(golden, fault, **kwargs)
    assert len(record) > 4
    assert torch.equal(
        now.view(torch.int32), purely(golden, fault, number_format).view(torch.int32)
    )


def test_a_tensor_meets_the_same_bursts_whatever_else_is_there(draw):
    fault = Burst(bits=4, words=Extent.ROW, rate=0.05, chance=0.5)
    alone = draw(fault, [SPACE])[0][0]
    among = draw(fault, [BitSpace("new", (9, 9), 16), SPACE])[0][1]
    assert np.array_equal(alone.index, among.index)
    assert np.array_equal(alone.mask, among.mask)
