"""Parameters for an optimizer, thresholds apart: weight decay would pull them to 0, where everything spikes."""

from typing import Any

from snntorch import SpikingNeuron
from torch import nn

from clipact.surgery import thresholds

__all__ = ["param_groups"]


def param_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """The model's parameters in groups for an optimizer: weight decay for all but the thresholds.

    Thresholds are those that :func:`clipact.thresholds` lists, and those of snntorch's neurons. Parameters are included
    whether they are trained at the moment or not.

    Args:
        model: Any module.
        weight_decay: For the first group; the second, if there are thresholds, has 0.

    Examples:
        >>> from clipact.nn import HoyerSpike
        >>> model = nn.Sequential(nn.Linear(4, 8), HoyerSpike())
        >>> [(len(group["params"]), group["weight_decay"]) for group in param_groups(model, 1e-4)]
        [(2, 0.0001), (1, 0.0)]
    """
    apart = {id(parameter) for parameter in thresholds(model).values()}
    apart |= {
        id(module.threshold) for module in model.modules() if isinstance(module, SpikingNeuron)
    }
    decayed = [parameter for parameter in model.parameters() if id(parameter) not in apart]
    kept = [parameter for parameter in model.parameters() if id(parameter) in apart]
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
