"""Which trials are still to be run, in tasks."""

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import groupby
from typing import final

from clipact.errors import CampaignError
from clipact.faults._numbers._stopping import Watch
from clipact.faults._results._trial import Trial
from clipact.faults._running._pace import Pace
from clipact.faults._running._seen import Seen
from clipact.faults._running._spec import Limits, Task
from clipact.faults._sampling import Sampler


@final
class Course:
    """The trials of one fault model: what is done, what comes next, when it is enough.

    Args:
        place: Of the fault model.
        sampler: Chooses trials.
        limits: What ends them early.
    """

    def __init__(self, place: int, sampler: Sampler, limits: Limits) -> None:
        self.place, self.finished = place, False
        self._sampler, self._limits = sampler, limits
        self._seen = Seen(sampler.metric)
        self._watched = Seen(None if limits.stop is None else limits.stop.metric)
        self._watch = None if limits.stop is None else Watch(limits.stop, sampler)

    def check(self, metrics: Collection[str]) -> None:
        """Refuse to go by a metric that the evaluation does not give.

        Raises:
            CampaignError: There is none.
        """
        stop = self._limits.stop
        wanted = {"sampling=": self._sampler.metric, "stop=": None if stop is None else stop.metric}
        for what, metric in wanted.items():
            if metric is not None and metric not in metrics:
                raise CampaignError(
                    f"{what} goes by the metric {metric!r}, and the evaluation gives {', '.join(metrics)}; give it metric= with one"
                    " of these"
                )

    def take(self, trials: Sequence[Trial]) -> Sequence[Trial]:
        """Take finished trials in, and give those that are not beyond the one after which it was enough."""
        if self.finished:
            return ()
        for trial in trials:
            self._seen.add(trial.trial, trial.metrics)
            self._watched.add(trial.trial, trial.metrics)
        if self._watch is None or not self._watch.is_due(len(self._watched)):
            return trials
        planned = self._sampler.plan(*self._seen.columns())
        enough = self._watch.enough(planned, *self._watched.columns())
        if enough is None:
            return trials
        self.finished = True
        within = set(enough.tolist())
        return [trial for trial in trials if trial.trial in within]

    def wanted(self, block: int) -> list[int]:
        """The trials that come next and are not done; none at the end."""
        if self.finished:
            return []
        trials, values = self._seen.columns()
        done = set(trials.tolist())
        planned = self._sampler.plan(trials, values).tolist()
        shard = self._limits.shard
        return [
            trial
            for trial in planned
            if trial not in done and (shard is None or shard.picks(trial // block))
        ]


def tasks(
    courses: Sequence[Course], pace: Pace, block: int, expired: Callable[[], bool]
) -> Iterator[Task]:
    """The next trials of every course; a course that is finished meanwhile gives no more.

    Args:
        courses: Of all fault models.
        pace: Sizes tasks.
        block: Trials in a row that are evaluated together, and so are in one task.
        expired: Whether time is up.
    """
    for course in courses:
        part: list[int] = []
        for _, group in groupby(course.wanted(block), key=lambda trial: trial // block):
            part.extend(group)
            if course.finished or expired():
                part = []
                break
            if len(part) >= pace.size:
                yield Task(course.place, tuple(part))
                part = []
        if part:
            yield Task(course.place, tuple(part))
