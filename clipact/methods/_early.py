"""When the training of a stage may end before its time."""

from dataclasses import dataclass
from typing import final

from clipact.errors import TrainingError
from clipact.methods._checked import check_fields

__all__ = ["Early"]


@final
@dataclass(frozen=True)
class Early:
    """What is left out of ProAct's procedure because it would not change the result, or hardly.

    Whatever is left out, thresholds are accepted by the accuracy that they themselves have on the held-out data.

    - *Weaker decays* are not tried once a decay has kept the accuracy. The result is the same.
    - *Hopeless* attempts end. After an epoch with too low an accuracy, the highest thresholds that the remaining
      steps can reach are put in for a moment; if even with these the accuracy is too low, the decay is refused. The
      result is the same if no step of Adam is longer than the learning rate (it is, as a rule, shorter) and higher
      thresholds do not lose accuracy.
    - *Settled* attempts end: those in which the remaining steps can move the thresholds by no more than this share.

    Attributes:
        settled: That share; 0 for every step.
        hopeless: Whether hopeless attempts end.
    """

    settled: float = 0.01
    hopeless: bool = True

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0 <= self.settled < 1:
            raise TrainingError(
                f"settled={self.settled} asked for; it is a share of the thresholds, 0.01 for one hundredth"
            )
