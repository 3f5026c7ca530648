"""Thresholds that train stage by stage under the ``Trainer`` of Transformers."""

from typing import Any, final

from clipact.errors import MissingExtraError
from clipact.training import Pacer
from clipact.training._optimizers import check_optimizers

try:
    from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
except ImportError:
    raise MissingExtraError(
        "clipact.integrations.transformers needs Transformers: pip install 'clipact[hf]'"
    ) from None

__all__ = ["ProgressiveThresholds"]

_KEY = "clipact.ProgressiveThresholds"


@final
class ProgressiveThresholds(TrainerCallback):
    """A callback that runs the stages of a pacer and stops the trainer after the last.

    Make the progression before ``trainer.train()``, which then puts all thresholds into its optimizer. Checkpoints
    have the stage and how far it is. This trainer clips gradients before a callback can gate them, so that those of
    all stages count in the norm: set ``max_grad_norm=0``, unless you want that. It does not tell callbacks of an
    exception: call ``pacer.close()`` after one.

    Args:
        pacer: The stages and how many epochs or updates each lasts.
    """

    def __init__(self, pacer: Pacer) -> None:
        self.pacer = pacer

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Resume, and refuse an optimizer that lacks a threshold."""
        check_optimizers(self.pacer.progression.thresholds, [kwargs["optimizer"]])
        self.pacer.progression.open()
        if (saved := _states(state).get(_KEY)) is not None:
            self.pacer.load_state_dict(saved)
        self._after(state, control)

    def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
        """Gate."""
        self.pacer.before_optimizer_step()

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Count the update, and stop after the last."""
        self.pacer.after_optimizer_step()
        self._after(state, control)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Count the epoch, and stop after the last."""
        self.pacer.epoch_end()
        self._after(state, control)

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Put flags and hooks back."""
        self.pacer.close()

    def _after(self, state: TrainerState, control: TrainerControl) -> None:
        _states(state)[_KEY] = self.pacer.state_dict()
        control.should_training_stop = control.should_training_stop or self.pacer.done


def _states(state: TrainerState) -> dict[str, Any]:
    # declared as a list; the trainer makes it a dict, which it writes into the checkpoint's trainer_state.json
    return state.stateful_callbacks  # pyright: ignore[reportReturnType] - see the line above
