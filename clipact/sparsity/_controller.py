"""Hold a wanted sparsity while a model trains."""

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
from clipact.where import Where

__all__ = ["SparsityController", "hold_sparsity"]


def hold_sparsity(
    model: nn.Module,
    sparsity: float | Callable[[int], float],
    *,
    budget: Budget | str = Budget.LAYER,
    where: Where | None = None,
    rate: float = 0.5,
) -> "SparsityController":
    r"""Move the thresholds ``tau`` of a model while it trains, so that its activations keep a wanted sparsity.

    Without it, the sparsity that an initialisation gave drifts away in training. After every training step, each
    ``tau`` moves by

    .. math:: \Delta\tau = \text{rate} \cdot \frac{r}{K g(z)} (s - \hat s), \qquad z = \Phi^{-1}(s)

    where :math:`\hat s` is the share of exact zeros in the step's batch and :math:`r` a running standard deviation of the
    input: the distance that brings a share ``rate`` of the missing sparsity if the input is normal (:math:`g` is its
    density; :math:`K = 1`; for CST and SoftThreshold :math:`K = 2` and :math:`z = \Phi^{-1}((1 + s)/2)`). If it is not
    normal the pace differs, not the sparsity that is reached. The sum of past errors, times ``rate``²/16, is added as a
    speed, so that a steady drift leaves no error. A ``tau`` by channel holds the sparsity of each channel. Only batches in
    training mode count.

    Args:
        model: With activations CReLU, CST, ShiftedReLU or SoftThreshold.
        sparsity: Between 0 and 1; or a function of the number of steps so far, such as
            ``ca.schedules.linear(0.5, 0.85, steps=2000)`` for progressive sparsity, which costs far less accuracy.
        budget: ``"layer"`` for this sparsity everywhere; ``"global"`` for all values together: every ``tau`` then moves by the
            overall error, and training decides where the zeros are.
        where: Which activations; all by default.
        rate: Share of the error that a step takes back, above 0 and at most 1.

    Returns:
        A controller, at work from now on: call its ``step()`` after each step of the optimizer (or ``attach()`` it), and
        ``close()`` it in the end, or use it in a ``with`` statement.

    Raises:
        SparsityError: ``sparsity`` or ``rate`` is out of range.
        SelectionError: The model has no such activation, or ``where`` picks none.
        ScheduleError: A ``tau`` is itself trained.

    Examples:
        >>> import torch, clipact as ca
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Linear(8, 64), ca.nn.ShiftedReLU(0.0), nn.Linear(64, 1))
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        >>> with hold_sparsity(model, 0.9) as controller:
        ...     for _ in range(200):
        ...         optimizer.zero_grad()
        ...         model(torch.randn(128, 8)).square().mean().backward()
        ...         optimizer.step()
        ...         controller.step()
        >>> round(controller.sparsity["1"], 2)
        0.9
    """
    return SparsityController(model, sparsity, budget=budget, where=where, rate=rate)


@final
class SparsityController:
    """What :func:`hold_sparsity` returns.

    In a distributed training, all processes must call :meth:`step`, which adds up what they saw, so that their
    thresholds stay the same. Nothing waits for the device.

    Args:
        model: As for :func:`hold_sparsity`, and so the others.
        sparsity: What to hold.
        budget: Where.
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
        trained = [name for name, module in modules.items() if module.tau.requires_grad]
        if trained:
            raise ScheduleError(
                f"tau of {', '.join(trained)} is trained itself (requires_grad=True), and cannot be held as well; turn that off"
            )
        self._sparsity, self._rate, self.steps = sparsity, rate, 0
        self._budget = Budget(budget)
        _ = self.target
        self._held = [Held.of(name, module) for name, module in modules.items()]
        self._handles = [held.module.register_forward_hook(held.see) for held in self._held]

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
        """
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
        """

        def hook(*_: Any) -> None:
            self.step()

        self._handles.append(optimizer.register_step_post_hook(hook))
        return self

    def close(self) -> None:
        """Watch the model no longer; the thresholds stay where they are."""
        while self._handles:
            self._handles.pop().remove()

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on with the same bits, beside the model's own state, which has the thresholds."""
        return {"steps": self.steps, "sites": {held.name: held.state() for held in self._held}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another controller of this model stopped.

        Raises:
            SparsityError: That one held other activations, or thresholds of another shape.
        """
        sites = state["sites"]
        found = {name: tuple(site["zeros"].shape) for name, site in sites.items()}
        expected = {held.name: tuple(held.zeros.shape) for held in self._held}
        if found != expected:
            raise SparsityError(
                f"the state is of thresholds {found}; this controller holds {expected}: make it for the same activations"
            )
        self.steps = state["steps"]
        for held in self._held:
            held.load(sites[held.name])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()
