"""What the trials of one fault model gave so far."""

from collections.abc import Mapping
from typing import final

import numpy as np
import numpy.typing as npt


@final
class Seen:
    """What the trials of one fault model gave so far, for adaptive sampling and stopping.

    Args:
        metric: Which metric; None where no values are wanted.
    """

    def __init__(self, metric: str | None) -> None:
        self._metric = metric
        self._values: dict[int, float] = {}

    def add(self, trial: int, metrics: Mapping[str, float]) -> None:
        """Take a trial in; one that failed counts as 0, since it gave no wrong answer."""
        self._values[trial] = 0.0 if self._metric is None else metrics.get(self._metric, 0.0)

    def __len__(self) -> int:
        return len(self._values)

    def columns(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Trial numbers, rising, and their values."""
        trials = np.array(sorted(self._values), dtype=np.int64)
        return trials, np.array([self._values[t] for t in trials.tolist()], dtype=np.float64)
