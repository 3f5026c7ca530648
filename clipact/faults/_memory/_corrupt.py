"""What hit words become: one pure function for tensors in memory and for activations."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from clipact.faults._formats import Codec
from clipact.faults._hits import Codes, Hits, Indices, Numbers, hit_words, places_among
from clipact.faults._memory._words import Words
from clipact.faults._models import FaultModel


def corrupted(values: Tensor, hits: Sequence[Hits], fault: FaultModel, codec: Codec) -> Tensor:
    """The new values of the words of one tensor that are hit.

    Args:
        values: Those at :func:`hit_words` of ``hits``: flat, on the CPU, of the tensor's dtype; not changed.
        hits: Of each part of the fault model.
        fault: What happens.
        codec: The number format, bound to the tensor.
    """
    codes = corrupted_codes(values, [hits], fault, [codec])[-1]
    return codec.format.decode(codes, codec.dtype, codec.scale(hit_words(hits)))


def corrupted_codes(
    values: Tensor,
    hits: Sequence[Sequence[Hits]],
    fault: FaultModel,
    codecs: Sequence[Codec],
) -> list[Codes]:
    """The bits of hit words before anything, and after each part of the fault model.

    Args:
        values: Those of all words hit, tensor by tensor, as in :func:`corrupted`; of one dtype.
        hits: Of each tensor, of each part of the fault model.
        fault: What happens.
        codecs: Of each tensor.
    """
    words = [hit_words(parts) for parts in hits]
    owner = np.repeat(np.arange(len(words)), [index.size for index in words])
    scale = group_scale(codecs, words)
    codes = [codecs[0].format.encode(values, scale)]
    for place, mechanism in enumerate(fault.parts):
        ours = [parts[place] for parts in hits]
        at = places_among(words, ours) if len(fault.parts) > 1 else slice(None)
        struck = Words(
            codes=codes[-1][at],
            mask=np.concatenate([one.mask for one in ours]),
            payload=_payload(ours),
            codecs=codecs,
            owner=owner[at],
            scale=None if scale is None else scale[at],
        )
        after = codes[-1].copy()
        after[at] = mechanism.corrupt(struck)
        codes.append(after)
    return codes


def group_scale(codecs: Sequence[Codec], words: Sequence[Indices]) -> Numbers | None:
    """Of each word, tensor by tensor, what a bit is worth; None if always the same."""
    scales = [codec.scale(index) for codec, index in zip(codecs, words, strict=True)]
    found = [scale for scale in scales if scale is not None]
    return np.concatenate(found) if found else None


def _payload(hits: Sequence[Hits]) -> Numbers | None:
    found = [one.payload for one in hits if one.payload is not None]
    return np.concatenate(found) if found else None
