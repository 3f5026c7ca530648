"""What a running campaign shows of itself."""

from collections.abc import Mapping
from typing import final

from clipact._progress import Progress, RunningMean
from clipact.faults._running._spec import Outcome

_SHOWN = ("accuracy", "sdc")


@final
class Sight:
    """Feeds a progress bar, with estimates so far.

    Args:
        progress: The bar.
        golden: Metrics of the golden run.
        alike: Whether all trials count alike; else their mean is no estimate, and is not shown.
    """

    def __init__(
        self, progress: Progress, golden: Mapping[str, float], *, alike: bool = True
    ) -> None:
        names = [name for name in _SHOWN if name in golden] or list(golden)[:2]
        self._progress = progress
        self._means = {name: RunningMean() for name in names if alike}
        self._trials = self._replayed = self._failed = 0

    def advance(self, outcome: Outcome) -> None:
        """Count an outcome."""
        for trial in outcome.trials:
            for name, mean in self._means.items():
                if name in trial.metrics:
                    mean.add(trial.metrics[name])
            self._failed += trial.error is not None
        self._trials += len(outcome.trials)
        self._replayed += outcome.replayed
        values: dict[str, object] = dict(self._means)
        if self._replayed:
            values["replayed"] = f"{self._replayed / self._trials:.0%}"
        if self._failed:
            values["failed"] = self._failed
        self._progress.advance(len(outcome.trials), values)
