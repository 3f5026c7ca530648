"""A stage: the thresholds that train together, and the gate that holds all others still."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import final

from torch import nn
from torch.optim import Optimizer

from clipact.errors import TrainingError
from clipact.training._listed import listed
from clipact.training._optimizers import before_update, check_optimizers

__all__ = ["Stage"]


@final
class Stage:
    """The thresholds that train together in one step of a progressive schedule.

    Made by :func:`progressive`. A parameter without a gradient is skipped by an optimizer, weight decay and momentum
    included, so a stage holds the others still by dropping their gradients before the update. Their
    ``requires_grad`` stays as it is, since distributed training does not notice when that changes.

    Args:
        index: Which stage this is, from 0.
        total: How many there are.
        thresholds: Those that train, by name.
        held: Every other parameter to hold still.

    Attributes:
        index: Which stage this is, from 0.
        total: How many there are.
        thresholds: Those that train, by name.
    """

    def __init__(
        self,
        index: int,
        total: int,
        thresholds: Mapping[str, nn.Parameter],
        held: tuple[nn.Parameter, ...],
    ) -> None:
        self.index = index
        self.total = total
        self.thresholds = dict(thresholds)
        self._held = held
        self._had_gradients = False

    @property
    def names(self) -> list[str]:
        """Names of the thresholds that train."""
        return list(self.thresholds)

    def parameters(self) -> list[nn.Parameter]:
        """The thresholds that train, for an optimizer of the stage's own."""
        return list(self.thresholds.values())

    def gate(self) -> None:
        """Drop the gradients of everything this stage holds still; call it after ``backward()``.

        Before gradients are clipped, if they are: those of the others would count in the norm.

        Raises:
            TrainingError: A threshold of the stage does not require gradients, or none has had one yet, so that nothing
                would train.
        """
        frozen = [name for name, each in self.thresholds.items() if not each.requires_grad]
        if frozen:
            raise TrainingError(
                f"{self}: {listed(frozen)} does not require gradients at the optimizer's step and would not train; leave"
                " its requires_grad as the progression set it, or leave it out of the progression; if another progression over it was"
                " closed meanwhile, close() and open() this one, and keep one open at a time"
            )
        self.hold()
        self._had_gradients = self._had_gradients or any(
            parameter.grad is not None for parameter in self.thresholds.values()
        )
        if not self._had_gradients:
            raise TrainingError(
                f"{self} has no gradient at the optimizer's step; call backward() before, on a loss that depends "
                "on the threshold, and with no other progression open that holds it still"
            )

    def hold(self) -> None:
        """Drop those gradients without asking whether the stage itself trains."""
        for parameter in self._held:
            parameter.grad = None

    @contextmanager
    def gating(self, *optimizers: Optimizer) -> Generator[None]:
        """While the block runs, every ``step()`` of these optimizers is preceded by :meth:`gate`.

        Args:
            *optimizers: Together they must have all thresholds of the stage; they may have any other parameter.

        Raises:
            TrainingError: They lack one, or one is an LBFGS, which moves parameters without gradients too.
        """
        check_optimizers(self.thresholds, optimizers)
        handles = [before_update(optimizer, self.gate) for optimizer in optimizers]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def __repr__(self) -> str:
        return f"stage {self.index + 1} of {self.total} ({listed(self.names)})"
