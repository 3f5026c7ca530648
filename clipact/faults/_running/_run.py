"""One run of a campaign: session, store, executor, progress, from the first trial to the table."""

import os
import time
import warnings
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Executor as FuturesExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from math import isnan
from typing import final

from torch import nn

from clipact._progress import Progress
from clipact.errors import CampaignInterrupted
from clipact.faults._evaluations._batched import BatchedEvaluation, BatchedGolden
from clipact.faults._evaluations._evaluation import Evaluation, Metrics
from clipact.faults._results._result import Result
from clipact.faults._running._identity import identity
from clipact.faults._running._job import LocalJob, ShippedJob
from clipact.faults._running._pace import Pace
from clipact.faults._running._progress import Sight
from clipact.faults._running._rounds import Course, tasks
from clipact.faults._running._session import Session
from clipact.faults._running._spec import Limits, Options, Outcome, Spec, Task
from clipact.faults._shipping import private_folder, ship
from clipact.faults._store import Store
from clipact.faults.executors import Executor, InProcess, as_executor

Storage = str | os.PathLike[str] | None
Workers = Executor | FuturesExecutor | None


@final
class Run:
    """See :meth:`Campaign.run`."""

    def __init__(
        self, model: nn.Module, evaluation: Evaluation, spec: Spec, options: Options
    ) -> None:
        self._model, self._evaluation, self._spec, self._options = model, evaluation, spec, options

    def result(
        self, *, store: Storage, executor: Workers, progress: bool, limits: Limits
    ) -> Result:
        """Run what is not done, and give all that is."""
        here = executor is None
        options = self._options if here else replace(self._options, replay=False)
        with ExitStack() as stack:
            session = stack.enter_context(
                Session.open(self._model, self._evaluation, self._spec, options)
            )
            who = identity(self._model, session, self._spec)
            ledger = stack.enter_context(
                Store.in_memory(who) if store is None else Store.open(store, who)
            )
            work = _Work(session, self._spec, ledger, limits)
            try:
                with self._workers(session, executor) as (crew, job):
                    work.run(crew, job, show=progress)
                session.check_unchanged()
                _warn_unless_repeated(session)
            except KeyboardInterrupt:
                raise CampaignInterrupted(_interrupted(work, store), ledger.result()) from None
            return ledger.result()

    @contextmanager
    def _workers(
        self, session: Session, executor: Workers
    ) -> Generator[tuple[Executor, LocalJob | ShippedJob]]:
        if executor is None:
            yield InProcess(), LocalJob(session)
            return
        with private_folder() as folder:
            evaluation = _portable(self._evaluation, session)
            shipped = ship({"model": self._model, "evaluation": evaluation}, folder)
            golden = dict(session.golden.metrics)
            yield as_executor(executor), ShippedJob(shipped, self._spec, self._options, golden)


@final
class _Work:
    """The trials of a run, from the executor to the ledger."""

    def __init__(self, session: Session, spec: Spec, ledger: Store, limits: Limits) -> None:
        self._session, self._ledger, self._limits = session, ledger, limits
        self._courses = [
            Course(place, sampler, limits) for place, sampler in enumerate(session.samplers)
        ]
        for course in self._courses:
            course.check(session.golden.metrics)
        self.done = 0
        held = ledger.result()
        for place, fault in enumerate(held.faults):
            self._courses[place].take(held.trials[held.rows(fault)])
        self.done = len(held)
        shards = 1 if limits.shard is None else limits.shard.count
        self.total = max(spec.trials * len(spec.faults) // shards, self.done)
        self._pace = Pace(session.seconds / session.block)
        self._end = None if limits.seconds is None else time.monotonic() + limits.seconds
        self._said: set[str] = set()

    def run(self, crew: Executor, job: LocalJob | ShippedJob, *, show: bool) -> None:
        """Round by round, until nothing is wanted."""
        with Progress("trials", self.total, show, self.done) as progress:
            alike = all(sampler.estimator is None for sampler in self._session.samplers)
            sight = Sight(progress, self._session.golden.metrics, alike=alike)
            while not self._expired() and self._round(crew, job, sight):
                pass

    def _round(self, crew: Executor, job: LocalJob | ShippedJob, sight: Sight) -> bool:
        """Whether there was anything to do."""
        given: dict[Task, int] = {}

        def wanted() -> Iterator[Task]:
            for task in tasks(self._courses, self._pace, self._session.block, self._expired):
                given[task] = len(given)
                yield task

        with closing(crew.run(job, wanted())) as outcomes:
            for task, outcome in self._ordered(outcomes, given):
                self._take(task, outcome)
                sight.advance(outcome)
        return bool(given)

    def _ordered(
        self, outcomes: Iterable[tuple[Task, Outcome]], given: dict[Task, int]
    ) -> Iterator[tuple[Task, Outcome]]:
        """As they come; with a rule to stop by in the order of trials, so that it decides the same everywhere."""
        if self._limits.stop is None:
            yield from outcomes
            return
        waiting: dict[int, tuple[Task, Outcome]] = {}
        turn = 0
        for task, outcome in outcomes:
            waiting[given[Task(*task)]] = (task, outcome)
            while turn in waiting:
                yield waiting.pop(turn)
                turn += 1

    def _take(self, task: Task, outcome: Outcome) -> None:
        trials = self._courses[task[0]].take(outcome.trials)
        self._ledger.add(trials)
        self.done += len(trials)
        self._pace.add(outcome)
        for note in outcome.notes:
            if note not in self._said:
                self._said.add(note)
                warnings.warn(note, UserWarning, stacklevel=6)

    def _expired(self) -> bool:
        return self._end is not None and time.monotonic() >= self._end


def _portable(evaluation: Evaluation, session: Session) -> Evaluation:
    """The evaluation with the batches in memory, so that workers need no loader."""
    if isinstance(evaluation, BatchedEvaluation) and isinstance(session.golden, BatchedGolden):
        return session.golden.portable()
    return evaluation


def _interrupted(work: _Work, store: Storage) -> str:
    kept = "they are lost unless you keep .result" if store is None else f"they are in {store}"
    more = "" if store is None else "; the same call continues"
    return f"interrupted after {work.done:,} of {work.total:,} trials; {kept}{more}"


def _warn_unless_repeated(session: Session) -> None:
    golden = session.golden.metrics
    try:
        again: Metrics = session.repeats()
    except Exception as error:  # the trials are done, and are not to be lost
        warnings.warn(
            f"without faults the evaluation raised {error!r} after the trials, and gave {dict(golden)} before: it does not"
            " repeat, so small differences mean nothing",
            UserWarning,
            stacklevel=4,
        )
        return
    if not all(golden[n] == again[n] or (isnan(golden[n]) and isnan(again[n])) for n in again):
        warnings.warn(
            f"without faults the evaluation gave {dict(golden)} before the trials and {dict(again)} after"
            " them: it does not repeat, so differences that small mean nothing",
            UserWarning,
            stacklevel=4,
        )
