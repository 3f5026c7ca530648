import math
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clipact.errors import CampaignError
from clipact.faults import BitFlip, Fault, Interval, Native, Trial
from clipact.faults._results._summary import Estimator
from clipact.faults._store import Identity, Store
from clipact.faults._store._schema import SCHEMA

LOW, HIGH = BitFlip(rate=1e-6), BitFlip(rate=1e-4)
TRACEBACK = "Traceback (most recent call last):\nValueError: bad luck\n"


@pytest.fixture
def identity():
    return Identity(
        weights="ab" * 32,
        data="60 samples",
        faults=(LOW, HIGH),
        target="Weights()",
        format=Native(),
        seed=2**70,
        trials=10,
        population=320,
        golden={"loss": 0.1, "Loss": math.nan, 'a"; b': 1.0},
        dtype="float32",
    )


def trial(number, fault=LOW, values=(0.1, 0.2, 0.3), **changes):
    metrics = dict(zip(("loss", "Loss", 'a"; b'), values, strict=True))
    given = {"seconds": 0.25, "flips": 1, "digest": f"d{number}", **changes}
    return Trial(number, fault, given.pop("metrics", metrics), **given)


def same(a, b):
    """Whether two results hold the same, bit for bit."""
    one, two = a.columns, b.columns
    arrays = [(one.fault, two.fault), (one.trial, two.trial), (one.seconds, two.seconds)]
    arrays += [(one.flips, two.flips), (one.digest, two.digest)]
    arrays += [(one.metrics[name], two.metrics[name]) for name in one.metrics]
    kept, other = a.fault_columns(), b.fault_columns()
    arrays += [(kept[name], other[name]) for name in kept if name not in {"tensor", "kind"}]
    return (
        all(x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in arrays)
        and all(kept[name].tolist() == other[name].tolist() for name in ("tensor", "kind"))
        and one.errors == two.errors
        and list(one.metrics) == list(two.metrics)
    )


def test_what_goes_in_comes_out(tmp_path, identity):
    flip = Fault("conv.weight", 2**62, 30, "flip", -math.inf, math.nan)
    rows = [
        trial(2**62, values=(math.nan, -0.0, -math.inf), flips=2**62, faults=(flip,)),
        trial(3, HIGH, values=(5e-324, 1 / 3, 1.7976931348623157e308), seconds=1e-300),
        trial(1, metrics={}, error=TRACEBACK, digest="", faults=(flip, replace(flip, bit=-1))),
    ]
    with Store.open(tmp_path / "run.sqlite", identity) as store:
        store.add(rows[:2])
        store.add(rows[2:])
        inside = store.result()
    found = Store.read(tmp_path / "run.sqlite")
    assert same(found, inside)
    with Store.in_memory(identity) as memory:
        memory.add(rows)
        assert same(found, memory.result())
    assert found.columns.metrics["loss"].view(np.int64)[1] == np.array(np.nan).view(np.int64)
    assert math.copysign(1.0, found.values("Loss", LOW)[1]) == -1.0
    assert found.values('a"; b', LOW)[1] == -math.inf
    assert found.values("loss", HIGH)[0] == 5e-324
    assert (found.columns.trial.tolist(), found.columns.flips.max()) == ([1, 2**62, 3], 2**62)
    assert found.fault_columns()["row"].tolist() == [0, 0, 1]
    assert repr(found.trials[1].faults) == repr((flip,))
    assert found.failures[0].error == TRACEBACK
    assert (found.seed, found.trials_per_fault, found.faults) == (2**70, 10, (LOW, HIGH))
    assert math.isnan(found.golden["Loss"])


def test_what_was_measured_can_be_read_without_the_model(tmp_path, identity):
    with Store.open(tmp_path / "run.sqlite", identity):
        pass
    found = Store.identify(tmp_path / "run.sqlite")
    assert repr(found) == repr(identity)  # a golden metric is NaN
    with pytest.raises(CampaignError, match=r"none\.sqlite"):
        Store.identify(tmp_path / "none.sqlite")


def test_a_trial_is_there_once(tmp_path, identity):
    with Store.open(tmp_path / "run.sqlite", identity) as store:
        store.add([trial(0), trial(1)])
        store.add([trial(1, values=(9.0, 9.0, 9.0)), trial(2), trial(2)])
        assert store.done(0).tolist() == [0, 1, 2]
        assert store.done(1).tolist() == []
        assert store.done(0).dtype == np.int64
    assert Store.read(tmp_path / "run.sqlite").values("loss", LOW).tolist() == [0.1] * 3


def test_a_campaign_continues_and_may_grow(tmp_path, identity):
    path = tmp_path / "new" / "run.sqlite"
    with Store.open(path, identity) as store:
        store.add([trial(0)])
    reordered = dict(reversed(identity.golden.items()))
    with Store.open(path, replace(identity, trials=50, golden=reordered)) as store:
        assert store.done(0).tolist() == [0]
        store.add([trial(40, values=(1.0, 2.0, 3.0))])
        assert store.result().trials[1].metrics == {"loss": 1.0, "Loss": 2.0, 'a"; b': 3.0}
        assert store.result().trials_per_fault == 50
    with Store.open(path, identity) as store:
        assert store.result().trials_per_fault == 50
    assert len(Store.read(path)) == 2


def test_a_finished_store_is_one_file(tmp_path, identity):
    with Store.open(tmp_path / "run.sqlite", identity) as store:
        store.add([trial(0)])
        assert len(list(tmp_path.iterdir())) > 1
    assert [path.name for path in tmp_path.iterdir()] == ["run.sqlite"]


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"weights": "cd" * 32}, ["SHA-256 of the weights: the store has abab"]),
        ({"seed": 1}, [f"seed: the store has {2**70}, asked was 1"]),
        (
            {"torch": "0.1", "clipact": "0.0"},
            ["version of torch: the store has", "clipact: the store has", "asked was 0.0"],
        ),
        ({"faults": (LOW,)}, [f"fault models: the store has {LOW}, {HIGH}, asked was {LOW}"]),
        (
            {"golden": {"loss": 0.2, 'a"; b': 1.0, "new": 1.0}},
            [
                "golden loss: the store has 0.1, asked was 0.2",
                "golden Loss",
                "has nan, asked was nothing",
                "golden new",
            ],
        ),
        ({"data": "59 samples", "lifetime": "batch"}, ["data: ", "lifetime: the store has static"]),
    ],
)
def test_another_campaign_is_refused_line_by_line(tmp_path, identity, changes, lines):
    path = tmp_path / "run.sqlite"
    with Store.open(path, identity) as store:
        store.add([trial(0)])
    before = path.read_bytes()
    other = replace(identity, **changes)
    with (
        pytest.raises(CampaignError, match="store of another campaign") as caught,
        Store.open(path, other),
    ):
        pass
    for line in lines:
        assert line in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1 + (3 if "golden" in changes else len(changes))
    assert path.read_bytes() == before


def test_a_second_writer_is_told_who_writes(tmp_path, identity):
    path = tmp_path / "run.sqlite"
    with Store.open(path, identity) as store:
        with (
            pytest.raises(
                CampaignError, match=rf"run.sqlite is being written by process {os.getpid()} on"
            ),
            Store.open(path, identity),
        ):
            pass
        store.add([trial(0)])
    with Store.open(path, identity) as store:
        assert store.done(0).tolist() == [0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_worker_does_not_hold_the_lock(tmp_path, identity):
    path = tmp_path / "run.sqlite"
    code = (
        "import os, signal, sys, time\n"
        "from pathlib import Path\n"
        "from clipact.faults._store._lock import Lock\n"
        f"lock = Lock(Path({str(path)!r}))\n"
        "lock.__enter__()\n"
        "if os.fork() == 0:\n"
        "    time.sleep(60)\n"
        "print('held', flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, process_group=0
    )
    try:
        assert process.stdout.readline() == b"held\n"
        process.wait()
        with Store.open(path, identity) as store:
            store.add([trial(0)])
    finally:
        os.killpg(process.pid, 9)
        process.stdout.close()


def test_reading_while_another_writes(tmp_path, identity):
    path = tmp_path / "run.sqlite"
    with Store.open(path, identity) as store:
        assert len(Store.read(path)) == 0
        store.add([trial(0)])
        assert len(Store.read(path)) == 1
        store.add([trial(1)])
        assert len(Store.read(path)) == 2


def test_other_programs_can_read_it(tmp_path, identity):
    path = tmp_path / "run.sqlite"
    with Store.open(path, identity) as store:
        store.add([trial(0), trial(1, HIGH, metrics={}, error=TRACEBACK)])
    connection = sqlite3.connect(path)
    cursor = connection.execute("SELECT * FROM results ORDER BY trial")
    assert cursor.fetchall() == [
        (0, str(LOW), 0.1, 0.2, 0.3, 0.25, 1, None),
        (1, str(HIGH), None, None, None, 0.25, 1, TRACEBACK),
    ]
    assert [column[0] for column in cursor.description][:3] == ["trial", "fault", "loss"]
    connection.close()


def test_a_batch_with_a_wrong_trial_is_refused_whole(tmp_path, identity):
    with Store.open(tmp_path / "run.sqlite", identity) as store:
        with pytest.raises(CampaignError, match="none of the campaign's fault models"):
            store.add([trial(0), trial(1, BitFlip(count=1))])
        with pytest.raises(CampaignError, match="has the metrics f1, the golden run loss"):
            store.add([trial(0), trial(1, metrics={"f1": 1.0})])
        with pytest.raises(KeyboardInterrupt):
            store.add(interrupted())
        assert store.done(0).tolist() == []
        store.add([trial(0)])
        assert store.done(0).tolist() == [0]


def interrupted():
    yield trial(0)
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "content", [b"trial,accuracy\n" * 100, b"SQLite format 3\0 but not really" * 100]
)
def test_a_file_that_is_not_a_store_is_left_as_it_is(tmp_path, identity, content):
    path = tmp_path / "run.csv"
    path.write_bytes(content)
    for use in (lambda: Store.open(path, identity).__enter__(), lambda: Store.read(path)):
        with pytest.raises(CampaignError, match=r"opening|reading") as caught:
            use()
        assert "give another path" in str(caught.value) or "damaged" in str(caught.value)
    assert path.read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ["run.csv"]


def test_a_database_of_another_program_is_left_as_it_is(tmp_path, identity):
    path = tmp_path / "other.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE trials (a)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(CampaignError, match="another program"), Store.open(path, identity):
        pass
    with pytest.raises(CampaignError, match="another program"):
        Store.read(path)
    assert path.read_bytes() == before


def test_a_newer_schema_is_left_as_it_is(tmp_path, identity):
    path = tmp_path / "run.sqlite"
    with Store.open(path, identity):
        pass
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(CampaignError, match="newer clipact"), Store.open(path, identity):
        pass
    with pytest.raises(CampaignError, match="update clipact"):
        Store.read(path)
    assert path.read_bytes() == before


def test_no_store_there(tmp_path):
    with pytest.raises(CampaignError, match="there is no store"):
        Store.read(tmp_path / "run.sqlite")
    with pytest.raises(CampaignError, match="there is no store"):
        Store.read(tmp_path)
    (tmp_path / "empty").touch()
    with pytest.raises(CampaignError, match="no campaign has been stored"):
        Store.read(tmp_path / "empty")
    assert [p.name for p in tmp_path.iterdir()] == ["empty"]


def test_a_folder_where_the_store_should_be(tmp_path, identity):
    (tmp_path / "file").touch()
    with (
        pytest.raises(CampaignError, match="cannot be written, because its lock"),
        Store.open(tmp_path / "file" / "run", identity),
    ):
        pass
    (tmp_path / "folder").mkdir()
    with (
        pytest.raises(CampaignError, match="is a folder or has no name"),
        Store.open(tmp_path / "folder", identity),
    ):
        pass
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


def test_a_full_disk_loses_nothing(tmp_path, identity):
    path = tmp_path / "run.sqlite"
    with Store.open(path, identity) as store:
        store.add([trial(0)])
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages + 1}")
        with pytest.raises(
            CampaignError, match=r"run.sqlite failed .*its disk is full; make room.*before are kept"
        ):
            store.add([trial(n, digest="d" * 200) for n in range(1, 500)])
        assert store.done(0).tolist() == [0]
        store._connection.execute("PRAGMA max_page_count = 100000")
        store.add([trial(1)])
    assert Store.read(path).columns.trial.tolist() == [0, 1]


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX permissions")
def test_a_folder_that_cannot_be_written(identity):
    open_to_others = Path(tempfile.mkdtemp())  # another run of pytest shuts the folders of this one
    path = open_to_others / "shut" / "run.sqlite"
    with Store.open(path, identity) as store:
        store.add([trial(0)])
    open_to_others.chmod(0o755)
    path.parent.chmod(0o555)
    path.chmod(0o444)
    code = (
        "import os\n"
        "from pathlib import Path\n"
        "from clipact.errors import CampaignError\n"
        "from clipact.faults._store import Store\n"
        f"path = Path({str(path)!r})\n"
        "os.geteuid() or os.setegid(65534)\n"  # permissions do not count for root
        "os.geteuid() or os.seteuid(65534)\n"
        "result = Store.read(path)\n"
        "print(len(result))\n"
        "try:\n"
        "    with Store.open(path, None): pass\n"
        "except CampaignError as error:\n"
        "    print(error)\n"
    )
    try:
        found = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert found.returncode == 0, found.stderr
        first, second = found.stdout.splitlines()
        assert first == "1"
        assert "run.sqlite cannot be written" in second
    finally:
        path.parent.chmod(0o755)
        shutil.rmtree(open_to_others)


def test_without_wal_transactions_are_whole_too(tmp_path, identity, monkeypatch):
    from clipact.faults._store import _file

    real = _file._journal
    monkeypatch.setattr(_file, "_journal", lambda c, mode: mode != "WAL" and real(c, mode))
    path = tmp_path / "run.sqlite"
    with Store.open(path, identity) as store:
        assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("truncate",)
        assert store._connection.execute("PRAGMA synchronous").fetchone() == (2,)
        store.add([trial(0)])
        assert len(Store.read(path)) == 1


def test_every_transaction_reaches_the_disk(tmp_path, identity):
    with Store.open(tmp_path / "run.sqlite", identity) as store:
        assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert store._connection.execute("PRAGMA synchronous").fetchone() == (2,)


@pytest.mark.parametrize("error", [ValueError("mine"), sqlite3.OperationalError("mine")])
def test_an_error_in_the_block_is_the_users(tmp_path, identity, error):
    path = tmp_path / "run.sqlite"

    def run():
        with Store.open(path, identity) as store:
            store.add([trial(0)])
            raise error

    with pytest.raises(type(error), match="mine"):
        run()
    assert [p.name for p in tmp_path.iterdir()] == ["run.sqlite"]
    assert path.read_bytes()[18:20] == b"\1\1"  # one plain file again: SQLite's mark for that
    with Store.open(path, identity) as store:
        assert store.done(0).tolist() == [0]


def test_estimators_are_kept(tmp_path, identity):
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Weighed(Estimator):
        shares: tuple[float, ...]

        def estimate(self, trials, values, confidence):
            return Interval(self.shares[0], 0.0, 1.0)

    path = tmp_path / "run.sqlite"
    with Store.open(
        path, replace(identity, estimators=(Weighed((0.5,)), Weighed((0.25,))))
    ) as store:
        store.add([trial(0), trial(0, HIGH)])
    found = Store.read(path)
    assert found.estimators == {LOW: Weighed((0.5,)), HIGH: Weighed((0.25,))}
    assert found.summary().rows[1].means["loss"].estimate == 0.25
    with (
        pytest.raises(CampaignError, match=r"weights of the trials: the store has .*0\.25"),
        Store.open(path, identity),
    ):
        pass
