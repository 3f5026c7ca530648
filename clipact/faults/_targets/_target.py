"""What a target is."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from torch import nn

from clipact.errors import FaultError
from clipact.faults._memory._tensors import TargetTensor, unique

if TYPE_CHECKING:
    from clipact.faults._targets._flowing import FlowingTarget


class Target(ABC):
    """Says where: in tensors that a model holds, or in values that flow through it; ``a | b`` is both."""

    def tensors(self, model: nn.Module) -> list[TargetTensor]:
        """The tensors in memory, in the model's order, each word once; none for values that flow.

        Raises:
            SelectionError: There is none, or ``where`` picks none.
            FaultError: A tensor has no words that can be changed in place, or two overlap in part.
        """
        del model
        return []

    def flowing(self) -> "tuple[FlowingTarget, ...]":
        """The parts of the target that are values which flow through the model."""
        return ()

    @abstractmethod
    def __str__(self) -> str:
        """As it is written."""

    def __or__(self, other: "Target") -> "Target":
        if not isinstance(other, Target):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may not check types
            found = f"the class {other.__name__}" if isinstance(other, type) else repr(other)
            raise FaultError(f"{self} | {found}: combine targets, as Weights() | Biases()")
        return _Union((self, other))


@final
@dataclass(frozen=True)
class _Union(Target):
    parts: tuple[Target, ...]

    def tensors(self, model: nn.Module) -> list[TargetTensor]:
        return unique(item for part in self.parts for item in part.tensors(model))

    def flowing(self) -> "tuple[FlowingTarget, ...]":
        return tuple(each for part in self.parts for each in part.flowing())

    def __str__(self) -> str:
        return " | ".join(str(part) for part in self.parts)
