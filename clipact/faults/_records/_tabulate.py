"""The table of faults from hits and bits."""

from collections.abc import Sequence

import numpy as np

from clipact.faults._hits import Codes, Hits, Indices, Numbers, hit_words, places_among
from clipact.faults._models import FaultModel
from clipact.faults._records._record import FaultRecord


def rows(
    fault: FaultModel,
    tensors: Sequence[tuple[str, int]],
    hits: Sequence[Sequence[Hits]],
    codes: Sequence[Codes],
    values: tuple[Numbers, Numbers],
) -> FaultRecord:
    """The table of some faults.

    Args:
        fault: The fault model.
        tensors: Names and widths.
        hits: Of each tensor, of each part of the fault model.
        codes: Bits of the words hit, tensor by tensor, before anything and after each part.
        values: Of the words hit, before and after.
    """
    words = [hit_words(parts) for parts in hits]
    columns = [np.empty((5, 0), dtype=np.int64)]
    for part, mechanism in enumerate(fault.parts):
        ours = [parts[part] for parts in hits]
        at, bit = _bits(ours, max(w for _, w in tensors), whole=mechanism.whole_words)
        tensor = np.repeat(np.arange(len(ours)), [one.index.size for one in ours])[at]
        index = np.concatenate([one.index for one in ours])[at]
        word = places_among(words, ours)[at]
        columns.append(np.stack([tensor, index, np.full_like(at, part), bit, word]))
    table = np.concatenate(columns, axis=1)
    if len(columns) > 2:
        table = table[:, np.lexsort(table[3::-1])]
    tensor, index, part, bit, word = table
    return FaultRecord(
        kinds=tuple(mechanism.kind for mechanism in fault.parts),
        names=tuple(name for name, _ in tensors),
        widths=tuple(width for _, width in tensors),
        tensor=tensor,
        index=index,
        part=part,
        bit=bit,
        before=values[0][word],
        after=values[1][word],
        code=np.stack(codes)[part + 1, word],
    )


def _bits(hits: Sequence[Hits], width: int, *, whole: bool) -> tuple[Indices, Indices]:
    """Of every fault, the place of its word in the hits of all tensors, and its bit."""
    masks = np.concatenate([one.mask for one in hits])
    if whole:
        return np.arange(masks.size), np.full(masks.size, -1)
    octets = -(-width // 8)
    bytes_ = masks.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :octets]
    ones = np.flatnonzero(np.unpackbits(bytes_, bitorder="little").view(np.bool_))
    place = ones // (8 * octets)
    return place, ones - place * (8 * octets)


def join(fault: FaultModel, parts: Sequence[FaultRecord]) -> FaultRecord:
    """One record of several of one fault model."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return _nothing(fault)
    starts = np.cumsum([0, *(len(part.names) for part in parts)])
    places = [part.tensor + start for part, start in zip(parts, starts[:-1], strict=True)]
    return FaultRecord(
        kinds=parts[0].kinds,
        names=tuple(name for part in parts for name in part.names),
        widths=tuple(width for part in parts for width in part.widths),
        tensor=np.concatenate(places),
        index=np.concatenate([part.index for part in parts]),
        part=np.concatenate([part.part for part in parts]),
        bit=np.concatenate([part.bit for part in parts]),
        before=np.concatenate([part.before for part in parts]),
        after=np.concatenate([part.after for part in parts]),
        code=np.concatenate([part.code for part in parts]),
    )


def _nothing(fault: FaultModel) -> FaultRecord:
    integers, numbers = np.empty(0, dtype=np.int64), np.empty(0)
    return FaultRecord(
        kinds=tuple(mechanism.kind for mechanism in fault.parts),
        names=(),
        widths=(),
        tensor=integers,
        index=integers,
        part=integers,
        bit=integers,
        before=numbers,
        after=numbers,
        code=np.empty(0, dtype=np.uint64),
    )
