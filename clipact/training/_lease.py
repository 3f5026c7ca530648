"""What a progression changes in a model and its optimizers while it is open, and puts back."""

from collections.abc import Callable, Sequence
from typing import final

from torch import nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from clipact.training._frozen_norms import freeze_norms
from clipact.training._optimizers import before_update


@final
class Lease:
    """Thresholds that require gradients, frozen normalisation layers and gated optimizers; opens and closes.

    Args:
        thresholds: Parameters that require gradients while it is open.
        model: The model whose normalisation layers are frozen meanwhile, if any.
        gate: Runs before each update of the optimizers.
    """

    def __init__(
        self,
        thresholds: Sequence[nn.Parameter],
        model: nn.Module | None,
        gate: Callable[[], None],
    ) -> None:
        self._thresholds = thresholds
        self._model = model
        self._gate = gate
        self._optimizers: list[Optimizer] = []
        self._is_open = False
        self._thawed: list[nn.Parameter] = []
        self._handles: list[RemovableHandle] = []

    def open(self) -> None:
        """Change what has to be changed; nothing if it is open."""
        if self._is_open:
            return
        self._is_open = True
        self._thawed = [each for each in self._thresholds if not each.requires_grad]
        for threshold in self._thawed:
            threshold.requires_grad_()
        if self._model is not None:
            self._handles += freeze_norms(self._model)[1]
        self._handles += [before_update(each, self._gate) for each in self._optimizers]

    def gate_optimizer(self, optimizer: Optimizer) -> None:
        """Gate this optimizer whenever the lease is open, from now on."""
        if not any(optimizer is known for known in self._optimizers):
            self._optimizers.append(optimizer)
            if self._is_open:
                self._handles.append(before_update(optimizer, self._gate))

    def close(self) -> None:
        """Put back what this lease changed, and nothing else: another may be open on the same thresholds.

        A frozen threshold keeps no gradient with which an optimizer would move it.
        """
        for handle in self._handles:
            handle.remove()
        for threshold in self._thawed:
            threshold.requires_grad = False
            threshold.grad = None
        self._handles.clear()
        self._thawed.clear()
        self._is_open = False
