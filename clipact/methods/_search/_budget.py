"""How much clean accuracy may be lost, in held-out samples."""

from clipact.errors import CalibrationError, ThresholdError
from clipact.methods._search._accuracy import Accuracy


def check_budget(budget: float) -> None:
    """Refuse what is no share.

    Raises:
        ThresholdError: It is not from 0 to below 1.
    """
    if not 0.0 <= budget < 1.0:
        raise ThresholdError(
            f"budget={budget} asked for; it is a share of the held-out samples, and 0.005 is half a point of accuracy"
        )


def samples_to_lose(budget: float, accuracy: Accuracy) -> int:
    """How many more held-out samples may be wrong.

    Raises:
        CalibrationError: The budget is above 0, but smaller than one sample.
    """
    held_out = accuracy.samples
    if 0.0 < budget * held_out < 1 - 1e-9:
        raise CalibrationError(
            f"budget={budget:g} asked for, but one of the {held_out} held-out samples is {1 / held_out:.3g} of them; ask for at"
            f" least {1 / held_out:.3g} or for 0, or hold {round(1 / budget)} samples back"
        )
    return int(budget * held_out + 1e-9)
