"""Put faults into a model for the length of a ``with`` block."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from clipact.errors import FaultError
from clipact.faults._drawing import Addresses, Draw
from clipact.faults._exclusive import exclusive
from clipact.faults._formats import NATIVE, Format
from clipact.faults._models import FaultModel
from clipact.faults._record import FaultRecord
from clipact.faults._region import Region
from clipact.faults._storage import storage_positions, storage_words
from clipact.faults._streams import check_seed
from clipact.faults._targets import Target, TargetTensor, bit_spaces


@contextmanager
def inject(  # noqa: PLR0913 - what, where and which draw: six things a user names
    model: nn.Module,
    fault: FaultModel,
    target: Target,
    *,
    seed: int = 0,
    trial: int = 0,
    format: Format = NATIVE,  # noqa: A002 - the word users look for
) -> Iterator[FaultRecord]:
    """A model with faults inside the ``with`` block, and bit for bit the model of before after it.

    The faults are a pure function of the seed, the trial, the fault model, the number format and the target: for a
    rate, each tensor's faults depend on its name and size only, so that two models meet the same faults on the tensors they
    share. For a count they depend on the whole target. Only the words that are hit are touched, in place: parameters
    stay the same objects, nothing else is copied, and cost grows with the number of faults.

    On exit the words hit get their old bits back, also after an exception or Ctrl-C; what an optimizer did to
    these words inside the block is undone with them, what it did to others stays. Autograd sees an in-place
    change at entry and exit: run forward and backward on the same side.

    Args:
        model: Any module, on any devices.
        fault: What happens to bits, as ``BitFlip(rate=1e-6)``.
        target: Where, as ``Weights() | Biases()``.
        seed: Which series of trials.
        trial: Which trial of the series.
        format: Number format whose bits are changed.

    Yields:
        The faults.

    Raises:
        SelectionError: The target picks nothing.
        FaultError: Fault model, target, format and model do not fit; faults are in one of the tensors already; or,
            on exit, a tensor was moved or replaced inside the block (``model.to(...)``), so that its copy
            keeps the faults.

    Examples:
        >>> model = nn.Linear(2, 1)
        >>> _ = nn.init.constant_(model.weight, 1.5)
        >>> with inject(model, BitFlip(count=1), Weights(), seed=3) as record:
        ...     len(record), bool((model.weight == 1.5).all())
        (1, False)
        >>> bool((model.weight == 1.5).all())
        True
    """
    check_seed(seed, trial)
    tensors = target.tensors(model)
    addresses = fault.draw(bit_spaces(tensors, format), Draw(seed, trial))
    patches = [
        _plan(tensor, hits, fault, format)
        for tensor, hits in zip(tensors, addresses, strict=True)
        if hits.size
    ]
    with exclusive(tensors):
        try:
            for patch in patches:
                patch.apply()
            yield _record(fault.kind, patches)
        finally:
            _undo(patches)
    _check_in_place(patches)


@dataclass(frozen=True, eq=False)
class _Patch:
    """The words of one tensor that change: where they are in storage, and their bits before and after."""

    target: TargetTensor
    region: Region
    words: Tensor
    positions: Tensor
    before: Tensor
    after: Tensor
    rows: "_Rows"

    def apply(self) -> None:
        self.words[self.positions] = self.after

    def restore(self) -> None:
        self.words[self.positions] = self.before


@dataclass(frozen=True, eq=False)
class _Rows:
    """The columns of the record for one tensor."""

    index: npt.NDArray[np.int64]
    bit: npt.NDArray[np.int64]
    before: npt.NDArray[np.float64]
    after: npt.NDArray[np.float64]


def _plan(target: TargetTensor, addresses: Addresses, fault: FaultModel, format: Format) -> _Patch:  # noqa: A002
    """Everything that applying needs, computed before anything is changed."""
    tensor = target.tensor
    index, bit = np.divmod(addresses, format.width(tensor.dtype))
    hit, first, row_of = np.unique(index, return_index=True, return_inverse=True)
    mask = np.bitwise_or.reduceat(np.left_shift(np.uint64(1), bit.astype(np.uint64)), first)
    words = storage_words(tensor)
    positions = torch.from_numpy(storage_positions(tensor, hit)).to(tensor.device)
    before = words[positions]
    values = before.view(tensor.dtype).cpu()
    changed = format.decode(fault.corrupt(format.encode(values), mask), tensor.dtype)
    after = changed.view(words.dtype).to(tensor.device)
    rows = _Rows(index, bit, _numbers(values)[row_of], _numbers(changed)[row_of])
    return _Patch(target, Region.of(tensor), words, positions, before, after, rows)


def _numbers(values: Tensor) -> npt.NDArray[np.float64]:
    return values.to(torch.float64).numpy()


def _record(kind: str, patches: Sequence[_Patch]) -> FaultRecord:
    rows = [patch.rows for patch in patches]
    sizes = [row.index.size for row in rows]
    return FaultRecord(
        kind=kind,
        names=tuple(patch.target.name for patch in patches),
        tensor=np.repeat(np.arange(len(rows), dtype=np.int64), sizes),
        index=_join([row.index for row in rows], np.int64),
        bit=_join([row.bit for row in rows], np.int64),
        before=_join([row.before for row in rows], np.float64),
        after=_join([row.after for row in rows], np.float64),
    )


def _join(parts: "Sequence[npt.NDArray[np.generic]]", dtype: type) -> "npt.NDArray[np.generic]":
    return np.concatenate(parts) if parts else np.empty(0, dtype=dtype)


def _undo(patches: Sequence[_Patch]) -> None:
    """Restore all; a second Ctrl-C on the way must not leave half, and to restore twice does no harm."""
    try:
        for patch in patches:
            patch.restore()
    except KeyboardInterrupt:
        for patch in patches:
            patch.restore()
        raise


def _check_in_place(patches: Sequence[_Patch]) -> None:
    moved = [p.target.name for p in patches if Region.of(p.target.tensor) != p.region]
    if moved:
        raise FaultError(
            f"{', '.join(moved)} moved to other memory inside inject(), so its copy there keeps the faults; load the"
            " weights again, and call model.to(...) before inject()"
        )
