import numpy as np
import pytest

from clipact import faults
from clipact.errors import CampaignError
from clipact.report import vulnerability_by_bit
from clipact.report._singles import single_faults

from .campaigns import classified, flip, result_of

COUNT = faults.BitFlip(count=1)


def heights(axes, series):
    bars = next(c for c in axes.containers if c.get_label() == series)
    return {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in bars}


def test_bars_of_bits_that_rise_and_of_bits_that_fall(single):
    (axes,) = vulnerability_by_bit(single).axes
    found = single_faults(single, "sdc")
    for series, direction in (("0 → 1", 1), ("1 → 0", -1)):
        for bit, height in heights(axes, series).items():
            hit = found.hit[(found.bit == bit) & (found.rising == direction)]
            assert height == pytest.approx(100 * hit.mean())
    assert heights(axes, "0 → 1")[30] == 100
    assert axes.get_xlim()[0] > axes.get_xlim()[1]
    assert [t.get_text() for t in axes.texts] == ["sign", "exponent", "mantissa"]
    assert f"n = {len(found)} trials with one fault" in axes.get_xlabel()


def test_the_sides_do_not_overlap(single):
    (axes,) = vulnerability_by_bit(single).axes
    up, down = ([bar for bar in c if round(bar.get_x() + 0.4) == 31] for c in axes.containers)
    assert up[0].get_x() >= down[0].get_x() + down[0].get_width() - 1e-9


def test_fixed_point_has_its_own_fields():
    q = faults.FixedPoint(16, 8)
    kept = [flip(bit, 1.5, number_format=q) for bit in range(16)]
    trials = [classified(n, COUNT, kept=[fault]) for n, fault in enumerate(kept)]
    (axes,) = vulnerability_by_bit(result_of(trials, [COUNT], number_format=q)).axes
    assert [t.get_text() for t in axes.texts] == ["sign", "integer", "fraction"]
    assert axes.get_xlim() == (15.6, -0.6)


def test_a_bit_whose_direction_is_not_known_is_counted():
    unmoved = faults.Fault("w", 0, 3, "stuck", 0.5, 0.5)
    trials = [classified(0, COUNT, kept=[unmoved]), classified(1, COUNT, kept=[flip(2, 0.5)])]
    (axes,) = vulnerability_by_bit(result_of(trials, [COUNT])).axes
    assert "(1 of them not shown: values do not tell the direction)" in axes.get_xlabel()


def test_whole_words_have_no_bits():
    word = faults.Fault("w", 0, -1, "zero", 0.5, 0.0)
    with pytest.raises(CampaignError, match="maps by bit need faults of single bits"):
        vulnerability_by_bit(result_of([classified(0, COUNT, kept=[word])], [COUNT]))


def test_nothing_is_hit_and_the_intervals_show_it():
    trials = [classified(n, COUNT, kept=[flip(n % 32, 0.5)]) for n in range(64)]
    (axes,) = vulnerability_by_bit(result_of(trials, [COUNT])).axes
    assert {bar.get_height() for c in axes.containers for bar in c} == {0}
    ends = [max(line.get_ydata()) for line in axes.lines if line.get_linestyle() == "-"]
    assert min(ends) == pytest.approx(100 * faults.wilson(0, 2)[1])
    assert np.isfinite(axes.get_ylim()).all()
