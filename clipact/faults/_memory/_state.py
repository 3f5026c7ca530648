"""What a campaign must leave as it was: buffers, which evaluations update, are put back; the rest is compared."""

import zlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn

from clipact.faults._memory._region import Region
from clipact.faults._memory._storage import storage_words, unaddressable
from clipact.faults._memory._tensors import TargetTensor


class _Held(NamedTuple):
    owner: nn.Module
    name: str
    buffer: Tensor | None


@final
class Buffers:
    """The buffers of a model as they are now, for :meth:`kept`.

    Buffers without
    plain words (sparse, on the meta device) are put back as objects, not by value.
    """

    def __init__(self, model: nn.Module) -> None:
        self._held = [
            _Held(module, name, buffer)
            for module in model.modules()
            for name, buffer in _buffers(module).items()
        ]
        plain = [b for _, _, b in self._held if b is not None and unaddressable(b) is None]
        self._words = [storage_words(buffer) for buffer in plain]
        self._before = [words.clone() for words in self._words]

    @contextmanager
    def kept(self) -> Generator[None]:
        """Put every buffer back at the end of the block, whatever happens."""
        try:
            yield
        finally:
            try:
                self.restore()
            except BaseException:
                self.restore()
                raise

    def restore(self) -> None:
        """Put every buffer back now."""
        for owner, name, buffer in self._held:
            buffers = _buffers(owner)
            if buffers.get(name) is not buffer:
                buffers[name] = buffer
        if (
            self._words
        ):  # written back unseen: comparing first would wait for the device at every buffer
            torch._foreach_copy_(self._words, self._before)  # pyright: ignore[reportPrivateUsage] - no public name


def fingerprint(
    model: nn.Module, tensors: Sequence[TargetTensor]
) -> tuple[list[tuple[int, Region]], int]:
    """Which tensors the target has and where, and a checksum of the bits of these and of all parameters."""
    found = {id(item.tensor): item.tensor for item in tensors}
    found |= {id(p): p for p in model.parameters() if unaddressable(p) is None}
    digest = 0
    for tensor in found.values():
        words: Any = storage_words(tensor).cpu().numpy()
        digest = zlib.crc32(words, digest)
    return [(item.identity, item.region) for item in tensors], digest


def _buffers(module: nn.Module) -> dict[str, Tensor | None]:
    return module._buffers  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - named_buffers() leaves out None
