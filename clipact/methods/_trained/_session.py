"""What a method needs at hand while it trains the thresholds of a model."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

from torch import nn

from clipact.errors import TrainingError
from clipact.methods._base import Scope
from clipact.methods._trained._data import Sets
from clipact.methods._trained._install import Layout, install
from clipact.nn import Activation
from clipact.surgery import Receipt, evaluating
from clipact.training._forwards import Forwards
from clipact.training._frozen import frozen

__all__ = ["Session", "training_session"]


@final
@dataclass(frozen=True)
class Session:
    """A model with trainable activations.

    Attributes:
        model: The model, frozen.
        sets: Its data.
        receipt: Of the activations.
        activations: Those with a threshold to train, by the threshold's name, in execution order.
    """

    model: nn.Module
    sets: Sets
    receipt: Receipt
    activations: dict[str, Activation]

    @property
    def thresholds(self) -> dict[str, nn.Parameter]:
        """The thresholds by name, in execution order."""
        return {name: _threshold(module) for name, module in self.activations.items()}


@contextmanager
def training_session(
    model: nn.Module, sets: Sets, scope: Scope, layout: Layout
) -> Generator[Session]:
    """Trainable activations in a frozen model; what is raised inside, Ctrl-C included, restores the model.

    Raises:
        TrainingError: There are labels that are no classes of the model, or nothing held out is right before.
    """
    _check(model, sets)
    receipt = install(model, sets, scope, layout)
    try:
        found: dict[int, tuple[str, Activation]] = {}
        for site, module in receipt.changes:
            if isinstance(module, Activation) and module.harden() is not module:
                found.setdefault(id(module), (f"{site.name}.threshold", module))
        with frozen(model):
            yield Session(model, sets, receipt, dict(found.values()))
    except BaseException:
        receipt.restore()
        raise


def _check(model: nn.Module, sets: Sets) -> None:
    with evaluating(model):
        for batches in sets:
            Forwards(model, batches).check_labels()
        judge = Forwards(model, sets.validate)
        if judge.right():
            return
    raise TrainingError(
        f"the model classifies none of the {judge.samples} held-out samples correctly, so that no threshold could lose accuracy;"
        " look for other numbers of the classes in the labels, and for NaN in the data"
    )


def _threshold(module: Activation) -> nn.Parameter:
    threshold: nn.Parameter = module.get_parameter("threshold")
    return threshold
