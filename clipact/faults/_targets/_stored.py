"""Targets in memory: tensors that a model holds, narrowed by ``where``."""

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from clipact.faults._memory._held import Held
from clipact.faults._memory._tensors import TargetTensor, choose
from clipact.faults._targets._target import Target
from clipact.where import Where


@dataclass(frozen=True)
class StoredTarget(Target):
    """Tensors of one kind.

    Attributes:
        what: What they are, in words.
        where: Narrows by the tensor's dotted name and the type of the module that owns it.
    """

    what: ClassVar[str]
    where: Where | None = None

    def tensors(self, model: nn.Module) -> list[TargetTensor]:
        """See :class:`Target`."""
        return choose(model, self.where, list(self.held(model)), self.what)

    @abstractmethod
    def held(self, model: nn.Module) -> Iterable[Held]:
        """All tensors of this kind, under every name that they have."""

    def __str__(self) -> str:
        return f"{type(self).__name__}({'' if self.where is None else f'where={self.where}'})"
