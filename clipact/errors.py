"""What clipact raises.

Every error is a :class:`ClipactError` and also the built-in that fits, so that ``except ValueError`` or
``except LookupError`` works as usual. A message says what was asked, where, what was found and what to do.
"""

from typing import Any


class ClipactError(Exception):
    """Base of everything clipact raises on purpose."""


class SelectionError(ClipactError, LookupError):
    """A name, predicate or target selects nothing."""


class ThresholdError(ClipactError, ValueError):
    """A threshold has a value or shape that cannot work where it was put."""


class SurgeryError(ClipactError, RuntimeError):
    """A model cannot be rewritten, or not restored; it is left as it was."""


class CalibrationError(ClipactError, ValueError):
    """Calibration data is empty, unusable, or does not cover what is asked of the profile."""


class FaultError(ClipactError, ValueError):
    """A fault model, target or number format does not fit the model it is applied to."""


class CampaignError(ClipactError, RuntimeError):
    """A campaign cannot go on: data that changes between runs, an evaluation that fails, a model in use."""


class TrainingError(ClipactError, RuntimeError):
    """Thresholds cannot be trained as asked; those of the stage at work are as they were before it."""


class ScheduleError(ClipactError, ValueError):
    """A schedule that has no meaning, or one for a value that an optimizer also trains."""


class SparsityError(ClipactError, ValueError):
    """A sparsity, slope or variance that no initialisation gives, or a network the theory does not cover."""


class SpikingError(ClipactError, ValueError):
    """A network that cannot become spiking, or a spiking layer used where it has no meaning."""


class MissingExtraError(ClipactError, ImportError):
    """An optional dependency is not installed; the message names the extra."""


class OutOfRangeError(ClipactError, ArithmeticError):
    """An activation left its calibrated range while a detector was told to raise."""


class StabilityWarning(UserWarning):
    """An initialisation whose signal may explode or die in depth; the message says what to change."""


class OutOfRangeWarning(UserWarning):
    """An activation left its calibrated range while a detector was told to warn."""


class CampaignInterrupted(KeyboardInterrupt):
    """Ctrl-C during a campaign; :attr:`result` has the trials that were done, as a :class:`clipact.faults.Result`.

    A ``KeyboardInterrupt``, so that it ends a program as usual unless it is caught.
    """

    def __init__(self, message: str, result: Any) -> None:
        super().__init__(message)
        self.result = result
