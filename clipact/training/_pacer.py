"""When stages end, for loops that belong to somebody else."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Self, final

from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from clipact.errors import TrainingError
from clipact.training._listed import listed
from clipact.training._progression import Progression
from clipact.training._stage import Stage

__all__ = ["Length", "Pacer"]

_logger = logging.getLogger(__name__)

Length = int | Callable[[Stage], int]
"""How long a stage lasts, or a function from stage to that."""


@final
class Pacer:
    """Runs a progression inside a training loop that is not yours: gates, counts, and moves on.

    It knows of no framework. A loop tells it what happens (:meth:`before_optimizer_step`,
    :meth:`after_optimizer_step`, :meth:`epoch_end`) and asks whether it is :attr:`done`; :meth:`attach` tells it of
    the optimizer's steps by itself. Adapters are in :mod:`clipact.integrations`.

    Args:
        progression: The stages, from :func:`progressive`.
        epochs: How many epochs a stage lasts, or a function from :class:`Stage` to that.
        steps: How many updates a stage lasts, likewise; either this or ``epochs``.

    Attributes:
        progression: The stages.
        lengths: The epochs or updates of each stage.

    Raises:
        TrainingError: Both lengths are given or none, or one is not a positive integer.

    Examples:
        A scalar threshold trains for ten epochs, a vector for a hundred, as in ProAct:

        >>> import torch
        >>> from clipact.training import progressive
        >>> thresholds = {"a": torch.nn.Parameter(torch.ones(1)), "b": torch.nn.Parameter(torch.ones(64))}
        >>> pacer = Pacer(
        ...     progressive(thresholds),
        ...     epochs=lambda stage: 10 if stage.parameters()[0].numel() == 1 else 100,
        ... )
        >>> pacer.lengths, pacer.total
        ((100, 10), 110)
    """

    def __init__(
        self, progression: Progression, *, epochs: Length | None = None, steps: Length | None = None
    ) -> None:
        self.progression = progression
        self._counts_epochs = steps is None
        length = epochs if steps is None else steps
        if length is None or None not in (epochs, steps):
            raise TrainingError(f"Pacer() got epochs={epochs} and steps={steps}; give one of them")
        self.lengths = tuple(_length(length, stage) for stage in progression.stages)
        self._count = 0
        self._handles: list[RemovableHandle] = []

    @property
    def done(self) -> bool:
        """Whether all stages are done; from then on, everything is held still."""
        return self.progression.done

    @property
    def total(self) -> int:
        """Epochs or updates of all stages together."""
        return sum(self.lengths)

    def attach(self, *optimizers: Optimizer) -> Self:
        """Gate in every ``step()`` of these optimizers and count those of the first, until :meth:`close`.

        Args:
            *optimizers: As in :meth:`Progression.attach`.

        Returns:
            The pacer itself.

        Raises:
            TrainingError: They lack a threshold, or one cannot be gated.
        """
        self.progression.attach(*optimizers)
        self._handles.append(optimizers[0].register_step_post_hook(self._after_step))
        return self

    def before_optimizer_step(self) -> None:
        """After ``backward()``, before gradients are clipped and the update: see :meth:`Progression.gate`."""
        self.progression.gate()

    def after_optimizer_step(self) -> None:
        """An update was made; not to be called for an attached optimizer."""
        if not self._counts_epochs:
            self._tick()

    def epoch_end(self) -> None:
        """An epoch is over."""
        if self._counts_epochs:
            self._tick()

    def close(self) -> None:
        """Detach, and put everything back as :meth:`Progression.close` does; says in the log if stages are left."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self.progression.close()
        if not self.done:
            _logger.warning("threshold training ended in %s", self.progression.stage)

    def state_dict(self) -> dict[str, Any]:
        """The state of the progression, and how far its stage is."""
        return {"count": self._count, "progression": self.progression.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where a :meth:`state_dict` was taken.

        Raises:
            TrainingError: It is that of other thresholds, of the same in another order, or of something else.
        """
        if not {"count", "progression"} <= state.keys():
            raise TrainingError(
                f"the state to resume from has {listed(list(state)) or 'nothing in it'}; give what state_dict() of a pacer"
                " returned"
            )
        self.progression.load_state_dict(state["progression"])
        self._count = int(state["count"])

    def _after_step(self, *_: Any) -> None:
        self.after_optimizer_step()

    def _tick(self) -> None:
        stage = self.progression.stage
        if stage is None:
            return
        self._count += 1
        if self._count >= self.lengths[stage.index]:
            self._count = 0
            self.progression.advance()


def _length(length: Length, stage: Stage) -> int:
    found = length(stage) if callable(length) else length
    if found % 1 != 0 or found < 1:
        raise TrainingError(
            f"Pacer() got a length of {found} for {stage}; give a whole number of at least 1"
        )
    return int(found)
