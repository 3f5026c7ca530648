import importlib.util
import json
import os
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

from clipact.faults._store import Store

PROGRAM = Path(__file__).with_name("store_killed.py")


@pytest.fixture(scope="module")
def program():
    spec = importlib.util.spec_from_file_location("store_killed", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_moment_every_acknowledged_batch_is_there_once(tmp_path, program):
    path = tmp_path / "run.sqlite"
    command = [sys.executable, str(PROGRAM), str(path), "12", "1"]
    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    acknowledged = [0, 0]
    for fault, stop in chain.from_iterable(found):
        acknowledged[fault] = stop
    assert min(acknowledged) > 5 * program.BATCH
    with Store.open(path, program.IDENTITY) as store:
        for fault in (0, 1):
            done = store.done(fault).tolist()
            assert done == list(range(len(done)))
            assert acknowledged[fault] <= len(done) <= acknowledged[fault] + program.BATCH
            assert len(done) % program.BATCH == 0
        result = store.result()
    expected = [program.trial(t.trial, program.FAULTS.index(t.fault)) for t in result.trials]
    assert list(result.trials) == expected
    assert [p.name for p in tmp_path.iterdir()] == ["run.sqlite"]
