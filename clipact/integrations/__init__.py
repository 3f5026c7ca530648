"""The training of thresholds inside other people's training loops; each needs its extra.

Each adapter tells a :class:`clipact.training.Pacer` what happens in the loop. Nothing is imported until it is used:
``clipact.integrations.lightning`` needs the extra ``lightning``, ``.transformers`` and ``.accelerate`` need ``hf``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clipact.integrations import accelerate, lightning, transformers

__all__ = ["accelerate", "lightning", "transformers"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'clipact.integrations' has no attribute {name!r}")
    return import_module(f"clipact.integrations.{name}")


def __dir__() -> list[str]:
    return __all__
