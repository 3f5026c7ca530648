"""Up to how many nonzero inputs skipping is faster, measured on the machine it runs on."""

import time
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol, final

import torch
import torch.nn.functional as F
from torch import Tensor

from clipact.sparsity._skipping._sparse_linear import estimate_nonzeros, sparse_linear

__all__ = ["BreakEven", "MeasuredBreakEven"]

MOST_ROWS: Final = 255
"""Larger batches are dense without a look: there the weight is read once for many rows."""

_MARGIN: Final = 0.85
"""Skipping has to take this much less time than the dense layer, since both are measured with noise."""

_LOOK: Final = 0.05
"""Counting the inputs may cost this share of the dense layer; if it costs more, nobody looks."""

_DENSITIES: Final = {2: (0.1, 1.0), 8: (0.1, 0.6), MOST_ROWS: (0.05, 0.3)}
"""Up to so many rows, skipping is timed at these; about where it breaks even."""

_ROUNDS: Final = (2, 7)
_SECONDS: Final = 0.15
_FLUSH: Final = 2**24
"""Numbers of four bytes that are read to drive a weight out of the caches."""


class BreakEven(Protocol):
    """Says up to how many nonzero inputs a linear layer skips zeros."""

    def __call__(self, rows: int, weight: Tensor) -> int:
        """The largest number of nonzeros, in all rows of the input together, that is worth it.

        0 says not even to count, as many as there are elements not to count either.

        Args:
            rows: Rows of the input.
            weight: The weight, ``(out_features, in_features)``.
        """
        ...


class _Case(NamedTuple):
    """What the answer depends on."""

    rows: int
    shape: torch.Size
    dtype: torch.dtype
    threads: int


@final
class MeasuredBreakEven:
    """The break-even of this machine, measured the first time that a layer's shape and batch size come by, and kept.

    A batch size stands for those up to twice as large. Both forms are timed on the layer's own weight, driven out of the
    caches and as it is after the last call, and skipping has to win both ways. That takes about a second for each
    case, longer for batches of a hundred and more. Other work on the machine at that moment may shift it.

    Args:
        clock: Seconds; by default processor time of the thread where torch uses only one, which others on the machine
            disturb less, and else the time that passes.

    Attributes:
        measured: What was measured: by rows, shape of the weight, dtype and number of threads.
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self.measured: dict[tuple[int, torch.Size, torch.dtype, int], int] = {}
        self._clock = clock

    def __call__(self, rows: int, weight: Tensor) -> int:
        """See :class:`BreakEven`."""
        if not 0 < rows <= MOST_ROWS:
            return 0
        power = 1 << (rows.bit_length() - 1)
        case = _Case(power, weight.shape, weight.dtype, torch.get_num_threads())
        if case not in self.measured:
            with torch.no_grad():
                self.measured[case] = self._measure(power, weight.detach())
        return self.measured[case]

    def _measure(self, rows: int, weight: Tensor) -> int:
        generator = torch.Generator("cpu").manual_seed(0)
        densities = next(pair for largest, pair in _DENSITIES.items() if rows <= largest)
        few, many = (_input(rows, weight, density, generator) for density in densities)
        others = torch.zeros(_FLUSH, dtype=torch.float32, device="cpu")
        is_look_cheap, limits = False, list[float]()
        for read in ((others, few, many), (few, many)):  # an input has just been computed
            dense, look, *sparse = self._times(
                lambda read=read: [tensor.sum() for tensor in read],
                lambda: F.linear(few, weight),
                lambda: _look(few),
                lambda: _skip(few, weight),
                lambda: _skip(many, weight),
            )
            limits.append(_crossing((few, many), sparse, _MARGIN * dense))
            is_look_cheap = look <= _LOOK * dense
        return int(min(limits)) if is_look_cheap or min(limits) >= few.numel() else 0

    def _times(self, before: Callable[[], object], *calls: Callable[[], object]) -> list[float]:
        """The shortest time of each call; they take turns, so that all meet the same disturbances."""
        best = [float("inf")] * len(calls)
        least, most = _ROUNDS
        clock = self._clock or _fitting_clock()
        begin = clock()
        for round_ in range(most):
            if round_ >= least and clock() - begin > _SECONDS:
                break
            for index, call in enumerate(calls):
                before()
                start = clock()
                call()
                best[index] = min(best[index], clock() - start)
        return best


def _fitting_clock() -> Callable[[], float]:
    is_fine = time.get_clock_info("thread_time").resolution <= 1e-6
    return time.thread_time if is_fine and torch.get_num_threads() == 1 else time.perf_counter


def _look(x: Tensor) -> int:
    return estimate_nonzeros(x)


def _skip(x: Tensor, weight: Tensor) -> Tensor | None:
    """What a call that skips does, the look included."""
    return sparse_linear(x, weight) if _look(x) else None


def _input(rows: int, weight: Tensor, density: float, generator: torch.Generator) -> Tensor:
    shape = (rows, weight.shape[1])
    passed = torch.rand(shape, generator=generator, device="cpu") < density
    return (torch.randn(shape, generator=generator, device="cpu") * passed).to(weight.dtype)


def _crossing(inputs: tuple[Tensor, Tensor], seconds: list[float], budget: float) -> float:
    """How many nonzeros the budget allows, if time grows linearly with them."""
    few, many = (int(torch.count_nonzero(x)) for x in inputs)
    slope = max(seconds[1] - seconds[0], 1e-12) / max(many - few, 1)
    crossing = few + (budget - seconds[0]) / slope
    return min(max(crossing, 0.0), inputs[0].numel())
