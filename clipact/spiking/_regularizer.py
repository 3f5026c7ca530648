"""The Hoyer regulariser of a network: sharpen what each spiking layer sees, from outside the layers."""

import math
import weakref
from types import TracebackType
from typing import Any, Self, final

import torch
from torch import Tensor, nn

from clipact.errors import SpikingError
from clipact.functional import hoyer_ratio, saturated_relu
from clipact.nn import HoyerSpike

__all__ = ["HoyerRegularizer", "Look"]


@final
class HoyerRegularizer:
    r"""Loss that pushes pre-activations to 0 or past the clip value: :math:`w \sum_l H(c_l) / n_l`.

    :math:`c_l = \min(\max(x, 0), |V|)` is the clipped pre-activation of a :class:`clipact.nn.HoyerSpike`, :math:`n_l` its
    number of elements and :math:`H` the :func:`clipact.functional.hoyer_ratio`. Each term lies in (0, 1], whatever the
    sizes of batch, image and layer. It buys fewer spikes rather than accuracy.

    Make it before the training loop and call it once after each forward pass: it looks at the inputs of the layers through
    hooks, which leave inputs, outputs and the surrogate gradient alone. The model can be copied and saved meanwhile;
    copies are not looked at. The hooks go with :meth:`remove`, at the end of a ``with`` block, or with this object. Made
    after a forward pass in training mode, it takes what the layers were last given; of a compiled model that is not known.

    Every :class:`clipact.nn.HoyerSpike` counts; one that is called several times in a pass, with its last input. The paper leaves the last layer of the network out, which is the one that
    does not spike.

    Note:
        The paper's loss is :math:`\lambda \sum_l H(c_l)` with :math:`\lambda = 10^{-8}`, which grows with batch, image
        and layer: that is ``HoyerRegularizer(model, 1e-8, normalized=False)``. A layer's weight there equals a weight of
        :math:`\lambda n_l` here. Its code clips the pre-activation in place, so that the regulariser narrows the
        surrogate's window to (0, 1); this one does not touch it.

    Args:
        model: A network with Hoyer spikes.
        weight: :math:`w`, at least 0.
        normalized: Divide each layer's ratio by its number of elements.

    Raises:
        SpikingError: The model has no :class:`clipact.nn.HoyerSpike`, or the weight is negative or not finite.

    References:
        Datta, Liu, Beerel, "Hoyer regularizer is all you need for ultra low-latency spiking neural networks",
        arXiv 2212.10170.

    Examples:
        >>> model = nn.Sequential(nn.Linear(4, 8), HoyerSpike(), nn.Linear(8, 2))
        >>> regularizer = HoyerRegularizer(model, 0.1)
        >>> loss = model(torch.randn(16, 4)).square().mean() + regularizer()
        >>> loss.backward()
    """

    def __init__(self, model: nn.Module, weight: float, *, normalized: bool = True) -> None:
        if not 0 <= weight < math.inf:
            raise SpikingError(
                f"HoyerRegularizer got weight={weight}; it must be finite and at least 0, for example 0.1"
            )
        layers = [module for module in model.modules() if isinstance(module, HoyerSpike)]
        if not layers:
            raise SpikingError(
                f"HoyerRegularizer found no HoyerSpike in the {type(model).__name__}; convert it with"
                " clipact.spiking.to_spiking_ first"
            )
        self.weight = weight
        self.normalized = normalized
        self._ratios: dict[int, Tensor] = {}
        self._is_new = True
        self._layers = [weakref.ref(layer) for layer in layers]
        handles = [
            layer.register_forward_pre_hook(Look(self, index), with_kwargs=True)
            for index, layer in enumerate(layers)
        ]
        self._finalizer = weakref.finalize(self, _remove, handles)

    def __call__(self) -> Tensor:
        """The loss of the last forward pass, which is then forgotten.

        Raises:
            SpikingError: There was none since the last call, or one in training mode without gradients.
        """
        if not self._ratios and not (self._is_new and self._look_back()):
            raise SpikingError(
                "HoyerRegularizer was called without a forward pass of the model in training mode; make it before the pass, and"
                " call it once after each"
            )
        total = torch.stack(list(self._ratios.values())).sum()
        self._ratios.clear()
        if torch.is_grad_enabled() and not total.requires_grad and self._is_training():
            raise SpikingError(
                "HoyerRegularizer was called after a forward pass without gradients, so that it would change nothing; run the"
                " model outside torch.no_grad(), and checkpoints with use_reentrant=False"
            )
        return self.weight * total

    def _is_training(self) -> bool:
        layers = (reference() for reference in self._layers)
        return any(layer is not None and layer.training for layer in layers)

    def _look_back(self) -> bool:
        """Take what the layers were last given, if all of them were given something."""
        layers = [layer for reference in self._layers if (layer := reference()) is not None]
        last = [layer.last_input.take() for layer in layers]
        for index, (layer, x) in enumerate(zip(layers, last, strict=True)):
            if x is not None:
                self.look(index, layer, x)
        if any(x is None for x in last):
            self._ratios.clear()
        return bool(self._ratios)

    def look(self, index: int, layer: HoyerSpike, x: Tensor) -> None:
        """Take the ratio of a layer's input; called by the hooks."""
        self._is_new = False
        clipped = saturated_relu(x, layer.v_threshold.abs(), nan_to_zero=True)
        self._ratios[index] = hoyer_ratio(clipped, normalized=self.normalized)

    def remove(self) -> None:
        """Take the hooks off the model."""
        self._finalizer()
        self._ratios.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.remove()


@final
class Look:
    """A hook that copies and saves as one that does nothing, and keeps nothing alive."""

    def __init__(self, regularizer: HoyerRegularizer | None, index: int) -> None:
        self._regularizer = None if regularizer is None else weakref.ref(regularizer)
        self._index = index

    def __call__(self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        regularizer = self._regularizer and self._regularizer()
        if regularizer is not None and isinstance(layer, HoyerSpike):
            regularizer.look(self._index, layer, args[0] if args else kwargs["x"])

    def __deepcopy__(self, memo: dict[int, Any]) -> "Look":
        return Look(None, self._index)

    def __reduce__(self) -> tuple[type["Look"], tuple[None, int]]:
        return Look, (None, self._index)


def _remove(handles: list[torch.utils.hooks.RemovableHandle]) -> None:
    for handle in handles:
        handle.remove()
