"""The stages of a progressive schedule, and which of them is at work."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from types import TracebackType
from typing import Any, Self, final

from torch import nn
from torch.optim import Optimizer

from clipact.errors import TrainingError
from clipact.training._lease import Lease
from clipact.training._listed import listed
from clipact.training._optimizers import check_optimizers
from clipact.training._stage import Stage

__all__ = ["Progression"]


@final
class Progression:
    """The stages of a progressive schedule, and which of them is at work; made by :func:`progressive`.

    Iterating gives the stage at work, then the next, until all are done. A loop that was left early, or whose state
    was saved, starts with the stage at which it stopped. Use it as a context manager to have flags and hooks put
    back after an exception at once.

    Args:
        stages: The stages, in order.
        model: The model whose normalisation layers are frozen meanwhile, if any.

    Attributes:
        stages: The stages, in order.
    """

    def __init__(self, stages: Sequence[Stage], model: nn.Module | None) -> None:
        self.stages = tuple(stages)
        self._position = 0
        self._lease = Lease(list(self.thresholds.values()), model, self.gate)
        self.open()

    @property
    def stage(self) -> Stage | None:
        """The stage at work; None when all are done."""
        return None if self.done else self.stages[self._position]

    @property
    def done(self) -> bool:
        """Whether all stages are done."""
        return self._position == len(self.stages)

    @property
    def thresholds(self) -> dict[str, nn.Parameter]:
        """All thresholds by name, in the order of their stages."""
        return {name: each for stage in self.stages for name, each in stage.thresholds.items()}

    def __len__(self) -> int:
        return len(self.stages)

    def __iter__(self) -> Iterator[Stage]:
        self.open()
        try:
            while (stage := self.stage) is not None:
                yield stage
                if self.stage is stage:
                    self.advance()
        finally:
            self.close()

    def advance(self) -> Stage | None:
        """End the stage at work; the next one, or None when that was the last.

        Iterating does this by itself. Processes that train together must do it at the same step. Gradients that the
        thresholds have gathered meanwhile are dropped.
        """
        self._position = min(self._position + 1, len(self.stages))
        self._drop_gradients()
        return self.stage

    def gate(self) -> None:
        """:meth:`Stage.gate` of the stage at work; when all are done, hold everything still."""
        if (stage := self.stage) is not None:
            stage.gate()
            return
        self.stages[0].hold()
        self._drop_gradients()

    def attach(self, *optimizers: Optimizer) -> Self:
        """Gate in every ``step()`` of these optimizers, before the update, while this is open.

        Args:
            *optimizers: Together they must have all thresholds; they may have any other parameter.

        Returns:
            The progression itself.

        Raises:
            TrainingError: They lack a threshold, or one is an LBFGS, which moves parameters without gradients too.
        """
        check_optimizers(self.thresholds, optimizers)
        self.open()
        for optimizer in optimizers:
            self._lease.gate_optimizer(optimizer)
        return self

    def open(self) -> None:
        """Make the changes of :func:`progressive` again after :meth:`close`; nothing otherwise."""
        self._lease.open()

    def close(self) -> None:
        """Put flags, normalisation layers and optimizers back as they were; iterating on changes them again."""
        self._lease.close()

    def state_dict(self) -> dict[str, Any]:
        """Which stage is at work, and of which thresholds; their values are in the model's own ``state_dict``."""
        return {"stage": self._position, "plan": self._plan()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on at the stage of a :meth:`state_dict`.

        Raises:
            TrainingError: It is that of other thresholds, of the same in another order, or of something else.
        """
        _check_state(state, self._plan())
        self._position = int(state["stage"])

    def _drop_gradients(self) -> None:
        for threshold in self.thresholds.values():
            threshold.grad = None

    def _plan(self) -> list[dict[str, list[int]]]:
        return [
            {name: list(each.shape) for name, each in stage.thresholds.items()}
            for stage in self.stages
        ]

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        at_work = "done" if self.done else f"at {self.stage}"
        return f"Progression of {len(self)} stages, {at_work}"


def _check_state(state: Mapping[str, Any], plan: list[dict[str, list[int]]]) -> None:
    saved, stage = state.get("plan"), state.get("stage")
    if not isinstance(saved, list) or not isinstance(stage, int) or not 0 <= stage <= len(saved):
        raise TrainingError(
            f"the state to resume from has {listed(list(state)) or 'nothing in it'}, at stage {stage}; give what"
            " state_dict() of a progression returned"
        )
    differ = [(i, *two) for i, two in enumerate(zip_longest(saved, plan)) if two[0] != two[1]]
    if not differ:
        return
    index, theirs, ours = differ[0]
    raise TrainingError(
        f"the state to resume from is that of other thresholds, or of another order: its stage {index + 1} trains "
        f"{_shapes(theirs)}, here it is {_shapes(ours)}; resume with the same model, order and groups"
    )


def _shapes(stage: Any) -> str:
    if not isinstance(stage, dict):
        return "nothing"
    return listed([f"{name} of shape {tuple(shape)}" for name, shape in stage.items()])
