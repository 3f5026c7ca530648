"""Executors of other packages, each in a program of its own: they start threads, processes and warnings of their own."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent

PREAMBLE = f"""
import json, os, signal, sys
from pathlib import Path
sys.path.insert(0, {str(FOLDER)!r})
import torch
from worker_jobs import Killing, Square
from clipact.errors import CampaignError
from clipact.faults import executors

def squares(executor, folder, tasks=40):
    run = executors.as_executor(executor).run(Square(Path(folder), 0.005), range(tasks))
    found = list(run)
    print(json.dumps([[task, square, pid, threads] for task, (square, pid, threads) in found]))

def killing(executor, folder):
    try:
        run = executors.as_executor(executor).run(Killing(Path(folder), (7, 23)), range(40))
        print(json.dumps(list(run)))
    except CampaignError as error:
        print(json.dumps(str(error)))
"""


@pytest.fixture
def program(tmp_path):
    """A function: what a program prints, as JSON."""

    def run(body):
        path = tmp_path / "program.py"
        lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
        path.write_text(
            f"{PREAMBLE}\nif __name__ == '__main__':\n    folder = {str(tmp_path)!r}\n{lines}\n"
        )
        done = subprocess.run(
            [sys.executable, str(path)], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.strip().splitlines()[-1])

    return run


def needs(package):
    return pytest.mark.skipif(find_spec(package) is None, reason=f"needs {package}")


def check(found):
    assert sorted((task, square) for task, square, *_ in found) == [(n, n * n) for n in range(40)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_processes_do_not_hang_after_torch_used_threads(program):
    found = program("""
import concurrent.futures as cf, multiprocessing as mp
torch.set_num_threads(2)
torch.ones(600, 600) @ torch.ones(600, 600)
with cf.ProcessPoolExecutor(2, mp_context=mp.get_context("fork")) as pool:
    squares(pool, folder)
""")
    check(found)
    assert {threads for *_, threads in found} == {1}


@pytest.mark.slow
@needs("loky")
def test_loky_runs_tasks_and_says_when_it_broke(program):
    found = program("""
import loky
squares(loky.get_reusable_executor(2), folder)
""")
    check(found)
    assert len({pid for _, _, pid, _ in found}) == 2
    error = program("""
import loky
killing(loky.get_reusable_executor(2), folder)
""")
    assert "one of its worker processes died; what is stored stays" in error
    assert "use executors.processes()" in error


@pytest.mark.slow
@needs("distributed")
def test_dask_runs_tasks_and_gives_those_of_a_killed_worker_to_another(program):
    found = program("""
from distributed import Client
with Client(n_workers=2, threads_per_worker=2, dashboard_address=None) as client:
    squares(client.get_executor(), folder)
""")
    check(found)
    assert len({pid for _, _, pid, _ in found}) == 2
    found = program("""
from distributed import Client
with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
    killing(client.get_executor(), folder)
""")
    check(found)


@pytest.mark.slow
@needs("distributed")
def test_dask_with_threads_is_found_out(program):
    error = program("""
from distributed import Client
with Client(processes=False, n_workers=1, dashboard_address=None) as client:
    killing(client.get_executor(), folder)
""")
    assert "in threads of the program itself" in error


@pytest.mark.slow
@needs("ray")
def test_ray_runs_tasks_and_gives_those_of_a_killed_worker_to_another(program, tmp_path):
    found = program("""
run = executors.ray(2).run(Killing(Path(folder), (7, 23)), range(40))
print(json.dumps(list(run)))
""")
    check(found)
    tries = sorted(path.name for path in tmp_path.glob("try-*"))
    assert tries == ["try-23-0", "try-23-1", "try-7-0", "try-7-1"]


@pytest.mark.slow
@needs("ray")
def test_a_ray_of_the_program_is_used_and_left_alone(program, tmp_path):
    found, error = program("""
import ray
ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level="warning")
found = []
for task, (square, pid, threads) in executors.ray().run(Square(Path(folder), 0.02), range(40)):
    found.append([task, square, pid, threads])
    if len(found) == 10:
        os.kill(pid, signal.SIGKILL)
try:
    list(executors.ray(2, retries=1).run(Killing(Path(folder), (5,), 99), range(40)))
except CampaignError as raised:
    assert ray.is_initialized()
    ray.shutdown()
    print(json.dumps([found, str(raised)]))
""")
    check(found)
    assert len(found) == 40
    assert len(list(tmp_path.glob("opened-*"))) >= 3
    assert error.startswith("Ray did not run 5, after 1 retries where a worker died")
