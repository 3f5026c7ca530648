"""What a model is given."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from clipact.faults._targets._flowing import Candidate, FlowingTarget
from clipact.where import select


@final
@dataclass(frozen=True, init=False)
class Inputs(FlowingTarget):
    """The tensors among a model's inputs, integers too; the tensors of the caller stay as they are.

    A positional one is called ``input[0]``, one by keyword ``input['ids']``, one in a list ``input[0][1]``. Samples are
    as in :class:`Activations`. A flipped bit in an integer may be an index out of range, on which the model raises.

    Args:
        batch_dim: The axis along which samples lie; None if there is none.
    """

    def __init__(self, batch_dim: int | None = 0) -> None:
        object.__setattr__(self, "batch_dim", batch_dim)
        self.__post_init__()

    @property
    def looks_everywhere(self) -> bool:
        """See :class:`FlowingTarget`."""
        return False

    def choose(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """See :class:`FlowingTarget`."""
        found = [each for each in candidates if each.is_input]
        return select(None, found, what="tensors among the model's inputs")

    def __str__(self) -> str:
        return f"Inputs({'' if self.batch_dim == 0 else f'batch_dim={self.batch_dim}'})"
