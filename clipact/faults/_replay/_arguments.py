"""The arguments of a forward, to recognise when they come again."""

import hashlib
from typing import Any, Final, NamedTuple, TypeAlias, final

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from clipact.faults._replay._values import bits, is_constant, is_plain, same_constant

__all__ = ["Arguments", "Given"]

Given: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional and keyword arguments."""

_UNKNOWN: Final = object()


@final
class Arguments:
    """A copy of them, or digests where there is no room for copies.

    Args:
        given: The arguments.
        room: Bytes that copies may take.
    """

    def __init__(self, given: Given, room: int) -> None:
        leaves, self._spec = pytree.tree_flatten(given)
        size = sum(leaf.numel() * leaf.element_size() for leaf in leaves if is_plain(leaf))
        self._copied = size <= room
        self.nbytes = size if self._copied else 0
        self._kept = [self._keep(leaf) for leaf in leaves]

    @property
    def comparable(self) -> bool:
        """Whether they can be recognised at all: all tensors are plain, all else is constant."""
        return not any(kept is _UNKNOWN for kept in self._kept)

    def again(self, given: Given) -> bool:
        """Whether these are the same, to the last bit."""
        leaves, spec = pytree.tree_flatten(given)
        return spec == self._spec and all(map(self._same, self._kept, leaves))

    def _keep(self, leaf: Any) -> Any:
        if is_plain(leaf):
            return _Image(_layout(leaf), leaf.clone() if self._copied else _digest(leaf))
        return leaf if is_constant(leaf) else _UNKNOWN

    def _same(self, kept: Any, leaf: Any) -> bool:
        if not isinstance(kept, _Image):
            return is_constant(leaf) and same_constant(kept, leaf)
        if not is_plain(leaf) or kept.layout != _layout(leaf):
            return False
        if isinstance(kept.content, Tensor):
            return torch.equal(bits(kept.content), bits(leaf))
        return kept.content == _digest(leaf)


class _Image(NamedTuple):
    layout: tuple[Any, ...]
    content: Tensor | bytes


def _layout(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.dtype, tensor.device, tensor.shape, tensor.stride()


def _digest(tensor: Tensor) -> bytes:
    words: Any = bits(tensor).contiguous().cpu().numpy()
    return hashlib.blake2b(words, digest_size=32).digest()
