import pytest

from clipact import faults
from clipact.report import outcomes, svg
from clipact.report._trials import trials_of


def test_one_fault_model_has_a_bar_for_each_outcome_with_its_interval(single):
    (axes,) = outcomes(single, confidence=0.9).axes
    counts = trials_of(single, single.faults[0]).outcomes()
    assert [t.get_text() for t in axes.get_yticklabels()] == [o.value for o in counts]
    for row, count in enumerate(int(hit.sum()) for hit in counts.values()):
        assert axes.patches[row].get_width() == pytest.approx(100 * count / 400)
        ends = [100 * end for end in faults.wilson(count, 400, 0.9)]
        assert list(axes.lines[row].get_xdata()) == pytest.approx(ends)
    assert axes.get_xlabel() == "share of trials (%), 90 % Wilson interval; n = 400"
    assert "BitFlip(count=1)" in axes.get_title(loc="left")


def test_several_are_stacks_that_fill_the_axis(rates):
    figure = outcomes(rates)
    (axes,) = figure.axes
    for row, fault in enumerate(rates.faults):
        bars = [p for p in axes.patches if round(p.get_y() + p.get_height() / 2) == row]
        assert sum(bar.get_width() for bar in bars) == pytest.approx(100)
        counts = [hit.sum() for hit in trials_of(rates, fault).outcomes().values() if hit.any()]
        assert sorted(bar.get_width() for bar in bars) == pytest.approx(
            sorted(100 * n / 30 for n in counts)
        )
    assert [t.get_text() for t in axes.get_yticklabels()] == [str(f) for f in rates.faults]
    (legend,) = figure.legends
    assert len(legend.get_texts()) == 3
    assert "n = 30 for each fault model" in axes.get_xlabel()


def test_the_pointer_finds_the_numbers(rates):
    assert "BitFlip(rate=0.0001), SDC: a prediction changed: " in svg(outcomes(rates))
