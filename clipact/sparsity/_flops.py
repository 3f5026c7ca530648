"""Count what a model multiplies, and how much of that is with zero."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from clipact.errors import SparsityError
from clipact.sparsity._flops_table import Flops, LayerFlops
from clipact.surgery import (
    COUNTED,
    Example,
    dense_operations,
    effective_operations,
    refuse_unfit,
    run_once,
)


def flops(model: nn.Module, x: Example) -> Flops:
    """Multiply-accumulates of one forward pass, dense and effective: those whose input is not zero.

    One multiply-accumulate is two FLOPs. Counts are exact, of linear layers, convolutions and transposed convolutions,
    with borders, strides, dilation and groups; biases are not counted. Effective is what the zeros in the activations
    *could* save, whether or not the layer skips them (:func:`zero_skip_` makes linear layers do so).

    The model runs once in eval mode and without gradients, and is left as it was.

    Args:
        model: Any module.
        x: One tensor, a tuple of positional arguments, or a mapping of keyword arguments; the whole batch is counted.

    Returns:
        A table by layer.

    Raises:
        SparsityError: The model runs no layer that can be counted.
        SurgeryError: The model is compiled, scripted or wrapped in DistributedDataParallel.

    Examples:
        >>> from clipact.nn import ShiftedReLU
        >>> model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), ShiftedReLU(1.0), nn.Flatten(), nn.Linear(32, 10))
        >>> with torch.no_grad():
        ...     _ = model[0].weight.fill_(1.0), model[0].bias.fill_(-5.0)
        >>> print(flops(model, torch.ones(1, 1, 4, 4)))
        layer  kind    calls  dense  effective   share
        ----------------------------------------------
        0      Conv2d      1    288        200  69.4 %
        3      Linear      1    320         80  25.0 %
        all                2    608        280  46.1 %
    """
    refuse_unfit(model)
    with FlopCounterMode(display=False) as profiler, ExitStack() as stack:
        counter = _Counter(profiler)
        for path, module in model.named_modules():
            if isinstance(module, COUNTED):
                counter.attach(stack, path, module)
        run_once(model, x)
        every = profiler.get_total_flops()
    if not counter.layers:
        kinds = ", ".join(kind.__name__ for kind in COUNTED)
        raise SparsityError(
            f"{type(model).__name__} runs no layer whose operations can be counted: {kinds}"
        )
    rows = tuple(layer.row(path) for path, layer in counter.layers.items())
    return Flops(rows, (every - counter.inside) // 2, tuple(_uncounted(model)))


@final
@dataclass(eq=False)
class _Layer:
    kind: type[nn.Module]
    effective: Tensor
    dense: int = 0
    calls: int = 0

    def row(self, path: str) -> LayerFlops:
        return LayerFlops(path, self.kind, self.calls, self.dense, int(self.effective))


@final
@dataclass(eq=False)
class _Counter:
    """Counts by hooks; what the profiler sees inside counted layers is not elsewhere."""

    profiler: FlopCounterMode
    layers: dict[str, _Layer] = field(default_factory=dict[str, _Layer])
    inside: int = 0

    def attach(self, stack: ExitStack, path: str, module: nn.Module) -> None:
        def before(*_: Any) -> None:
            self.inside -= self.profiler.get_total_flops()

        def after(layer: nn.Module, args: tuple[Any, ...], kwargs: Any, output: Tensor) -> None:
            self.inside += self.profiler.get_total_flops()
            self.see(path, layer, args[0] if args else kwargs["input"], output)

        stack.callback(module.register_forward_pre_hook(before).remove)
        hook = module.register_forward_hook(after, with_kwargs=True, prepend=True)
        stack.callback(hook.remove)

    def see(self, path: str, module: nn.Module, x: Tensor, output: Tensor) -> None:
        if path not in self.layers:
            none = torch.zeros((), dtype=torch.int64, device=x.device)
            self.layers[path] = _Layer(type(module), none)
        layer = self.layers[path]
        layer.calls += 1
        layer.dense += dense_operations(module, x, output)
        layer.effective = layer.effective + effective_operations(module, x, output)


def _uncounted(model: nn.Module) -> list[str]:
    """Recurrent layers are one operation to torch, which does not say what it costs."""
    return [
        f"{path or 'the model'} ({type(module).__name__}) is not counted"
        for path, module in model.named_modules()
        if isinstance(module, nn.RNNBase)
    ]
