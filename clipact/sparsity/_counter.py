"""What a meter has counted at one site."""

from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from clipact.errors import SparsityError
from clipact.sparsity._count import nonzeros, not_finite
from clipact.sparsity._sparsity_table import SiteSparsity

__all__ = ["Counter"]


@final
@dataclass(eq=False)
class Counter:
    """Counts of outputs and gradients, on the site's device.

    Attributes:
        kind: The class of the activation.
        active: Of each unit, how many values were not zero.
        broken: How many values were NaN or infinite.
        passed: How many gradients were not zero.
        values: How many outputs were seen.
        each: How many of each unit.
        gradients: How many gradients were seen.
    """

    kind: type[nn.Module]
    active: Tensor
    broken: Tensor
    passed: Tensor
    values: int = 0
    each: int = 0
    gradients: int = 0

    @classmethod
    def of(cls, kind: type[nn.Module], device: torch.device) -> "Counter":
        """Nothing was counted yet."""
        none = torch.zeros((), dtype=torch.int64, device=device)
        return cls(kind, none, none, none)

    def see(self, site: str, output: Tensor, others: tuple[int, ...]) -> None:
        """Count along these axes.

        Raises:
            SparsityError: The output has other units than before.
        """
        active = nonzeros(output, others)
        if self.values and active.shape != self.active.shape:
            before, now = tuple(self.active.shape), tuple(active.shape)
            raise SparsityError(
                f"{site!r} had units of shape {before} and now has {now}; count by channel, or reset() the meter in between"
            )
        self.active = self.active + active if self.values else active
        self.broken = self.broken + not_finite(output)
        self.values += output.numel()
        self.each += output.numel() // max(active.numel(), 1)

    def follow(self, output: Tensor) -> None:
        """Count the gradients that will come back through the activation."""
        if output.grad_fn is None:
            return
        size = output.numel()

        def count(inputs: Any, _outputs: Any) -> None:
            found = next(
                (grad for grad in inputs if grad is not None and grad.numel() == size), None
            )
            if found is not None:
                self.passed = self.passed + nonzeros(found, tuple(range(found.dim())))
                self.gradients += size

        output.grad_fn.register_hook(count)

    def _units_with(self, active: int) -> int:
        return int((self.active == active).sum()) if self.each else 0

    def row(self, name: str) -> SiteSparsity:
        """The counts; without values, no unit is dead or always on."""
        return SiteSparsity(
            name,
            self.kind,
            values=self.values,
            zeros=self.values - int(self.active.sum()),
            not_finite=int(self.broken),
            gradient_values=self.gradients,
            gradient_zeros=self.gradients - int(self.passed),
            units=self.active.numel(),
            dead=self._units_with(0),
            always_on=self._units_with(self.each),
        )
