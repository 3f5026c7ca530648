"""What holds the sparsity of a model while it trains."""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, final

from torch import nn
from torch.optim import Optimizer

from clipact.errors import ScheduleError, SparsityError
from clipact.sparsity._budget import Budget
from clipact.sparsity._granules import thresholded
from clipact.sparsity._held import Held
from clipact.sparsity._totals import share_of, totals
from clipact.sparsity._watch import Watch, refuse_trained, refuse_unholdable
from clipact.where import Where

__all__ = ["SparsityController"]


@final
class SparsityController:
    """What :func:`hold_sparsity` returns; make it by that.

    In a distributed training, all processes must call :meth:`step`, which adds up what they saw, so that their
    thresholds stay the same. Nothing waits for the device.

    Args:
        model: As for :func:`hold_sparsity`, and so the others.
        sparsity: What to hold.
        budget: What is to have it: every activation, or all together.
        where: Which activations.
        rate: Share of the error that a step takes back.

    Attributes:
        steps: How many steps were made.
    """

    def __init__(
        self,
        model: nn.Module,
        sparsity: float | Callable[[int], float],
        *,
        budget: Budget | str = Budget.LAYER,
        where: Where | None = None,
        rate: float = 0.5,
    ) -> None:
        if not 0.0 < rate <= 1.0:
            raise SparsityError(f"rate={rate} asked for; it must be above 0 and at most 1")
        modules = thresholded(model, where)
        self._sparsity, self._rate, self.steps = sparsity, rate, 0
        self._budget = Budget(budget)
        _ = self.target
        refuse_unholdable(model, modules)
        self._held = [Held.of(name, module) for name, module in modules.items()]
        self._handles = [
            held.module.register_forward_hook(Watch(held), with_kwargs=True) for held in self._held
        ]

    @property
    def target(self) -> float:
        """The sparsity to which the next step moves.

        Raises:
            SparsityError: It is not between 0 and 1.
        """
        value = self._sparsity(self.steps) if callable(self._sparsity) else self._sparsity
        if not 0.0 < value < 1.0:
            raise SparsityError(
                f"a sparsity of {value} asked for at step {self.steps}; it must be between 0 and 1"
            )
        return float(value)

    @property
    def sparsity(self) -> dict[str, float]:
        """Running share of zeros in training by activation, NaN before the first step; this waits for the device."""
        return {held.name: held.share.mean().item() for held in self._held}

    def step(self) -> None:
        """Move every threshold by what its activation has given since the last step; after that of the optimizer.

        Raises:
            SparsityError: The schedule gives a sparsity that is not between 0 and 1.
            ScheduleError: A ``tau`` is meanwhile trained itself, or the controller is closed.
        """
        self._refuse_closed()
        refuse_trained((held.name, held.module) for held in self._held)
        target = self.target
        self.steps += 1
        counts = totals(self._held)
        overall = share_of(counts) if self._budget is Budget.GLOBAL else None
        for held, pair in zip(self._held, counts, strict=True):
            held.move(target, self._rate, pair, overall)

    def attach(self, optimizer: Optimizer) -> Self:
        """Call :meth:`step` after every step of this optimizer, until :meth:`close`; for loops that are not yours.

        Returns:
            The controller itself.

        Raises:
            ScheduleError: It is attached already, or closed.
        """
        self._refuse_closed()
        if len(self._handles) > len(self._held):
            raise ScheduleError(
                "this controller makes its steps with an optimizer already; one is enough"
            )

        def hook(*_: Any) -> None:
            self.step()

        self._handles.append(optimizer.register_step_post_hook(hook))
        return self

    def close(self) -> None:
        """Watch the model no longer, for good; the thresholds stay where they are, and others may hold them."""
        while self._handles:
            self._handles.pop().remove()

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on with the same bits, beside the model's own state, which has the thresholds."""
        return {"steps": self.steps, "sites": {held.name: held.state() for held in self._held}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another controller of this model stopped.

        Raises:
            SparsityError: That one held other activations, or thresholds of another shape; or it is no such state.
        """
        sites = state.get("sites", {})
        if "steps" not in state or not all(Held.is_state(site) for site in sites.values()):
            raise SparsityError(
                f"this is no whole state_dict() of a controller of sparsity; it has {', '.join(map(str, state)) or 'nothing'}"
            )
        found = {name: tuple(site["zeros"].shape) for name, site in sites.items()}
        expected = {held.name: tuple(held.zeros.shape) for held in self._held}
        if found != expected:
            raise SparsityError(
                f"the state is of thresholds {found}; this controller holds {expected}: make it for the same activations"
            )
        self.steps = state["steps"]
        for held in self._held:
            held.load(sites[held.name])

    def _refuse_closed(self) -> None:
        if not self._handles:
            raise ScheduleError(
                "this controller is closed; make another with hold_sparsity(), which load_state_dict() has go on"
            )

    def __enter__(self) -> Self:
        self._refuse_closed()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()
