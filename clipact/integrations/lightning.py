"""Thresholds that train stage by stage under Lightning's ``Trainer``."""

from typing import Any, final

from clipact.errors import MissingExtraError
from clipact.training import Pacer

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ImportError:
    raise MissingExtraError(
        "clipact.integrations.lightning needs Lightning: pip install 'clipact[lightning]'"
    ) from None

__all__ = ["ProgressiveThresholds"]


@final
class ProgressiveThresholds(Callback):
    """A callback that runs the stages of a pacer and stops the trainer after the last.

    Make the progression before ``trainer.fit``, and let ``configure_optimizers`` give the optimizer all thresholds.
    Checkpoints have the stage and how far it is. Gradients are gated before they are clipped.

    Args:
        pacer: The stages and how many epochs or updates each lasts.
    """

    def __init__(self, pacer: Pacer) -> None:
        self.pacer = pacer

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Before the strategy wraps the model."""
        if stage == "fit":
            self.pacer.progression.open()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Optimizers that lack a threshold are refused here."""
        self.pacer.attach(*trainer.optimizers)
        trainer.should_stop = trainer.should_stop or self.pacer.done

    def on_before_optimizer_step(self, *_: Any, **__: Any) -> None:
        """Before clipping."""
        self.pacer.before_optimizer_step()

    def on_train_batch_end(self, trainer: Trainer, *_: Any, **__: Any) -> None:
        """Stop after the last stage's last update."""
        trainer.should_stop = trainer.should_stop or self.pacer.done

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count the epoch, and stop after the last."""
        self.pacer.epoch_end()
        trainer.should_stop = trainer.should_stop or self.pacer.done

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Put flags and hooks back."""
        if stage == "fit":
            self.pacer.close()

    def on_exception(self, *_: Any, **__: Any) -> None:
        """Likewise."""
        self.pacer.close()

    def state_dict(self) -> dict[str, Any]:
        """For checkpoints."""
        return self.pacer.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From checkpoints."""
        self.pacer.load_state_dict(state_dict)
