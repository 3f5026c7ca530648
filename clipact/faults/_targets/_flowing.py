"""Targets that are values which flow through a model: what they can choose from."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from clipact.errors import FaultError
from clipact.faults._streams import is_integer
from clipact.faults._targets._target import Target


@final
@dataclass(frozen=True)
class Candidate:
    """What gave values in a forward: a site, a module, or the model's inputs.

    Attributes:
        name: The site's name or the module's path; of an input ``input[0]``, ``input['ids']``.
        kind: The module's class, ``nn.ReLU`` also for ``F.relu``; of an input the model's.
        is_input: It is an input of the model.
    """

    name: str
    kind: type
    is_input: bool


@dataclass(frozen=True)
class FlowingTarget(Target):
    """Values that exist while the model runs.

    Attributes:
        batch_dim: The axis along which samples lie; None where a tensor is not made of samples.
    """

    batch_dim: int | None

    def __post_init__(self) -> None:
        given = self.batch_dim
        if given is not None and (not is_integer(given) or given < 0):
            raise FaultError(
                f"batch_dim={given!r}: give the number of the axis along which samples lie, from 0, or None if there is none"
            )

    def flowing(self) -> "tuple[FlowingTarget, ...]":
        """Itself."""
        return (self,)

    @property
    @abstractmethod
    def looks_everywhere(self) -> bool:
        """Whether it may choose modules that are no activation."""

    @abstractmethod
    def choose(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Those that are meant.

        Raises:
            SelectionError: None is.
        """
