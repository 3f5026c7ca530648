"""Set the layers of a network one by one, while it runs."""

import math
from dataclasses import replace
from typing import Any, final

import torch
from torch import Tensor

from clipact.errors import SparsityError
from clipact.sparsity._first_input import first_input
from clipact.sparsity._init_plan import Planned
from clipact.sparsity._initialisation import InitialisedLayer, Scale
from clipact.sparsity._point import EdgeOfChaos
from clipact.sparsity._weights import WeightDistribution

__all__ = ["Work"]


@final
class Work:
    """Sets each layer just before it runs for the first time, and corrects it just after.

    Attributes:
        done: What was set, by layer.
        variances: Mean square of the output of each layer that an activation reads, before it was corrected.
    """

    def __init__(
        self,
        point: EdgeOfChaos,
        weights: WeightDistribution,
        generator: torch.Generator,
        *,
        exact: bool,
    ) -> None:
        self.point, self.weights, self.generator, self.exact = point, weights, generator, exact
        self.done: dict[str, InitialisedLayer] = {}
        self.variances: dict[str, float] = {}

    def set(
        self, planned: Planned, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        if planned.name in self.done:
            return
        point, square = self.point, _mean_square(first_input(args, kwargs))
        sigma = point.sigma_w
        if planned.measured:
            if not 0.0 < square < math.inf:
                raise SparsityError(
                    f"what {planned.name!r} reads has mean square {square:g} on the example: give a typical batch, finite and not all zero"
                )
            sigma = math.sqrt((point.q_star - point.sigma_b**2) / square)
        shape, groups = tuple(module.weight.shape), getattr(module, "groups", 1)
        module.weight.copy_(self.weights.draw(shape, groups, sigma, self.generator))
        if module.bias is not None:
            size = module.bias.shape
            noise = torch.randn(size, generator=self.generator, device=self.generator.device)
            module.bias.copy_(point.sigma_b * noise)
        torch.clear_autocast_cache()  # or the layer would run with its former weights
        self.done[planned.name] = InitialisedLayer(
            planned.name,
            type(module),
            math.prod(shape[1:]),
            sigma,
            0.0 if module.bias is None else point.sigma_b,
            Scale.MEASURED if planned.measured else Scale.POINT,
            square,
            factor=1.0,
        )

    def correct(self, planned: Planned, module: Any, _inputs: Any, output: Tensor) -> Tensor | None:
        if not planned.feeds or planned.name in self.variances:
            return None
        found = self.variances[planned.name] = _mean_square(output)
        if not self.exact:
            return None
        if not 0.0 < found < math.inf:
            raise SparsityError(
                f"what {planned.name!r} gives has mean square {found:g} on the example: give a typical batch, finite and not all zero"
            )
        factor = math.sqrt(self.point.q_star / found)
        for parameter in module.parameters(recurse=False):
            parameter.mul_(factor)
        torch.clear_autocast_cache()
        self.done[planned.name] = replace(self.done[planned.name], factor=factor)
        return output * factor


def _mean_square(values: Tensor) -> float:
    return values.detach().double().square().mean().item()
