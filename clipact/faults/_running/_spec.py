"""What a campaign is, without the model and the data: plain values that a worker process gets too."""

from dataclasses import dataclass
from typing import NamedTuple, final

from clipact.faults._formats import Format
from clipact.faults._lifetime import Lifetime
from clipact.faults._models import FaultModel
from clipact.faults._numbers._stopping import Precision
from clipact.faults._results._trial import Trial
from clipact.faults._sampling import Sampling
from clipact.faults._shard import Shard
from clipact.faults._targets import Target


@final
@dataclass(frozen=True)
class Spec:
    """See :class:`Campaign`, whose arguments these are."""

    faults: tuple[FaultModel, ...]
    target: Target
    trials: int
    seed: int
    format: Format
    lifetime: Lifetime
    sampling: Sampling
    per_sample: bool


@final
@dataclass(frozen=True)
class Options:
    """How trials are run; what they find does not depend on it.

    Attributes:
        replay: Take shortcuts that are exact.
        dirty_only: Compute only the samples that faults reach; some of these trials are always run in full too.
        verify: Share of the trials that are run in full too.
        stop_on_error: Raise where an evaluation raises, instead of recording it.
    """

    replay: bool = True
    dirty_only: bool = False
    verify: float = 0.0
    stop_on_error: bool = False


class Limits(NamedTuple):
    """Where a run ends before all trials are done.

    Attributes:
        stop: When the estimate of a fault model is precise enough.
        seconds: After so much time.
        shard: Only one part of the trials is run.
    """

    stop: Precision | None = None
    seconds: float | None = None
    shard: Shard | None = None


class Task(NamedTuple):
    """Some trials of one fault model, by its place among the campaign's."""

    fault: int
    trials: tuple[int, ...]


class Outcome(NamedTuple):
    """What a task found.

    Attributes:
        trials: One row each.
        replayed: In how many of them a shortcut saved work.
        notes: What the user must be told.
    """

    trials: tuple[Trial, ...]
    replayed: int = 0
    notes: tuple[str, ...] = ()
