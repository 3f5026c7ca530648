"""What a resilience method is, and the one verb that applies it."""

from abc import ABC, abstractmethod

import torch
from torch import nn

from clipact.calibration import Batches
from clipact.surgery import ACTIVATIONS, Receipt
from clipact.where import Where


class Method(ABC):
    """A way to protect a model, a small frozen dataclass that prints in a paper's table.

    Settings are checked when it is made; one of another type than is declared is a ``TypeError``.
    """

    @abstractmethod
    def apply(
        self, model: nn.Module, train: Batches, validate: Batches | None, scope: "Scope"
    ) -> Receipt:
        """Protect ``model`` in place; called by :func:`protect`."""


class Scope:
    """Which sites of a model a method may touch, and whether to show progress.

    Args:
        where: Predicate over the sites, None for all.
        kinds: What counts as a site.
        progress: Show bars.
    """

    def __init__(
        self, where: Where | None, kinds: tuple[type[nn.Module], ...], *, progress: bool
    ) -> None:
        self.where = where
        self.kinds = kinds
        self.progress = progress


def protect(  # noqa: PLR0913 - model, method and data by place, what narrows them by keyword
    model: nn.Module,
    method: Method,
    train: Batches,
    validate: Batches | None = None,
    *,
    where: Where | None = None,
    kinds: tuple[type[nn.Module], ...] = ACTIVATIONS,
    progress: bool = True,
) -> Receipt:
    """Protect a model against faults, in place.

    Args:
        model: The trained model; weights, buffers, modes and hooks stay as they are.
        method: One of :mod:`clipact.methods`, for example ``ca.methods.ClipToZero()``.
        train: Calibration data, as for :func:`clipact.calibrate`: batches, or a single one.
        validate: Held-out data, for methods that choose or train thresholds.
        where: Which sites, for example ``ca.where.named("layer4*")``; all by default.
        kinds: What counts as a site; add layer types such as ``nn.Linear`` to restrict their outputs, since most layers
            of a transformer have no activation behind them.
        progress: Show bars (where tqdm is installed).

    Returns:
        A receipt whose ``restore()`` gives back the model of before, bit for bit.

    Raises:
        SelectionError: No site matches; nothing was changed.
        CalibrationError: The calibration data is empty or gives NaN; nothing was changed.
        TypeError: ``method`` is not a method, or the data no batches.

    Examples:
        >>> import torch, clipact as ca
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> receipt = ca.protect(model, ca.methods.ClipToZero(), torch.randn(32, 4), progress=False)
        >>> type(model[1]).__name__, list(ca.thresholds(model))
        ('ZeroedReLU', ['1.threshold'])
        >>> receipt.restore()
        >>> model[1]
        ReLU()
    """
    if not isinstance(method, Method):  # pyright: ignore[reportUnnecessaryIsInstance] - a class instead of an instance, usually
        raise TypeError(
            f"protect() got {method!r} as its method; write for example ca.methods.ClipToZero()"
        )
    for name, data in (("train", train), ("validate", validate)):
        if not (
            hasattr(data, "__iter__")
            or hasattr(data, "__getitem__")
            or (data is None and name == "validate")
        ):
            raise TypeError(
                f"protect() got a {type(data).__name__} as {name}; give batches, such as a DataLoader or [(images, labels)]"
            )
    with torch.inference_mode(
        mode=False
    ):  # thresholds that are made in it could never be trained, nor set
        return method.apply(model, train, validate, Scope(where, kinds, progress=progress))
