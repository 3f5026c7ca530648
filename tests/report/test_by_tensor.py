import numpy as np
import pytest

from clipact import faults
from clipact.errors import CampaignError
from clipact.report import vulnerability_by_tensor
from clipact.report._singles import single_faults

from .campaigns import classified, flip, result_of


def test_bars_are_the_shares_of_hits_with_wilson_intervals(single):
    (axes,) = vulnerability_by_tensor(single, confidence=0.9).axes
    found = single_faults(single, "sdc")
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert shown == list(found.names)
    for row, name in enumerate(found.names):
        hit = found.hit[found.tensor == row]
        assert axes.patches[row].get_width() == pytest.approx(100 * hit.mean()), name
        low, high = faults.wilson(int(hit.sum()), hit.size, 0.9)
        assert list(axes.lines[row].get_xdata()) == pytest.approx([100 * low, 100 * high])
        assert axes.texts[row].get_text() == f"{hit.sum()} / {hit.size}"
    assert axes.get_title(loc="left") == "Faults with a changed prediction (SDC), by tensor"
    assert f"90 % Wilson interval; n = {len(found)} trials with one fault" in axes.get_xlabel()
    assert axes.yaxis_inverted()


def test_only_the_worst_in_the_order_of_the_model():
    model = faults.BitFlip(count=1)
    trials = [
        classified(n, model, sdc=float(n % 7 < n // 100), kept=[flip(3, 0.5, f"layer{n // 100}.w")])
        for n in range(600)
    ]
    (axes,) = vulnerability_by_tensor(result_of(trials, [model]), top=3).axes
    assert [t.get_text() for t in axes.get_yticklabels()] == ["layer3.w", "layer4.w", "layer5.w"]
    assert axes.get_xlabel().endswith("3 tensors with lower rates left out")


def test_another_metric_with_a_tolerance(single):
    (axes,) = vulnerability_by_tensor(single, metric="accuracy", tolerance=0.1).axes
    assert axes.get_title(loc="left") == "Faults with accuracy off by more than 0.1, by tensor"
    assert np.sum([bar.get_width() for bar in axes.patches]) > 0
    (axes,) = vulnerability_by_tensor(single, metric="accuracy", tolerance=0.6).axes
    assert np.sum([bar.get_width() for bar in axes.patches]) == 0


def test_what_cannot_be_drawn(rates, single):
    with pytest.raises(CampaignError, match="maps need single-fault trials"):
        vulnerability_by_tensor(rates)
    with pytest.raises(CampaignError, match="no metric 'f1'"):
        vulnerability_by_tensor(single, metric="f1")
