"""The logits among what a model returns."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from clipact.errors import TrainingError

__all__ = ["logits_of"]


def logits_of(output: Any, who: str = "the model") -> Tensor:
    """The tensor ``(N, classes)`` in an output: itself, its ``logits``, or the first of a tuple.

    Args:
        output: What a model returned.
        who: The model, for the error message.

    Raises:
        TrainingError: There is none.
    """
    found: Any = getattr(output, "logits", None)
    if isinstance(output, Tensor):
        found = output
    elif found is None and isinstance(output, Mapping):
        found = output.get("logits")
    elif found is None and isinstance(output, tuple) and output:
        found = output[0]
    if isinstance(found, Tensor) and found.dim() == 2 and found.is_floating_point():
        return found
    what = (
        f"a tensor of {found.dtype} and shape {tuple(found.shape)}"
        if isinstance(found, Tensor)
        else f"a {type(output).__name__}"
    )
    raise TrainingError(
        f"{who} returns {what}; thresholds are trained for classifiers, whose output is logits (N, classes): wrap the model"
        " so that it returns them"
    )
