import numpy as np
import pytest

from clipact import faults
from clipact.errors import CampaignError
from clipact.report import svg, vulnerability_map
from clipact.report._singles import single_faults

from .campaigns import classified, flip, result_of

COUNT = faults.BitFlip(count=1)


def test_a_cell_for_each_tensor_and_bit_that_had_faults(single):
    axes = vulnerability_map(single).axes[0]
    found = single_faults(single, "sdc")
    drawn = {
        (round(p.get_y() + 0.5), round(p.get_x() + 0.5)): p.get_facecolor() for p in axes.patches
    }
    assert drawn.keys() == set(zip(found.tensor.tolist(), found.bit.tolist(), strict=True))
    darkness = {place: 1 - np.mean(colour[:3]) for place, colour in drawn.items()}
    hit = {p for p in drawn if found.hit[(found.tensor == p[0]) & (found.bit == p[1])].any()}
    assert hit
    assert min(darkness[p] for p in hit) > max(darkness[p] for p in drawn.keys() - hit)
    assert [t.get_text() for t in axes.get_yticklabels()] == list(found.names)


def test_never_hit_is_grey_and_few_cells_say_how_many_faults_they_had():
    kept = [flip(0, 0.5, "a"), flip(0, 0.5, "a"), flip(2, 0.5, "b")]
    result = result_of([classified(n, COUNT, kept=[f]) for n, f in enumerate(kept)], [COUNT])
    axes = vulnerability_map(result).axes[0]
    assert len(axes.patches) == 2
    red, green, blue, _ = axes.get_facecolor()
    assert max(red, green, blue) - min(red, green, blue) < 0.08
    numbers = [t.get_text() for t in axes.texts if t.get_text().isdigit()]
    assert sorted(numbers) == ["1", "2"]
    assert "median 1.5 a cell, none where grey" in axes.get_xlabel()


def test_the_pointer_finds_the_numbers(single):
    text = svg(vulnerability_map(single, confidence=0.9))
    rates = single_faults(single, "sdc")
    place = (rates.tensor == 0) & (rates.bit == 30)
    hits, trials = int(rates.hit[place].sum()), int(place.sum())
    assert f"<title>head.weight, bit 30: {hits} of {trials} faults, " in text


def test_what_cannot_be_drawn(rates):
    with pytest.raises(CampaignError, match="maps need single-fault trials"):
        vulnerability_map(rates)
    word = faults.Fault("w", 0, -1, "zero", 0.5, 0.0)
    with pytest.raises(CampaignError, match="maps by bit need faults of single bits"):
        vulnerability_map(result_of([classified(0, COUNT, kept=[word])], [COUNT]))
