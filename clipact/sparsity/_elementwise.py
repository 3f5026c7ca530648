"""A user's activation as a function of numbers in float64, with its derivative."""

from collections.abc import Callable
from typing import Any, cast, final

import torch
from torch import Tensor, nn

from clipact.errors import SparsityError


@final
class Elementwise:
    """An activation, as it is now, in double precision and eval mode; the user's module stays as it is.

    Args:
        activation: A function of a tensor, or a module.

    Raises:
        SparsityError: It cannot be called on float64, gives another precision, or is not elementwise.
    """

    def __init__(self, activation: Callable[[Tensor], Tensor]) -> None:
        self.name = str(getattr(activation, "__name__", type(activation).__name__))
        self._activation = activation
        self._state: dict[str, Tensor] = {}
        if isinstance(activation, nn.Module):
            held = [*activation.named_parameters(), *activation.named_buffers()]
            self._state = {
                name: tensor.detach().to(
                    "cpu", torch.float64 if tensor.is_floating_point() else None
                )
                for name, tensor in held
            }
        self._check()

    def __call__(self, x: Tensor) -> Tensor:
        """The values.

        Raises:
            SparsityError: One is NaN or infinite.
        """
        with torch.no_grad():
            y = self._run(x)
        wrong = ~y.isfinite()
        if bool(wrong.any()):
            place = x[wrong].abs().argmin()
            raise SparsityError(
                f"{self.name} is {y[wrong][place].item():g} at {x[wrong][place].item():.4g}; what goes into an activation is"
                " Gaussian around 0, so it must be defined and finite on both sides of it"
            )
        return y

    def slope(self, x: Tensor) -> Tensor:
        """The derivative that autograd gives."""
        with torch.enable_grad():
            leaf = x.detach().clone().requires_grad_()
            y = self._run(leaf)
            if not y.requires_grad:
                return torch.zeros_like(x)
            (found,) = torch.autograd.grad(y.sum(), leaf)
        return found

    def _run(self, x: Tensor) -> Tensor:
        module = self._activation
        if not isinstance(module, nn.Module):
            return module(x)
        modes = [(part, part.training) for part in module.modules()]
        try:
            module.eval()
            return cast("Tensor", torch.func.functional_call(module, self._state, (x,)))
        finally:
            for part, training in modes:
                part.training = training

    def _check(self) -> None:
        x = torch.linspace(0.1, 2.0, 12, dtype=torch.float64)
        try:
            whole, alone = self._run(x), self._run(x[:5])
        except (RuntimeError, TypeError, ValueError) as error:
            raise SparsityError(
                f"{self.name} failed on a float64 tensor of shape (12,): {error}"
            ) from error
        same = isinstance(cast("Any", whole), Tensor) and whole.shape == x.shape
        if same and whole.dtype != x.dtype:
            raise SparsityError(
                f"{self.name} gives {whole.dtype} for a float64 tensor; the theory is computed in float64: let it keep the"
                " precision of its input"
            )
        if not same or not torch.allclose(whole[:5], alone, rtol=1e-9, equal_nan=True):
            raise SparsityError(
                f"{self.name} is not elementwise: an output depends on more than its own input, or shapes differ; the theory"
                " covers elementwise activations"
            )
