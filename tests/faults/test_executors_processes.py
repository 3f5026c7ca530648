import os
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import pytest

from clipact.errors import CampaignError
from clipact.faults import executors

FOLDER = Path(__file__).parent
SQUARES = {task: task * task for task in range(40)}


@pytest.fixture
def jobs(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import worker_jobs

    return worker_jobs


def opened(folder):
    return {int(path.name.split("-")[1]) for path in folder.glob("opened-*")}


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_outcomes_are_those_of_one_process(jobs, tmp_path):
    job = jobs.Square(tmp_path, seconds=0.01)
    found = list(executors.processes(2).run(job, range(40)))
    assert {task: square for task, (square, _, _) in found} == SQUARES
    assert len(found) == 40
    workers = {pid for _, (_, pid, _) in found}
    assert len(workers) == 2
    assert os.getpid() not in workers
    assert {threads for _, (_, _, threads) in found} == {1}
    assert len(list(tmp_path.glob("opened-*"))) == 2
    assert len(list(tmp_path.glob("closed-*"))) == 2
    assert not any(map(alive, workers))


def test_an_early_close_leaves_no_worker(jobs, tmp_path):
    tasks = count()
    run = executors.processes(2).run(jobs.Square(tmp_path, seconds=0.02), tasks)
    for _ in range(6):
        next(run)
    run.close()
    assert not any(map(alive, opened(tmp_path)))
    assert next(tasks) <= 6 + 2 * 2


def test_killed_workers_cost_no_task_and_double_none(jobs, tmp_path, caplog):
    job = jobs.Killing(tmp_path, tasks=(3, 17, 39))
    found = list(executors.processes(2).run(job, range(40)))
    assert len(found) == 40
    assert dict(found) == SQUARES
    assert len(list(tmp_path.glob("try-*-1"))) == 3  # each of the three was tried again
    assert "a worker process died (SIGKILL)" in caplog.text


def test_a_worker_killed_from_outside_is_replaced(jobs, tmp_path):
    run = executors.processes(2).run(jobs.Square(tmp_path, seconds=0.02), range(40))
    found, killed = [], None
    for task, (square, pid, _) in run:
        found.append((task, square))
        if len(found) == 10:
            os.kill(pid, signal.SIGKILL)
            killed = pid
    assert len(found) == 40
    assert dict(found) == SQUARES
    assert killed in opened(tmp_path)
    assert len(opened(tmp_path)) == 4


def test_a_task_that_always_kills_is_named_and_its_neighbours_are_done(jobs, tmp_path):
    job = jobs.Killing(tmp_path, tasks=(5,), times=99)
    found = []
    run = executors.processes(2).run(job, range(40))
    with pytest.raises(CampaignError, match="died 3 times with 5 in flight, as the system kills"):
        found.extend(task for task, _ in run)
    assert len(list(tmp_path.glob("try-5-*"))) == 3
    assert {0, 1, 2, 3, 4} <= set(found)
    assert len(found) == len(set(found))


def test_workers_are_replaced_only_so_often(jobs, tmp_path):
    job = jobs.Killing(tmp_path, tasks=(3,), times=2)
    with pytest.raises(CampaignError, match=r"died 2 times .*more often than restarts=1 allows"):
        list(executors.processes(2, restarts=1).run(job, range(40)))


def test_large_outcomes_arrive(jobs):
    found = dict(executors.processes(2).run(jobs.Doing(jobs.large), range(4)))
    assert found == {task: jobs.large(task) for task in range(4)}


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("fail", "1 failed in a worker process: ValueError: cannot do 1"),
        ("exit_", "1 failed in a worker process: SystemExit: asked to leave by 1"),
        ("unpicklable", "the outcome of 1 is a function that pickle refuses"),
    ],
)
def test_what_a_task_raises_arrives_with_its_traceback(jobs, function, message):
    job = jobs.Doing(getattr(jobs, function))
    with pytest.raises(CampaignError, match=message) as raised:
        list(executors.processes(1).run(job, [1]))
    assert "In the worker process:\nTraceback" in raised.value.__notes__[0]


def test_a_job_that_cannot_be_opened_says_why(jobs):
    with pytest.raises(CampaignError, match="FileNotFoundError: no weights"):
        list(executors.processes(1).run(jobs.Unopened(), [1]))


def test_a_task_that_cannot_be_sent_is_named(jobs, tmp_path):
    with pytest.raises(CampaignError, match=r"<function .* cannot be sent to a worker process"):
        list(executors.processes(1).run(jobs.Square(tmp_path), [lambda: 1]))


def script(folder, guard="if __name__ == '__main__':"):
    path = folder / "program.py"
    path.write_text(
        f"""import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore Ctrl-C
sys.path.insert(0, {str(FOLDER)!r})
from worker_jobs import Square
from clipact.faults import executors
{guard}
    for task, _ in executors.processes(2).run(Square(Path({str(folder)!r}), 0.2), range(10_000)):
        print(task, flush=True)
"""
    )
    return path


@pytest.fixture
def program(tmp_path):
    """A function: starts a program with two workers, and waits until both work."""
    started = []

    def start():
        command = [sys.executable, str(script(tmp_path))]
        running = subprocess.Popen(command, stdout=-1, stderr=-1, text=True, start_new_session=True)
        started.append(running)
        while len(opened(tmp_path)) < 2:
            assert running.poll() is None, running.stderr.read()
            time.sleep(0.05)
        return running

    yield start
    for running in started:
        running.kill()
        running.communicate()


def gone(session):
    """Whether every process of a session ends within twenty seconds."""
    for _ in range(400):
        left = [p for p in Path("/proc").glob("[0-9]*/stat") if session_of(p) == session]
        if not left:
            return True
        time.sleep(0.05)
    return False


def session_of(stat):
    try:
        state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
    except OSError:
        return None
    return None if state == "Z" else int(session)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux")
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill"])
def test_no_process_outlives_the_program(program, sign):
    running = program()
    if sign == signal.SIGINT:
        os.killpg(running.pid, sign)  # as a terminal does, to all of them
    else:
        running.send_signal(sign)
    _, errors = running.communicate(timeout=60)
    assert running.returncode in {1, -sign}
    assert gone(running.pid)
    if sign == signal.SIGINT:
        assert errors.strip().endswith("KeyboardInterrupt")
        assert errors.count("Traceback") == 1


def test_a_program_without_guard_is_told_so(tmp_path):
    path = script(tmp_path, guard="if True:")
    command = [sys.executable, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "CampaignError: worker processes end as they start (exit status 1)" in last
    assert 'if __name__ == "__main__":' in last
    assert "a worker process reads the program's file" in done.stderr
    assert not opened(tmp_path)
