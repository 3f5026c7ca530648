"""The faults of one injection, as a table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from clipact._text import aligned
from clipact.errors import MissingExtraError
from clipact.faults._hits import Codes, Hits, Indices, Numbers, hit_words, places_among
from clipact.faults._models import FaultModel

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 20


@final
@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        tensor: Dotted name of the tensor.
        index: Flat index of the word, in logical (row-major) order whatever the tensor's strides.
        bit: Position in the word, 0 the least significant; -1 if the fault is one of the whole word.
        kind: What happened to the bit or word.
        before: The word's value before.
        after: The word's value with all its faults; the same for each fault of one word.
    """

    tensor: str
    index: int
    bit: int
    kind: str
    before: float
    after: float


@final
@dataclass(frozen=True, eq=False)
class FaultRecord:
    """Every fault of an injection, by tensor, index and bit: iterate, ``len()``, ``print`` or :meth:`to_pandas`.

    Attributes:
        kinds: Of each part of the fault model, what happened to the bits or words.
        names: Names of the tensors that were hit.
        widths: Bits a word has in each of these.
        tensor: Place in ``names``, shape ``(faults,)`` as all that follow.
        index: Flat indices.
        part: Place in ``kinds``.
        bit: Bit positions; -1 for a whole word.
        before: Values before, as float64 (of ``int64`` tensors the nearest).
        after: Values after.
        code: The word's bits in the number format after this part of the fault model.
    """

    kinds: tuple[str, ...]
    names: tuple[str, ...]
    widths: tuple[int, ...]
    tensor: Indices
    index: Indices
    part: Indices
    bit: Indices
    before: Numbers
    after: Numbers
    code: Codes

    def __len__(self) -> int:
        return len(self.index)

    def __iter__(self) -> Iterator[Fault]:
        columns = (self.tensor, self.index, self.part, self.bit, self.before, self.after)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for place, index, part, bit, before, after in rows:
            yield Fault(self.names[place], index, bit, self.kinds[part], before, after)

    def to_pandas(self) -> "pd.DataFrame":
        """A data frame with one row a fault.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        names = np.array(self.names, dtype=object)
        return data_frame(
            {
                "tensor": names[self.tensor],
                "index": self.index,
                "bit": self.bit,
                "kind": np.array(self.kinds, dtype=object)[self.part],
                "before": self.before,
                "after": self.after,
            }
        )

    def __str__(self) -> str:
        head = f"{len(self)} fault{'' if len(self) == 1 else 's'} in {len(self.names)} tensors"
        if not len(self):
            return head
        header = ["tensor", "index", "bit", "kind", "before", "after"]
        cells: list[list[str]] = []
        for fault, _ in zip(self, range(_SHOWN), strict=False):
            values = (f"{fault.before:.6g}", f"{fault.after:.6g}")
            cells.append([fault.tensor, str(fault.index), str(fault.bit), fault.kind, *values])
        rest = [f"… and {len(self) - _SHOWN} more"] if len(self) > _SHOWN else []
        return "\n".join([head, aligned(header, cells), *rest])


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


def data_frame(columns: dict[str, Any]) -> "pd.DataFrame":
    """A data frame of these columns.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    try:
        import pandas as pd  # noqa: PLC0415 - optional, and slow to import
    except ImportError:
        raise MissingExtraError("to_pandas() needs pandas: pip install 'clipact[pandas]'") from None
    return pd.DataFrame(columns)
