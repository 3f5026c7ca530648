"""Caches of what was computed from weights: they hide faults, and keep faulty values after the faults are gone."""

from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from clipact.errors import FaultError


def forget_casts() -> None:
    """Make an outer ``torch.autocast`` cast the weights anew."""
    torch.clear_autocast_cache()


def check_uncached(model: nn.Module) -> None:
    """Refuse a parametrised model inside ``torch.nn.utils.parametrize.cached()``.

    Raises:
        FaultError: Parametrised weights are cached at the moment, so that faults in their originals would have no effect.
    """
    module: Any = parametrize
    if not getattr(module, "_cache_enabled", 0):
        return
    for path, part in model.named_modules():
        if parametrize.is_parametrized(part):
            raise FaultError(
                f"{path or 'the model'} is parametrised and parametrize.cached() is on, which would hide faults in its"
                " weights; inject outside of cached()"
            )
