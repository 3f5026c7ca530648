import builtins
import csv
import math

import numpy as np
import pytest

from clipact.errors import CampaignError, MissingExtraError
from clipact.faults import BitFlip, Fault, Native, Result, Trial

LOW, HIGH = BitFlip(rate=1e-6), BitFlip(rate=1e-4)
TRACEBACK = 'Traceback (most recent call last):\n  File "x.py", line 1\nValueError: bad, "luck"\n'
FLIP = Fault("conv.weight", 5, 30, "flip", 0.5, math.inf)


def trial(number, fault=LOW, **changes):
    given = {
        "trial": number,
        "fault": fault,
        "metrics": {"accuracy": number / 10, "loss": math.nan if number == 1 else -number},
        "seconds": 0.25,
        "flips": number + 1,
        "digest": f"d{number}",
    }
    return Trial(**{**given, **changes})


FAILED = trial(7, HIGH, metrics={}, error=TRACEBACK, faults=(FLIP,))
TRIALS = [
    FAILED,
    trial(2, HIGH),
    trial(1, faults=(FLIP, Fault("bias", 0, -1, "zero", math.nan, 0.0))),
    trial(0),
]


def result(trials=TRIALS, **changes):
    about = {
        "golden": {"accuracy": 1.0, "loss": 0.5},
        "faults": (LOW, HIGH),
        "trials_per_fault": 8,
        "seed": 3,
        "target": "Weights()",
        "format": Native(),
        "population": 320,
    }
    return Result.of(trials, **{**about, **changes})


def test_rows_are_by_fault_model_then_by_number_whatever_the_order():
    found = result()
    assert [(t.fault, t.trial) for t in found.trials] == [(LOW, 0), (LOW, 1), (HIGH, 2), (HIGH, 7)]
    assert len(found) == len(found.trials) == 4
    assert found.columns.fault.tolist() == [0, 0, 1, 1]


def test_a_trial_comes_back_as_it_was_given():
    rows = result().trials
    assert rows[0] == TRIALS[3]
    assert rows[-1] == FAILED
    assert rows[2:] == (rows[2], FAILED)
    assert repr(rows[1]) == repr(TRIALS[2])
    assert isinstance(rows[0].trial, int)
    assert isinstance(rows[0].metrics["accuracy"], float)
    with pytest.raises(IndexError):
        rows[4]


def test_values_are_nan_where_a_trial_failed():
    found = result()
    np.testing.assert_array_equal(found.values("accuracy", HIGH), [0.2, math.nan])
    np.testing.assert_array_equal(found.values("loss"), [0.0, math.nan, -2.0, math.nan])
    assert found.columns.failed.tolist() == [False, False, False, True]
    assert found.failures == (FAILED,)
    assert found.rows(HIGH) == slice(2, 4)


def test_nan_is_one_nan():
    odd = np.array([0x7FF800000000DEAD], np.uint64).view(np.float64)[0]
    values = result([trial(0, metrics={"accuracy": float(odd), "loss": -0.0})]).columns.metrics
    assert values["accuracy"].tobytes() == np.array([np.nan]).tobytes()
    assert math.copysign(1.0, values["loss"][0]) == -1.0


def test_kept_faults_as_columns():
    columns = result().fault_columns()
    assert list(columns) == ["row", "tensor", "index", "bit", "kind", "before", "after"]
    assert columns["row"].tolist() == [1, 1, 3]
    assert columns["tensor"].tolist() == ["conv.weight", "bias", "conv.weight"]
    assert columns["bit"].tolist() == [30, -1, 30]
    assert columns["kind"].tolist() == ["flip", "zero", "flip"]
    assert columns["after"].tolist() == [math.inf, 0.0, math.inf]
    assert result([trial(0)]).fault_columns()["tensor"].tolist() == []


def test_no_trial_at_all():
    found = result([])
    assert (len(found), list(found.trials), found.failures) == (0, [], ())
    assert found.values("loss", LOW).size == 0
    assert len(found.to_pandas()) == 0
    assert "0 done" in repr(found)


@pytest.mark.parametrize(
    ("trials", "message"),
    [
        ([trial(1), trial(0), trial(1)], "trial 1 of fault model 0 is there twice"),
        ([trial(0, BitFlip(count=1))], r"trial 0 is of BitFlip\(count=1\), which is none"),
        (
            [trial(0, metrics={"accuracy": 1.0})],
            "has the metrics accuracy, the golden run accuracy, loss",
        ),
        ([trial(0, metrics={"accuracy": 1.0, "f1": 1.0})], "has the metrics accuracy, f1"),
    ],
)
def test_what_is_no_trial_of_the_campaign(trials, message):
    with pytest.raises(CampaignError, match=message):
        result(trials)


def test_the_frame():
    frame = result().to_pandas()
    assert list(frame) == ["trial", "fault", "accuracy", "loss", "seconds", "flips", "error"]
    assert frame["fault"].tolist() == [str(LOW)] * 2 + [str(HIGH)] * 2
    assert frame["error"].isna().tolist() == [True, True, True, False]
    assert frame["error"].iloc[3] == TRACEBACK
    assert frame["accuracy"].isna().tolist() == [False, False, False, True]
    assert frame["flips"].tolist() == [1, 2, 3, 8]


def test_csv_has_every_digit(tmp_path):
    exact = trial(0, seconds=1 / 3, metrics={"accuracy": 0.1 + 0.2, "loss": -math.inf})
    path = result([exact, FAILED]).to_csv(tmp_path / "new" / "run.csv")
    with path.open(newline="") as file:
        first, second = csv.DictReader(file)
    assert float(first["seconds"]) == 1 / 3
    assert (first["accuracy"], first["loss"], first["error"]) == ("0.30000000000000004", "-inf", "")
    assert (second["accuracy"], second["error"]) == ("nan", TRACEBACK)
    assert [p.name for p in path.parent.iterdir()] == ["run.csv"]


def test_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(result().to_parquet(tmp_path / "run.parquet")).to_pydict()
    assert list(table) == ["trial", "fault", "accuracy", "loss", "seconds", "flips", "error"]
    assert table["error"] == [None, None, None, TRACEBACK]
    assert table["fault"][3] == str(HIGH)
    assert math.isnan(table["accuracy"][3])
    assert table["trial"] == [0, 1, 2, 7]


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    real = builtins.__import__

    def missing(name, *rest, **named):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(MissingExtraError, match=r"clipact\[parquet\]"):
        result().to_parquet(tmp_path / "run.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = result([trial(0)]).to_csv(tmp_path / "run.csv")
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("clipact.faults._results._frame._lines", full)
    with pytest.raises(OSError, match="No space"):
        result().to_csv(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["run.csv"]
    with pytest.raises(IsADirectoryError, match="name the file"):
        result().to_csv(tmp_path)


def test_what_it_says_of_itself():
    assert repr(result()).startswith("Result(2 faults x 8 trials, 4 done, seed=3; Weights()")
    assert "done" not in repr(result([trial(0), trial(1)], faults=(LOW,), trials_per_fault=2))
    assert result().description == "Weights() in Native(): 320 bits, seed 3"
    rare = result(lifetime="batch", sampling="by layer").description
    assert rare.endswith("seed 3, batch faults, by layer sampling")


def test_many_blocks():
    numbers = np.random.default_rng(0).permutation(20_000).tolist()
    found = result((trial(n, faults=(FLIP,) * (n % 2)) for n in numbers), faults=(LOW,))
    assert [t.trial for t in found.trials] == list(range(20_000))
    assert found.fault_columns()["row"].tolist() == list(range(1, 20_000, 2))
    assert found.trials[9_001] == trial(9_001, faults=(FLIP,))
