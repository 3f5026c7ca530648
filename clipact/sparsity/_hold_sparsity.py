"""Hold a wanted sparsity while a model trains."""

from collections.abc import Callable

from torch import nn

from clipact.sparsity._budget import Budget
from clipact.sparsity._controller import SparsityController
from clipact.where import Where

__all__ = ["hold_sparsity"]


def hold_sparsity(
    model: nn.Module,
    sparsity: float | Callable[[int], float],
    *,
    budget: Budget | str = Budget.LAYER,
    where: Where | None = None,
    rate: float = 0.5,
) -> SparsityController:
    r"""Move the thresholds ``tau`` of a model while it trains, so that its activations keep a wanted sparsity.

    Without it, the sparsity that an initialisation gave drifts away in training. After every training step, each
    ``tau`` moves by

    .. math:: \Delta\tau = \text{rate} \cdot \frac{r}{K g(z)} (s - \hat s), \qquad z = \Phi^{-1}(s)

    where :math:`\hat s` is the share of exact zeros in the step's batch and :math:`r` a running standard deviation of the
    input: the distance that brings a share ``rate`` of the missing sparsity if the input is normal (:math:`g` is its
    density; :math:`K = 1`; for CST and SoftThreshold :math:`K = 2` and :math:`z = \Phi^{-1}((1 + s)/2)`). If it is not
    normal the pace differs, not the sparsity that is reached. The sum of past errors, times :math:`\text{rate}^2 / 16`, is added as a
    speed, so that a steady drift leaves no error. Only batches in training mode count, and an activation that has not run
    since the last step stays as it is.

    Args:
        model: With activations CReLU, CST, ShiftedReLU or SoftThreshold.
        sparsity: Between 0 and 1; or a function of the number of steps so far, such as
            ``ca.schedules.linear(0.5, 0.85, steps=2000)`` for progressive sparsity, which costs far less accuracy.
        budget: ``"layer"`` for this sparsity everywhere, in each channel where ``tau`` is by channel; ``"global"`` for all
            values together: :math:`\hat s` is then their share of zeros, every ``tau`` moves by the same error times its
            own :math:`r`, and training decides where the zeros are.
        where: Which activations; all by default.
        rate: Share of the error that a step takes back, above 0 and at most 1.

    Returns:
        A controller, at work from now on: call its ``step()`` after each step of the optimizer (or ``attach()`` it), and
        ``close()`` it in the end, or use it in a ``with`` statement.

    Raises:
        SparsityError: ``sparsity`` or ``rate`` is out of range, there is no such ``budget``, or two activations share a ``tau``.
        SelectionError: The model has no such activation, or ``where`` picks none.
        ScheduleError: A ``tau`` is itself trained, or held by another controller that is not closed.

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
