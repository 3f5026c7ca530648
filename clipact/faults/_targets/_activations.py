"""What layers give."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from clipact.faults._targets._flowing import Candidate, FlowingTarget
from clipact.surgery import ACTIVATIONS
from clipact.where import Where, select


@final
@dataclass(frozen=True, init=False)
class Activations(FlowingTarget):
    """Outputs of activations, or of any layers: what a fault in a computed value is.

    Without ``where``, the outputs of all sites of :func:`clipact.find_sites`. With it, those of whatever it picks among
    all sites (softmax, sigmoid and their like included) and all modules, whole blocks and the model (its path is ``""``)
    included. Of tuples, lists, mappings and packed sequences every floating-point tensor counts; a value that passes
    through several modules unchanged counts once.

    A tensor is called after its site: ``layer1.0.relu_2``, in a tuple ``attention[0]``, in a mapping ``block['out']``,
    and in the second execution of a forward ``layer1.0.relu_2@2``; of the model itself ``output``.

    Its bits are those of *one sample*: a tensor of which the size along ``batch_dim`` is a multiple of the batch (which is
    the size of the first input tensor along ``batch_dim``) is cut into as many equal parts. Another tensor is a whole,
    and so is each with ``batch_dim=None``.

    Args:
        where: Narrows by the name and type of the module, ``nn.ReLU`` also for ``F.relu``.
        batch_dim: The axis along which samples lie, in inputs and outputs; None if there is none.
    """

    where: Where | None

    def __init__(self, where: Where | None = None, batch_dim: int | None = 0) -> None:
        object.__setattr__(self, "where", where)
        object.__setattr__(self, "batch_dim", batch_dim)
        self.__post_init__()

    @property
    def looks_everywhere(self) -> bool:
        """See :class:`FlowingTarget`."""
        return self.where is not None

    def choose(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """See :class:`FlowingTarget`."""
        outputs = [each for each in candidates if not each.is_input]
        if self.where is not None:
            return select(self.where, outputs, what="layers and activations")
        found = [each for each in outputs if issubclass(each.kind, ACTIVATIONS)]
        what = (
            "activations (for other layers give where=, as Activations(where=of_type(nn.Linear)))"
        )
        return select(None, found, what=what)

    def __str__(self) -> str:
        where = [] if self.where is None else [f"where={self.where}"]
        axis = [] if self.batch_dim == 0 else [f"batch_dim={self.batch_dim}"]
        return f"Activations({', '.join(where + axis)})"
