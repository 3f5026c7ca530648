import pytest

from clipact import faults


@pytest.fixture
def scale(monkeypatch, tmp_path):
    import _fit
    import _resilience
    import _subjects
    from _data import digits
    from _fit import Recipe
    from _subjects import Subject

    monkeypatch.setattr(_resilience, "CACHE", tmp_path)
    monkeypatch.setattr(_fit, "CACHE", tmp_path)
    digits_net = _subjects.SUBJECTS["digits"]
    quick = Subject("VGG style", lambda: digits().smaller(train=256, test=64), digits_net.net, Recipe(2, batch=64, crop=0))  # fmt: skip
    monkeypatch.setitem(_subjects.SUBJECTS, "digits", quick)
    return _resilience.Scale(images=32, trials=(4, 4), train=256, validate=64)


def test_cells_are_kept_paired_and_tabulated(scale):
    from _resilience import Bench, Setting
    from _resilience_tables import accuracy_table, differences_table, methods_table
    from resilience import WAYS

    bench = Bench.of("digits", scale)
    setting = Setting("q15.16", faults.FixedPoint(32, 16), thresholds=False)
    ways = {key: WAYS[key] for key in ("none", "zero")}
    rates = (1e-6, 1e-4)
    found = {
        key: {rate: bench.campaign(key, way, setting, rate, None) for rate in rates}
        for key, way in ways.items()
    }
    again = Bench.of("digits", scale).campaign("zero", ways["zero"], setting, 1e-4, 0.0)
    assert again.values("accuracy").tolist() == found["zero"][1e-4].values("accuracy").tolist()
    assert bench.campaign("zero", ways["zero"], setting, 1e-5, 0.0) is None
    assert "| ClipToZero | " in methods_table(bench, ways)
    assert accuracy_table(found, ways).splitlines()[0] == "| method | no faults | 1e-6 | 1e-4 |"
    differences = differences_table(found, ways, "none", same_faults=True)
    assert differences.splitlines()[2].startswith("| ClipToZero | ")


def test_thresholds_are_hit_only_where_there_are_any(scale):
    from _resilience import Bench, Setting
    from resilience import WAYS

    bench = Bench.of("digits", scale)
    inside = Setting("fp32", faults.Native(), thresholds=True)
    outside = Setting("fp32", faults.Native(), thresholds=False)
    zeroed = bench.protected("zero", WAYS["zero"]).model
    assert inside.target(bench.model) == outside.target(bench.model)
    more = faults.population(zeroed, inside.target(zeroed))
    assert more == faults.population(zeroed, outside.target(zeroed)) + 6 * 32


def test_campaigns_of_several_rates_become_one_curve(scale):
    from _resilience import Bench, Setting
    from _resilience_tables import one_curve
    from resilience import WAYS

    bench = Bench.of("digits", scale)
    setting = Setting("fp32", faults.Native(), thresholds=False)
    found = {rate: bench.campaign("none", WAYS["none"], setting, rate, None) for rate in (1e-4, 1e-6)}  # fmt: skip
    curve = one_curve(found)
    assert [fault.rate for fault in curve.faults] == [1e-6, 1e-4]
    assert len(curve) == 8
