"""Which modules count as activations, and which are layers whose output is meant."""

from typing import Any, Final

from torch import nn

from clipact.errors import SurgeryError
from clipact.nn import Activation

__all__ = ["ACTIVATIONS", "BOUNDED", "LAYERS", "as_kinds", "is_replaceable"]

ACTIVATIONS: Final[tuple[type[nn.Module], ...]] = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.PReLU,
    nn.RReLU,
    nn.ELU,
    nn.CELU,
    nn.SELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Hardswish,
    nn.Softplus,
    nn.Hardtanh,
    Activation,
)
"""The kinds of :func:`find_sites` unless told otherwise: what is unbounded above, its capped kin, and our own.

Sigmoid, Tanh, Softmax and Hardsigmoid are bounded and left out; pass them in ``kinds`` when they are meant.
"""

LAYERS: Final[tuple[type[nn.Module], ...]] = (
    *ACTIVATIONS,
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
    nn.Embedding,
    nn.MultiheadAttention,
    nn.LayerNorm,
    nn.RMSNorm,
)
"""Activations, and layers whose outputs are ranges worth restricting where no activation is behind them, as in a transformer.

What runs inside a fused ``nn.MultiheadAttention`` (the projections of queries, keys and values, the softmax) is no call of
a module, and is restricted where it leaves: at the attention's output. Softmax outputs are bounded already; give
``nn.Softmax`` too where they are meant.
"""

BOUNDED: Final[tuple[type[nn.Module], ...]] = (
    nn.Sigmoid,
    nn.Tanh,
    nn.Softmax,
    nn.Softmax2d,
    nn.Softmin,
    nn.LogSoftmax,
    nn.LogSigmoid,
    nn.Hardsigmoid,
    nn.Hardshrink,
    nn.Softshrink,
    nn.Tanhshrink,
    nn.Softsign,
    nn.Threshold,
)
"""Further activations that :func:`find_sites` finds when asked to: what is bounded above or below, or shrinks."""


def as_kinds(kinds: Any) -> tuple[type[nn.Module], ...]:
    """One class, or several, as a tuple.

    Raises:
        SurgeryError: Something is no module class.
    """
    given: tuple[Any, ...] = tuple(kinds) if isinstance(kinds, tuple | list) else (kinds,)
    for kind in given:
        if not isinstance(kind, type) or not issubclass(kind, nn.Module):
            raise SurgeryError(f"kinds holds {kind!r}; it must be a tuple of nn.Module classes")
    return given


def is_replaceable(module: nn.Module) -> bool:
    """Whether a site of this module is replaced as a whole; otherwise the site is the module's output.

    True of torch's activations, of ours, and of a class of the user's that owns no children, no buffers and no
    parameter of two or more dimensions.
    """
    if isinstance(module, ACTIVATIONS + BOUNDED):
        return True
    if type(module).__module__.split(".")[:2] == ["torch", "nn"]:
        return False
    bare = next(module.children(), None) is None and next(module.buffers(), None) is None
    return bare and all(parameter.dim() < 2 for parameter in module.parameters())
