"""What a stage asks of an optimizer: that it has the thresholds, and leaves alone what has no gradient."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn
from torch.optim import LBFGS, Optimizer
from torch.utils.hooks import RemovableHandle

from clipact.errors import TrainingError
from clipact.training._listed import listed


def check_optimizers(
    thresholds: Mapping[str, nn.Parameter], optimizers: Sequence[Optimizer]
) -> None:
    """Refuse optimizers that would not train the thresholds, or would move others as well.

    Raises:
        TrainingError: No optimizer has one of the thresholds, or one is an LBFGS, whose steps also move parameters
            without a gradient.
    """
    for optimizer in optimizers:
        if isinstance(optimizer, LBFGS):
            raise TrainingError(
                "LBFGS also moves parameters that have no gradient, so that no stage can hold them still; "
                "use another optimizer, for example torch.optim.AdamW"
            )
    trained = {
        id(parameter)
        for optimizer in optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    missing = [name for name, parameter in thresholds.items() if id(parameter) not in trained]
    if missing:
        raise TrainingError(
            f"the optimizer lacks {listed(missing)}, which would not train; call progressive() first (but after "
            "fully_shard(), which makes new parameters), then build the optimizer with all thresholds, for example "
            "AdamW(ca.thresholds(model).values())"
        )


def before_update(optimizer: Optimizer, action: Callable[[], None]) -> RemovableHandle:
    """Run ``action`` in each ``optimizer.step()``, after its closure (if it has one) and before the update."""

    def hook(
        _: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        own, *rest = args  # the optimizer itself is the first argument
        closure = rest[0] if rest else kwargs.get("closure")
        if closure is None:
            action()
            return None

        def with_action() -> Any:
            loss = closure()
            action()
            return loss

        return (own,), {**kwargs, "closure": with_action}

    return optimizer.register_step_pre_hook(hook)
