"""After a fault was met, compute only the samples that differ from the golden ones, where that gave the same bits."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, final

import torch
from torch import Tensor, nn

from clipact.faults._replay._arguments import Given
from clipact.faults._replay._golden import Golden
from clipact.faults._replay._standins import standing_in
from clipact.faults._replay._structure import Structure
from clipact.faults._replay._values import bits, is_plain

__all__ = ["DirtySamples", "find_dirty_samples"]

_SHARES: Final = (1 / 16, 1 / 8, 1 / 4, 3 / 8, 1 / 2, 5 / 8, 3 / 4)
"""Of a batch: how many samples are computed together, if the rest is golden."""
_FEWEST: Final = 2
"""One sample alone takes another path through most kernels."""
_EVIDENCE: Final = 512
"""Values, different from each other, that must come out the same; few could by chance."""


class _Kept(NamedTuple):
    """A golden call: what it was given and gave, and the targets that are read in it."""

    given: Tensor
    gave: Tensor
    tensors: frozenset[int]


@final
class DirtySamples:
    """Golden calls of modules that may treat every sample by itself.

    Whether a module gives the same bits for so many samples is tried out on golden ones when it is first asked for.

    Args:
        kept: Of each forward, by path.
    """

    def __init__(self, kept: Sequence[Mapping[str, _Kept]]) -> None:
        self._kept = kept
        self._repeats: dict[tuple[str, torch.Size, int], bool] = {}
        self._busy = False

    @property
    def nbytes(self) -> int:
        """What it holds."""
        return sum(
            tensor.numel() * tensor.element_size()
            for calls in self._kept
            for kept in calls.values()
            for tensor in (kept.given, kept.gave)
        )

    def redo(
        self,
        place: tuple[int, str],
        faulty: frozenset[int],
        forward: Callable[..., Any],
        given: Given,
    ) -> Tensor | None:
        """The output, of which only samples with another input were computed; None where that is not for here.

        Args:
            place: Number of the forward, and path of the module.
            faulty: Targets with faults in them.
            forward: The module's own.
            given: What it is called with.
        """
        kept = None if self._busy else self._kept[place[0]].get(place[1])
        if kept is None or kept.tensors & faulty or not _is_single(given):
            return None
        x = given[0][0]
        if not _same_form(x, kept.given):
            return None
        rows = (bits(x) != bits(kept.given)).flatten(1).any(1).nonzero().squeeze(1)
        if not len(rows):
            return kept.gave.clone()
        if not x[rows].isfinite().all():
            return None
        self._busy = True
        try:
            return self._some(kept, place[1], forward, (x, rows))
        finally:
            self._busy = False

    def _some(
        self, kept: _Kept, path: str, forward: Callable[..., Any], asked: tuple[Tensor, Tensor]
    ) -> Tensor | None:
        x, rows = asked
        for size in _sizes(len(x)):
            if size < len(rows):
                continue
            known = path, x.shape, size
            if known not in self._repeats:
                self._repeats[known] = _repeats(forward, kept.given, kept.gave, size)
            if self._repeats[known]:
                chosen = _filled(rows, size, len(x))
                output = kept.gave.clone()
                output[chosen] = forward(x[chosen])
                return output
        return None


def find_dirty_samples(
    goldens: Sequence[Golden],
    modules: Mapping[str, nn.Module],
    run: Callable[[], object],
    budget: int,
) -> DirtySamples:
    """Run the golden run once more, and keep what calls are given and give that may treat every sample by itself.

    Args:
        goldens: The forwards to come.
        modules: The visible modules, by path.
        run: As for :func:`record`.
        budget: Bytes for what is kept.
    """
    keeper = _Keeper([golden.structure for golden in goldens], budget)
    with standing_in(modules.items(), keeper):
        run()
    return DirtySamples(keeper.kept)


@final
class _Keeper:
    """Stands in for the forwards of all visible modules."""

    def __init__(self, structures: Sequence[Structure], budget: int) -> None:
        self.kept: list[dict[str, _Kept]] = []
        self._single = [_single_calls(structure) for structure in structures]
        self._structures = structures
        self._room = budget
        self._depth = 0

    def __call__(
        self, path: str, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """See :class:`Actor`."""
        if self._depth == 0:
            self.kept.append({})
        at = len(self.kept) - 1
        number = self._single[at].get(path) if at < len(self._single) else None
        given = (args, kwargs)
        before = args[0].clone() if number is not None and _is_single(given) else None
        self._depth += 1
        try:
            value = forward(*args, **kwargs)
        finally:
            self._depth -= 1
        if before is not None and number is not None and _is_batch(before, value):
            self._keep(path, number, before, value)
        return value

    def _keep(self, path: str, number: int, given: Tensor, gave: Tensor) -> None:
        size = sum(tensor.numel() * tensor.element_size() for tensor in (given, gave))
        if size <= self._room and gave.unique().numel() >= _EVIDENCE:
            self._room -= size
            read = _read_inside(self._structures[len(self.kept) - 1], number)
            self.kept[-1][path] = _Kept(given, gave.clone(), read)


def _single_calls(structure: Structure) -> dict[str, int]:
    """Calls of modules that are called once, do nothing but return something new, and leave nothing behind."""
    paths = [call.path for call in structure.calls]
    return {
        path: number
        for number, path in enumerate(paths)
        if number and paths.count(path) == 1 and structure.skippable[number]
        if not structure.borrowed[number]
    }


def _read_inside(structure: Structure, number: int) -> frozenset[int]:
    """The targets that a call reads, itself or in calls that it makes."""
    return frozenset(
        read.tensor for read in structure.trace.reads if number in structure.above(read.call)
    )


def _sizes(batch: int) -> list[int]:
    found = {max(_FEWEST, -int(-batch * share // 1)) for share in _SHARES}
    return sorted(size for size in found if size < batch)


def _repeats(forward: Callable[..., Any], given: Tensor, gave: Tensor, size: int) -> bool:
    """Whether so many samples alone give the bits they have in the batch: the last ones, and some spread over it."""
    last = torch.arange(len(given) - size, len(given), device=given.device)
    spread = torch.linspace(0, len(given) - 1, size, device=given.device).long()
    for rows in (last, spread):
        value = forward(given[rows])
        golden = gave[rows]
        if not _is_batch(given[rows], value) or not _same_form(value, golden):
            return False
        if not torch.equal(bits(value), bits(golden)):
            return False
    return True


def _filled(rows: Tensor, size: int, batch: int) -> Tensor:
    """These rows, and so many others that it is ``size``."""
    others = torch.ones(batch, dtype=torch.bool, device=rows.device)
    others[rows] = False
    return torch.cat([rows, others.nonzero().squeeze(1)[: size - len(rows)]]).sort().values


def _is_single(given: Given) -> bool:
    args, kwargs = given
    return len(args) == 1 and not kwargs and is_plain(args[0]) and args[0].is_floating_point()


def _is_batch(given: Tensor, value: Any) -> bool:
    """Whether both are of the same samples, in a row along the first axis."""
    return (
        is_plain(value)
        and value.is_floating_point()
        and min(given.dim(), value.dim()) >= 2
        and len(given) == len(value) >= 2 * _FEWEST
    )


def _same_form(one: Tensor, other: Tensor) -> bool:
    return (
        is_plain(one)
        and one.dtype is other.dtype
        and one.shape == other.shape
        and one.stride() == other.stride()
        and one.device == other.device
    )
