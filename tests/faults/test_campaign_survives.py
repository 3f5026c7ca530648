"""A campaign that is killed again and again ends with the table of one that was not."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from clipact.faults import Store, merge

TRIALS = int(os.environ.get("CLIPACT_SURVIVAL_TRIALS", "1500"))

PROGRAM = """
import sys

import torch
from torch import nn

from clipact import faults

torch.set_num_threads(1)


def campaign():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4)).eval()
    images = torch.randn(64, 16)
    return faults.Campaign(
        model,
        faults.Classification([(images, model(images).argmax(1))]),
        fault=[faults.BitFlip(count=1), faults.BitFlip(rate=1e-4)],
        target=faults.Weights() | faults.Activations(),
        trials=int(sys.argv[2]),
    )


if __name__ == "__main__":
    workers = int(sys.argv[3])
    executor = faults.executors.processes(workers) if workers else None
    shard = faults.Shard.parse(sys.argv[4]) if len(sys.argv) > 4 else None
    campaign().run(store=sys.argv[1], executor=executor, shard=shard, progress=False)
"""


def table(path):
    """Every row but its time, as text, in which NaN equals itself."""
    return [
        repr((t.fault, t.trial, dict(t.metrics), t.flips, t.digest, t.error, t.faults))
        for t in Store.read(path).trials
    ]


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("survives") / "program.py"
    path.write_text(PROGRAM)
    return path


def start(program, store, workers=0, shard=None):
    command = [sys.executable, str(program), str(store), str(TRIALS), str(workers)]
    return subprocess.Popen([*command, *([shard] if shard else [])], start_new_session=True)


def finish(program, store, workers=0, shard=None):
    assert start(program, store, workers, shard).wait(timeout=600) == 0


@pytest.fixture(scope="module")
def whole(program, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run.sqlite"
    finish(program, path)
    found = table(path)
    assert len(found) == 2 * TRIALS
    return found


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_killed_and_continued(program, whole, tmp_path, workers):
    path, chance = tmp_path / "run.sqlite", random.Random(workers)
    done = []
    for _ in range(5):
        running = start(program, path, workers)
        deadline = time.monotonic() + 60
        known = done[-1] if done else 0
        while running.poll() is None and time.monotonic() < deadline:
            if path.exists() and count(path) > known:
                break
            time.sleep(0.05)
        time.sleep(0.3 * chance.random())
        with contextlib.suppress(ProcessLookupError):  # the last one may have come to its end
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        done.append(count(path))
    assert done == sorted(done)
    assert 0 < done[0] < 2 * TRIALS
    finish(program, path, workers)
    assert table(path) == whole


@pytest.mark.slow
def test_merged_shards(program, whole, tmp_path):
    paths = [tmp_path / f"{index}.sqlite" for index in range(4)]
    for index, path in enumerate(paths):
        finish(program, path, shard=f"{index}/4")
    merge(paths, tmp_path / "all.sqlite")
    assert table(tmp_path / "all.sqlite") == whole


def count(path):
    try:
        return len(Store.read(path))
    except Exception:
        return 0
