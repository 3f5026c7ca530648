import concurrent.futures as cf
import pickle
from concurrent.futures import Future
from itertools import count
from pathlib import Path

import pytest

from clipact.errors import CampaignError, MissingExtraError
from clipact.faults import executors
from clipact.faults.executors._backlog import Backlog
from clipact.faults.executors._executor import named
from clipact.faults.executors._window import Window


@pytest.fixture
def jobs(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)
    import worker_jobs

    return worker_jobs


class Late(cf.Executor):
    """Performs what is submitted when told to, the last first."""

    def __init__(self):
        self.waiting = []

    def submit(self, function, *arguments):
        future = Future()
        self.waiting.append((future, function, arguments))
        return future


def test_in_process_the_job_is_opened_once_and_closed(jobs, tmp_path):
    run = executors.InProcess().run(jobs.Square(tmp_path), range(4))
    assert [(task, found[0]) for task, found in run] == [(0, 0), (1, 1), (2, 4), (3, 9)]
    assert sorted(path.name.split("-")[0] for path in tmp_path.iterdir()) == ["closed", "opened"]


def test_as_executor_takes_ours_and_any_of_the_standard_library():
    ours = executors.processes(2)
    assert executors.as_executor(ours) is ours
    assert str(executors.as_executor(Late())) == "futures(Late)"


@pytest.mark.parametrize("value", [None, 4, "processes", executors])
def test_what_is_no_executor_is_refused(value):
    with pytest.raises(CampaignError, match="is not an executor; give one of"):
        executors.as_executor(value)


def test_threads_are_refused():
    with (
        cf.ThreadPoolExecutor(1) as threads,
        pytest.raises(CampaignError, match="in place and threads"),
    ):
        executors.as_executor(threads)


def test_an_executor_that_performs_in_this_process_is_found_out(jobs, tmp_path):
    class Here(cf.Executor):
        def submit(self, function, *arguments):
            future = Future()
            future.set_result(function(*arguments))
            return future

    with pytest.raises(CampaignError, match="in threads of the program itself"):
        next(executors.futures(Here()).run(jobs.Square(tmp_path), range(3)))
    assert list(tmp_path.iterdir()) == []


def test_tasks_are_read_as_there_is_room_and_cancelled_at_the_end(jobs, tmp_path):
    late, tasks = Late(), count()
    run = executors.futures(late, window=3).run(jobs.Square(tmp_path), tasks)
    with cf.ThreadPoolExecutor(1) as helper:
        first = helper.submit(next, run)
        while len(late.waiting) < 3:
            pass
        late.waiting[1][0].set_exception(KeyError("lost"))
        with pytest.raises(CampaignError, match=r"futures\(Late\) did not run 1: KeyError"):
            first.result()
    assert next(tasks) == 3
    assert [future.cancelled() for future, _, _ in late.waiting] == [True, False, True]


def test_more_is_handed_over_as_more_workers_answer(jobs, tmp_path):
    late = Late()
    run = executors.futures(late).run(jobs.Square(tmp_path), count())
    with cf.ThreadPoolExecutor(1) as helper:
        for turn, waiting in enumerate([8, 9, 10, 14]):  # in flight, and what has been answered
            answer = helper.submit(next, run)
            while len(late.waiting) < waiting:
                pass
            late.waiting[turn][0].set_result((f"worker {turn}", pickle.dumps(turn)))
            assert answer.result() == (turn, turn)
    assert len(late.waiting) == 15
    run.close()
    assert all(future.cancelled() for future, _, _ in late.waiting[4:])


def test_a_task_is_named_shortly():
    assert named((0, tuple(range(1000)))).endswith("…")
    assert len(named((0, tuple(range(1000))))) == 121


def test_an_executor_that_broke_says_what_to_do(jobs, tmp_path):
    class Broken(cf.Executor):
        def submit(self, function, *arguments):
            raise cf.BrokenExecutor("gone")

    with pytest.raises(
        CampaignError, match="one of its worker processes died; what is stored stays"
    ):
        next(executors.futures(Broken()).run(jobs.Square(tmp_path), range(3)))


def test_a_job_that_cannot_be_pickled_is_refused(tmp_path):
    with pytest.raises(CampaignError, match="the job cannot be sent to worker processes"):
        next(executors.processes(1).run(lambda: None, range(3)))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("n = 0", {"n": 0}),
        ("threads = 0", {"n": 1, "threads": 0}),
        ("poison = 0", {"n": 1, "poison": 0}),
        (r"restarts \+ 1 = 0", {"n": 1, "restarts": -1}),
    ],
)
def test_numbers_of_processes_are_checked(name, arguments):
    with pytest.raises(CampaignError, match=f"processes\\(\\) got {name}"):
        executors.processes(**arguments)


def test_numbers_of_the_others_are_checked():
    with pytest.raises(CampaignError, match="window is 0"):
        executors.futures(Late(), window=0)
    pytest.importorskip("ray")
    for wrong in ({"workers": 0}, {"cpus": 0.0}, {"gpus": -1.0}, {"retries": -2}):
        with pytest.raises(CampaignError, match=r"ray\(\) got "):
            executors.ray(**wrong)


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'clipact\[ray\]'"):
        executors.ray(2)


def test_a_window_gives_what_is_done_first():
    window = Window()
    futures = [Future() for _ in range(3)]
    for item, future in zip("abc", futures, strict=True):
        window.add(item, future)
    futures[2].set_result(1)
    futures[0].set_result(2)
    assert [window.take()[0], window.take()[0]] == ["c", "a"]
    assert list(window) == ["b"]
    window.cancel()
    assert futures[1].cancelled()
    assert len(window) == 0


def test_a_task_in_flight_at_many_breakdowns_is_run_alone_and_then_refused():
    backlog = Backlog(range(10), poison=3)
    flying = [backlog.take([]) for _ in range(4)]
    backlog.put_back_suspects(flying)
    flying = [backlog.take([]) for _ in range(4)]
    assert [entry.task for entry in flying] == [0, 1, 2, 3]
    backlog.put_back_suspects(flying)
    alone = backlog.take([])
    assert backlog.take([alone]) is None
    assert alone.task == 0
    next_alone = backlog.take([])  # the first is done
    with pytest.raises(CampaignError, match="died 3 times with 1 in flight"):
        backlog.put_back_suspects([next_alone])


def test_fresh_tasks_run_beside_each_other():
    backlog = Backlog(range(2), poison=3)
    first = backlog.take([])
    second = backlog.take([first])
    assert (first.task, second.task) == (0, 1)
    assert backlog.take([first, second]) is None
