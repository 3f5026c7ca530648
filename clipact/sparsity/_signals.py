"""Follow signals through a model: which layer's output reaches which activation, and what happens to it on the way."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils.weak import WeakIdKeyDictionary

__all__ = ["Signal", "Signals"]


def _functions(*names: str) -> frozenset[Any]:
    return frozenset(
        getattr(owner, name)
        for owner in (torch, Tensor, F)
        for name in names
        if hasattr(owner, name)
    )


_SAME_VALUES: Final = _functions(
    "alpha_dropout", "chunk", "clone", "contiguous", "detach", "double", "dropout", "dropout1d", "dropout2d", "dropout3d",
    "expand", "feature_alpha_dropout", "flatten", "flip", "float", "movedim", "permute", "repeat", "reshape", "roll",
    "split", "squeeze", "swapaxes", "swapdims", "t", "tile", "to", "transpose", "unbind", "unflatten", "unsqueeze", "view",
    "__getitem__", "channel_shuffle", "pixel_shuffle", "pixel_unshuffle", "pad",
    "linear", "conv1d", "conv2d", "conv3d",
)  # fmt: skip
"""What hands on the values it was given, in another place; dropout since models are looked at in eval mode.

A layer's own operation, too: its output has the layer's name a moment later, and until then tells what the layer was given.
"""

_SIDE_BY_SIDE: Final = _functions(
    "cat", "concat", "concatenate", "hstack", "vstack", "dstack", "stack"
)


@final
@dataclass(frozen=True)
class Signal:
    """Where the values of a tensor come from.

    Attributes:
        sources: Names of the layers and activations whose outputs they are made of, going back no further than those.
        is_joined: Several sources were added, multiplied or otherwise mixed.
        is_exact: They are the sources' own values, only elsewhere in the tensor.
    """

    sources: frozenset[str] = frozenset()
    is_joined: bool = False
    is_exact: bool = True

    def describe(self) -> str:
        """The sources, for an error message."""
        return " and ".join(map(repr, sorted(self.sources))) or "nothing that can be followed"


@final
class Signals(TorchFunctionMode):
    """While active, knows the signal of every tensor that is made from one with a signal."""

    def __init__(self) -> None:
        super().__init__()
        self._known = WeakIdKeyDictionary()

    def of(self, tensor: Tensor) -> Signal:
        """The signal of a tensor; one without sources if none is known."""
        found: Signal | None = self._known.get(tensor)
        return Signal() if found is None else found

    def name(self, value: Any, source: str) -> None:
        """From here on, tensors in ``value`` are the output of ``source``."""
        for tensor in _tensors(value):
            self._known[tensor] = Signal(frozenset((source,)))

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run the function and hand the signal of its arguments on."""
        given = [
            signal
            for tensor in _tensors((args, kwargs or {}))
            if (signal := self._known.get(tensor)) is not None
        ]
        output = func(*args, **(kwargs or {}))
        if given:
            signal = _mixed(func, given)
            for tensor in _tensors(output):
                self._known[tensor] = signal
        return output


def _mixed(func: Any, given: list[Signal]) -> Signal:
    sources = frozenset[str]().union(*(signal.sources for signal in given))
    joined = any(signal.is_joined for signal in given)
    exact = all(signal.is_exact for signal in given)
    if func in _SIDE_BY_SIDE:
        return Signal(sources, joined, exact)
    if func in _SAME_VALUES:
        return given[0]
    return Signal(sources, joined or len({signal.sources for signal in given}) > 1, is_exact=False)


def _tensors(value: Any) -> Iterable[Tensor]:
    return (leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, Tensor))
