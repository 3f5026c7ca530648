"""What an in-place change of a model hands back."""

from types import TracebackType
from typing import Any, Self, final

from torch import nn

from clipact.surgery._journal import Journal
from clipact.surgery._site import Site
from clipact.surgery._take_back import take_back

__all__ = ["Receipt"]


@final
class Receipt:
    """What was changed in a model, and the way back.

    As a context manager it restores on exit, also after an exception.

    Attributes:
        changes: Each site with the module that is there now, in execution order.
        history: One dictionary a training step or epoch, filled by methods that train thresholds.
        journals: What was done, in order; :meth:`restore` takes it back.
    """

    def __init__(self, changes: list[tuple[Site, nn.Module]], *journals: Journal) -> None:
        self.changes = changes
        self.history: list[dict[str, Any]] = []
        self.journals = journals

    def restore(self) -> None:
        """Undo the change: the same modules, functions, hooks and attributes as before, in the same order.

        Only the change is undone: weights that were trained or moved since stay as they are, and modules that return
        are in the training mode of their parent if that was changed since. Modules
        that return have the dtype and device they left with: convert or move the model again if it was meanwhile.

        Raises:
            SurgeryError: Restored before, or a later change lies on top; the model is left as it is, as after any
                other exception.
        """
        take_back(self.journals)

    def then(self, later: "Receipt") -> "Receipt":
        """One receipt for this change and a later one, restored together: the later one first, so it may lie on top.

        Examples:
            >>> import torch
            >>> from clipact.nn import HyReLU
            >>> from clipact.surgery import harden_, replace_activations
            >>> model = nn.Sequential(nn.Linear(2, 4), nn.ReLU())
            >>> receipt = replace_activations(model, lambda site: HyReLU(6.0), example=torch.randn(1, 2))
            >>> receipt = receipt.then(harden_(model))
            >>> model[1]
            ZeroedReLU(threshold=6)
            >>> receipt.restore()
            >>> model[1]
            ReLU()
        """
        both = Receipt([*self.changes, *later.changes], *self.journals, *later.journals)
        both.history = [*self.history, *later.history]
        return both

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.restore()

    def __repr__(self) -> str:
        return f"Receipt({len(self.changes)} changes)"
