import math
import sqlite3
from dataclasses import replace

import pytest

from clipact.errors import CampaignError
from clipact.faults import BitFlip, Fault, Native, Trial
from clipact.faults._store import Identity, Store, merge

LOW, HIGH = BitFlip(rate=1e-6), BitFlip(rate=1e-4)


@pytest.fixture
def identity():
    return Identity(
        weights="ab" * 32,
        data="60 samples",
        faults=(LOW, HIGH),
        target="Weights()",
        format=Native(),
        seed=0,
        trials=10,
        population=320,
        golden={"accuracy": 1.0},
        dtype="float32",
    )


def trial(number, fault=LOW, accuracy=None, seconds=0.25, error=None):
    accuracy = (math.nan if number == 3 else number / 10) if accuracy is None else accuracy
    kept = (Fault(f"layer{number}.weight", number, -1, "zero", 0.5, math.nan),)
    metrics = {} if error else {"accuracy": accuracy}
    return Trial(number, fault, metrics, seconds, 1, f"d{number}", error, kept)


@pytest.fixture
def shard(tmp_path, identity):
    """A function: a store of these trials."""

    def make(name, rows, **changes):
        with Store.open(tmp_path / name, replace(identity, **changes)) as store:
            store.add(rows)
        return tmp_path / name

    return make


def rows(path):
    frame = Store.read(path).to_pandas().drop(columns="seconds").to_csv()
    return frame, repr(Store.read(path).trials[:])


def test_shards_are_the_whole(tmp_path, shard):
    every = [trial(n, fault) for fault in (LOW, HIGH) for n in range(10)]
    every[4] = trial(4, error="Traceback\nValueError: bad luck")
    every[14] = trial(4, HIGH, error="Traceback\nOther: bad luck")
    whole = shard("whole", every)
    shards = [shard(f"shard{n}", every[n::4]) for n in range(4)]
    out = merge(shards, tmp_path / "new" / "run.sqlite")
    assert rows(out) == rows(whole)
    assert rows(merge(reversed(shards), tmp_path / "other.sqlite")) == rows(whole)
    assert [p.name for p in out.parent.iterdir()] == ["run.sqlite"]
    assert Store.read(out).fault_columns()["tensor"].tolist()[9:11] == [
        "layer9.weight",
        "layer0.weight",
    ]


def test_shards_may_overlap_and_times_may_differ(tmp_path, shard):
    a = shard("a", [trial(n) for n in range(6)])
    b = shard("b", [trial(n, seconds=9.0) for n in range(3, 9)], trials=20)
    found = Store.read(merge([a, b, a], tmp_path / "run"))
    assert found.columns.trial.tolist() == list(range(9))
    assert found.columns.seconds.tolist() == [0.25] * 6 + [9.0] * 3
    assert found.trials_per_fault == 20


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (trial(5, accuracy=0.6), "has accuracy 0.6 in .*b and 0.5 in another"),
        (trial(5, error="Traceback"), "has failures 1 in .*b and 0 in another"),
        (replace(trial(5), digest="e5"), "has faults e5 in .*b and d5 in another"),
        (replace(trial(5), flips=2), "has flips 2 in .*b and 1 in another"),
        (trial(5, accuracy=math.nan), "has accuracy nan in .*b and 0.5 in another"),
    ],
)
def test_a_trial_with_two_results_is_refused(tmp_path, shard, other, message):
    a, b = shard("a", [trial(4), trial(5)]), shard("b", [trial(3), other])
    with pytest.raises(
        CampaignError,
        match=rf"trial 5 of BitFlip\(rate=1e-06\) {message}",
    ):
        merge([a, b], tmp_path / "run")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_failures_agree_whatever_their_tracebacks_say(tmp_path, shard):
    a, b = (shard(name, [trial(5, error=f"Traceback in {name}")]) for name in "ab")
    assert Store.read(merge([b, a], tmp_path / "run")).failures[0].error == "Traceback in b"


def test_other_campaigns_do_not_merge(tmp_path, shard):
    a, b = shard("a", [trial(0)]), shard("b", [trial(0)], seed=1, golden={"accuracy": 0.5})
    with pytest.raises(CampaignError, match="not of the same campaign") as caught:
        merge([a, b], tmp_path / "run")
    assert f"seed: {a} has 0, {b} has 1" in str(caught.value)
    assert f"golden accuracy: {a} has 1.0, {b} has 0.5" in str(caught.value)


def test_what_is_there_is_kept(tmp_path, shard):
    a, b, out = shard("a", [trial(0)]), shard("b", [trial(1)]), shard("run", [trial(2)])
    merge([a], out)
    merge([b], out)
    assert Store.read(out).columns.trial.tolist() == [0, 1, 2]
    other = shard("other", [trial(0)], seed=1)
    with pytest.raises(CampaignError, match="not of the same campaign"):
        merge([a], other)
    assert Store.read(other).seed == 1
    (tmp_path / "text").write_text("no store" * 100)
    with pytest.raises(CampaignError, match="not a store"):
        merge([a], tmp_path / "text")
    assert (tmp_path / "text").read_text() == "no store" * 100
    assert Store.read(merge([a, b], a)).columns.trial.tolist() == [0, 1]


def test_a_store_that_was_killed_is_folded_in(tmp_path, shard, identity):
    a = shard("a", [trial(0)])
    out = tmp_path / "run"
    with Store.open(tmp_path / "alive", identity) as store:
        store.add([trial(1)])
        for end in ("", "-wal"):  # as a kill leaves them
            (tmp_path / f"run{end}").write_bytes((tmp_path / f"alive{end}").read_bytes())
        merge([a, tmp_path / "alive"], tmp_path / "both")
    merge([a], out)
    assert not (tmp_path / "run-wal").exists()
    assert rows(out) == rows(tmp_path / "both")


def test_nobody_writes_or_reads_what_is_replaced(tmp_path, shard, identity):
    a, out = shard("a", [trial(0)]), shard("run", [trial(1)])
    with Store.open(out, identity), pytest.raises(CampaignError, match="being written by process"):
        merge([a], out)
    with Store.open(out, identity) as store:
        store.add([trial(2)])
        reader = sqlite3.connect(out, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM trials").fetchall()
    try:
        with pytest.raises(CampaignError, match="run is being read"):
            merge([a], out)
    finally:
        reader.close()
    assert Store.read(merge([a], out)).columns.trial.tolist() == [0, 1, 2]


def test_what_cannot_be_merged(tmp_path, shard):
    with pytest.raises(CampaignError, match="got no store"):
        merge([], tmp_path / "run")
    with pytest.raises(CampaignError, match="there is no store"):
        merge([shard("a", [trial(0)]), tmp_path / "b"], tmp_path / "run")
    (tmp_path / "empty").touch()
    with pytest.raises(CampaignError, match="no campaign"):
        merge([tmp_path / "empty"], tmp_path / "run")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "empty"]


def test_an_empty_file_is_replaced(tmp_path, shard):
    (tmp_path / "run").touch()
    assert len(Store.read(merge([shard("a", [trial(0)])], tmp_path / "run"))) == 1
