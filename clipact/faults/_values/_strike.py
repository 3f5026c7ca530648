"""Put hits into a tensor that flows, sample by sample."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from clipact.errors import FaultError
from clipact.faults._formats import Format
from clipact.faults._hits import Hits, Indices, hit_words
from clipact.faults._memory._corrupt import corrupted_codes, group_scale
from clipact.faults._memory._held import integers
from clipact.faults._memory._storage import shares_words, storage_positions, storage_words
from clipact.faults._models import FaultModel
from clipact.faults._values._landing import Landing
from clipact.faults._values._place import Place


@final
class Visit(NamedTuple):
    """A place in one forward.

    Attributes:
        forward: Number of the forward.
        place: The place.
        rows: Number of samples.
    """

    forward: int
    place: Place
    rows: int


def own_copy(tensor: Tensor) -> Tensor:
    """A copy with the same strides, for autograd the same value; of an expanded tensor a full one."""
    if tensor.is_quantized or shares_words(tensor):
        return tensor.clone(memory_format=torch.preserve_format)
    copy = torch.empty_strided(
        tensor.shape, tensor.stride(), dtype=tensor.dtype, device=tensor.device
    )
    return copy.copy_(tensor)


def strike(
    tensor: Tensor,
    visit: Visit,
    hits: Mapping[int, Sequence[Hits]],
    fault: FaultModel,
    format: Format,  # noqa: A002 - as in inject
) -> Landing | None:
    """Change the words that are hit, in place, and say what they were; None if none of them exists.

    Args:
        tensor: What is changed; no word of it stands for two elements.
        visit: Which place it is.
        hits: Of each sample that is hit, of each part of the fault model.
        fault: What happens.
        format: Number format whose bits are changed.

    Raises:
        FaultError: A sample is hit that the batch does not have, or the tensor is not what was observed.
    """
    plain = integers(tensor) if tensor.is_quantized else tensor.detach()
    _check(plain, visit, hits)
    samples: list[int] = []
    landed: list[Sequence[Hits]] = []
    for row, parts in hits.items():
        there = _existing(visit.place, visit.place.sample(plain, visit.rows, row).shape, parts)
        if any(part.index.size for part in there):
            samples.append(row)
            landed.append(there)
    if not samples:
        return None
    views = [visit.place.sample(plain, visit.rows, row) for row in samples]
    index = [hit_words(parts) for parts in landed]
    codecs = [format.bind(view) for view in views]
    words = storage_words(plain)
    positions = torch.from_numpy(_positions(plain, views, index)).to(plain.device)
    before = words.index_select(0, positions).cpu().view(plain.dtype)
    codes = corrupted_codes(before, landed, fault, codecs)
    after = codecs[0].format.decode(codes[-1], plain.dtype, group_scale(codecs, index))
    words.index_copy_(0, positions, after.view(words.dtype).to(plain.device))
    width = codecs[0].width
    return Landing(visit.forward, visit.place, samples, landed, width, codes, before, after)


def _check(plain: Tensor, visit: Visit, hits: Mapping[int, Sequence[Hits]]) -> None:
    place = visit.place
    if plain.dtype is not place.dtype or plain.dim() != len(place.shape) + _missing_axes(place):
        raise FaultError(
            f"{place.name} is a {plain.dtype} tensor of shape {tuple(plain.shape)} in forward {visit.forward}, but was observed"
            f" as {place.dtype} with samples of shape {place.shape}; observe the model again as it is run now"
        )
    if place.axis is not None and (not visit.rows or plain.shape[place.axis] % visit.rows):
        raise FaultError(
            f"{place.name} has the shape {tuple(plain.shape)} in forward {visit.forward}, which cannot be cut into {visit.rows}"
            " samples as when it was observed; observe the model again as it is run now"
        )
    if beyond := [row for row in hits if not 0 <= row < visit.rows]:
        raise FaultError(
            f"sample {beyond[0]} of {place.name} is to be hit in forward {visit.forward}, which has {visit.rows} samples"
        )


def _missing_axes(place: Place) -> int:
    return int(place.axis is not None and not place.is_stacked)


def _existing(place: Place, shape: torch.Size, parts: Sequence[Hits]) -> Sequence[Hits]:
    """Those hits that fall on words which a sample of this shape has, numbered as it numbers them."""
    if shape == place.shape:
        return parts
    found: list[Hits] = []
    for part in parts:
        at = np.unravel_index(part.index, place.shape)
        kept = np.all([axis < size for axis, size in zip(at, shape, strict=True)], axis=0)
        index = np.ravel_multi_index([axis[kept] for axis in at], shape)
        payload = None if part.payload is None else part.payload[kept]
        found.append(Hits(index.astype(np.int64), part.mask[kept], payload))
    return found


def _positions(whole: Tensor, views: Sequence[Tensor], index: Sequence[Indices]) -> Indices:
    """Of each word that is hit, where it is in the storage of the whole."""
    start = int(whole.storage_offset())
    found = [
        storage_positions(view, each) + (int(view.storage_offset()) - start)
        for view, each in zip(views, index, strict=True)
    ]
    return np.concatenate(found)
