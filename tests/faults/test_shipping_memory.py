import multiprocessing as mp
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from clipact.faults._shipping import private_folder, ship

JOBS = Path(__file__).parent


def test_a_change_stays_in_the_process(tmp_path):
    shipped = ship(torch.zeros(10_000), tmp_path)
    before = (tmp_path / "memory").read_bytes()
    first, second = shipped.load().objects, shipped.load().objects
    first[17] = 1.0
    assert second.sum() == 0
    assert (tmp_path / "memory").read_bytes() == before


@pytest.mark.skipif(sys.platform != "linux", reason="madvise discards changes only on Linux")
def test_changes_are_discarded(tmp_path):
    loaded = ship([torch.arange(10_000.0), np.arange(10_000)], tmp_path).load()
    words, array = loaded.objects
    words[17] = float("nan")
    array[17] = -1
    loaded.discard_changes()
    assert torch.equal(words, torch.arange(10_000.0))
    assert np.array_equal(array, np.arange(10_000))


def test_the_folder_is_private_and_goes(tmp_path):
    with private_folder(tmp_path) as folder:
        assert folder.parent == tmp_path
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs locks of files")
def test_the_folder_of_a_killed_program_goes_with_the_next(tmp_path):
    code = (
        "import os, signal; from clipact.faults._shipping import private_folder\n"
        f"with private_folder({str(tmp_path)!r}): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    with private_folder(tmp_path) as held, private_folder(tmp_path) as folder:
        assert {held, folder} == set(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux")
def test_workers_share_the_pages_of_the_model(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(JOBS)
    from worker_jobs import flip_and_measure

    net = nn.Sequential(*(nn.Linear(1024, 1024, bias=False) for _ in range(50)))  # 200 MB
    shipped = ship(net, tmp_path)
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(["torch", "clipact.faults._shipping"])
    barrier, sizes = context.Barrier(2), context.Queue()
    arguments = (shipped, barrier, sizes)
    workers = [context.Process(target=flip_and_measure, args=arguments) for _ in range(2)]
    for worker in workers:
        worker.start()
    found = [sizes.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    for grown, unshared in found:  # of 50 faults, each on a page of 4 KiB; beside the interpreter
        assert grown <= 5
        assert unshared <= 40
