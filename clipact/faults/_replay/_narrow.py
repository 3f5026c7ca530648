"""Go on with those samples alone that differ from the golden run."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, final

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from clipact.faults._replay._batch import select
from clipact.faults._replay._golden import Golden
from clipact.faults._replay._trace import TensorSpec
from clipact.faults._replay._values import bits, is_constant, is_plain, same_constant

__all__ = ["Narrow", "Narrowing", "Samples"]

_SHARE: Final = 0.75
"""Share of the samples above which fewer do not pay."""
_REST: Final = 0.1
"""Share of a forward's time below which what is left of it is run with all samples."""


class Narrow(NamedTuple):
    """Some samples of a forward, and where to take it up again with them.

    Attributes:
        rows: Which samples, rising.
        canary: One of them that does not differ: its outcome shows whether samples by themselves are computed as they are
            together with the others.
        number: The last call that ran with more of them.
        value: What it returned for these.
    """

    rows: Tensor
    canary: int
    number: int
    value: Any


@final
class Narrowing(BaseException):
    """The forward is to begin anew with fewer samples."""

    def __init__(self, narrow: Narrow) -> None:
        super().__init__()
        self.narrow = narrow


@final
class Samples:
    """Which samples of a forward differ from the golden run.

    Args:
        golden: The golden run of it, of which it is known where the samples are.
        seconds: Of each call, without those that it made.
        narrow: Which samples there are; None for all.
    """

    def __init__(self, golden: Golden, seconds: Sequence[float], narrow: Narrow | None) -> None:
        self._golden, self._seconds = golden, seconds
        self.narrow = narrow

    def differing(self, number: int, value: Any) -> Tensor | None:
        """Of each sample, whether a call has returned something else for it; None if that cannot be told."""
        golden, batch = self._golden, self._golden.batch
        leaves, spec = pytree.tree_flatten(value)
        output = golden.structure.calls[number].output
        if batch is None or output is None or spec != output.spec:
            return None
        if not golden.structure.returned[number] <= golden.kept:
            return None
        rows = None if self.narrow is None else self.narrow.rows
        different = torch.zeros(batch.size if rows is None else len(rows), dtype=torch.bool)
        axes = iter(batch.axes[number])
        for expected, leaf in zip(output.leaves, leaves, strict=True):
            if not isinstance(expected, TensorSpec):
                if not (is_constant(leaf) and same_constant(expected, leaf)):
                    return None
                continue
            axis = next(axes)
            found = _differing(golden.tensor(expected), leaf, axis, rows)
            if found is None:
                return None
            different |= found
        return different

    def fewer(self, number: int, value: Any, different: Tensor) -> Narrow | None:
        """The samples to go on with after a call that returned this; None for all that there are.

        Those that differ, and one that does not.
        """
        count, total = int(different.sum()), len(different)
        batch = self._golden.batch
        if batch is None or not 0 < count < total or count + 1 > _SHARE * total:
            return None
        if self._rest(number) < _REST:
            return None
        canary = int((~different).nonzero()[0])
        kept = torch.cat([different.nonzero().view(-1), torch.tensor([canary])]).sort().values
        axes = iter(batch.axes[number])
        some = pytree.tree_map_only(Tensor, lambda t: select(t, next(axes), kept), value)
        rows = torch.arange(total) if self.narrow is None else self.narrow.rows
        return Narrow(rows[kept], int(rows[canary]), number, some)

    def _rest(self, number: int) -> float:
        """Share of the time of a forward that comes after a call."""
        calls = self._golden.structure.calls
        after = sum(
            s for s, c in zip(self._seconds, calls, strict=True) if c.enter > calls[number].exit
        )
        return after / max(sum(self._seconds), 1e-9)

    def widened(self, value: Any) -> Any:
        """What the whole forward returns, if it returned this for some samples; None if it does not fit the others."""
        different, narrow, batch = self.differing(0, value), self.narrow, self._golden.batch
        output = self._golden.structure.calls[0].output
        if different is None or narrow is None or batch is None or output is None:
            return None
        if different[narrow.rows == narrow.canary].any():
            return None
        leaves = pytree.tree_leaves(value)
        axes = iter(batch.axes[0])
        for place, expected in enumerate(output.leaves):
            if isinstance(expected, TensorSpec):
                axis, whole = next(axes), self._golden.tensor(expected).clone()
                if axis is not None:
                    whole.index_copy_(axis, narrow.rows.to(whole.device), leaves[place])
                leaves[place] = whole
        return pytree.tree_unflatten(leaves, output.spec)


def _differing(golden: Tensor, now: Any, axis: int | None, rows: Tensor | None) -> Tensor | None:
    """Of each sample, whether two tensors differ; None if they are not of a kind, or have no samples and differ."""
    golden = golden if rows is None else select(golden, axis, rows)
    if not is_plain(now) or (now.dtype, now.device, now.shape) != (
        golden.dtype,
        golden.device,
        golden.shape,
    ):
        return None
    if axis is None:
        return (
            None if not torch.equal(bits(golden), bits(now)) else torch.zeros(1, dtype=torch.bool)
        )
    different = bits(golden) != bits(now)
    return different.movedim(axis, 0).flatten(1).any(1).cpu()
