"""What an initialisation has set, as a table."""

from dataclasses import dataclass
from enum import StrEnum
from typing import final

from torch import nn

from clipact._text import aligned
from clipact.sparsity._point import EdgeOfChaos

__all__ = ["Initialisation", "InitialisedLayer", "Scale"]


class Scale(StrEnum):
    """Where the scale of a layer's weights comes from."""

    POINT = "point"
    """The layer reads what the activation gave: sigma_w."""
    MEASURED = "measured"
    """It reads something else, such as the network's input: what takes the mean square measured there to q*."""


@final
@dataclass(frozen=True)
class InitialisedLayer:
    """One layer that was set.

    Attributes:
        name: Its path.
        kind: Its class.
        fan_in: Inputs of one output: channels of a group times the size of the kernel.
        sigma_w: Standard deviation of its weights, times the root of the fan-in.
        sigma_b: Standard deviation of its biases; 0 if it has none.
        scale: Where ``sigma_w`` comes from.
        mean_square: Of what it read when that was measured, with the layers before it already set.
        factor: By which its weights and biases were then multiplied for its finite width; 1 for not at all.
    """

    name: str
    kind: type[nn.Module]
    fan_in: int
    sigma_w: float
    sigma_b: float
    scale: Scale
    mean_square: float
    factor: float


@final
@dataclass(frozen=True)
class Initialisation:
    """What :func:`init_` has set.

    Attributes:
        layers: One a layer, in the order in which they run.
        point: The point it was set to.
        exact: Whether layers were corrected for their finite width.
    """

    layers: tuple[InitialisedLayer, ...]
    point: EdgeOfChaos
    exact: bool

    def __str__(self) -> str:
        header = [
            "layer",
            "kind",
            "fan-in",
            "sigma_w",
            "sigma_b",
            "scale",
            "input's mean square",
            "factor",
        ]
        rows = [
            [
                layer.name or "(model)",
                layer.kind.__name__,
                str(layer.fan_in),
                f"{layer.sigma_w:.4f}",
                f"{layer.sigma_b:.4f}",
                str(layer.scale),
                f"{layer.mean_square:.4g}",
                f"{layer.factor:.3f}",
            ]
            for layer in self.layers
        ]
        return aligned(header, rows)
