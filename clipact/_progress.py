"""How long work is getting on: a bar where tqdm is installed and somebody looks, lines in the log elsewhere."""

import logging
import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, TypeVar, final

Item = TypeVar("Item")

_LOGGER = logging.getLogger(__name__)
_FIRST = 10.0  # seconds before the first line in the log
_GROWTH = 0.1  # later lines wait for this share of the time gone by, so that a day fills a screen
_SMOOTHING = 0.05  # of the bar's rate: trials differ in cost, and the time left should not jump
_Z = 1.959964  # two-sided normal quantile at 95 %


def track(
    items: Iterable[Item], *, label: str, total: int | None = None, show: bool = True
) -> Iterator[Item]:
    """Iterate over ``items`` behind a progress bar on standard error.

    Args:
        items: What to go through.
        label: What the bar says is being done.
        total: Number of items, if ``len(items)`` does not tell.
        show: False for no bar.
    """
    if show:
        try:
            from tqdm.auto import tqdm  # noqa: PLC0415 - optional, and slow to import
        except ImportError:
            show = False
        else:
            yield from tqdm(items, desc=label, total=total, leave=False, dynamic_ncols=True)
            return
    yield from items


@final
class Progress:
    """Work of known length: what is done, how fast, what is left, and what came out so far.

    At a terminal or in a notebook, with tqdm installed, it is a bar on standard error. Elsewhere (a batch job, output
    to a file, no tqdm) it is a line at level INFO in the log ``clipact._progress``: after 10 seconds, then whenever a
    tenth more of the time has gone by, and at the end.

    Args:
        label: What is being done.
        total: Number of steps.
        show: False for silence.
        done: Steps done in an earlier run; they count as done, but not for the rate.

    Examples:
        >>> with Progress("trials", 100, show=False, done=40) as progress:
        ...     progress.advance(10, {"sdc": "3.1 % ± 0.4"})
        >>> progress.done
        50
    """

    def __init__(self, label: str, total: int, show: bool = True, done: int = 0) -> None:  # noqa: FBT001, FBT002 - as in track
        self.label, self.total, self.done = label, total, done
        self._show, self._earlier, self._said = show, done, done
        self._start = time.monotonic()
        self._due = self._start + _FIRST
        self._values: Mapping[str, object] = {}
        self._bar: Any = None

    def __enter__(self) -> Self:
        self._start = time.monotonic()
        self._due = self._start + _FIRST
        if self._show and _somebody_looks():
            self._bar = _bar(self.label, self.total, self.done)
        return self

    def advance(self, steps: int = 1, values: Mapping[str, object] | None = None) -> None:
        """Count steps as done.

        Args:
            steps: How many.
            values: What to show behind the numbers; turned into text only when shown.
        """
        self.done += steps
        self._values = self._values if values is None else values
        if self._bar is not None:
            self._bar.set_postfix_str(_join(self._values), refresh=False)
            self._bar.update(steps)
        elif self._show and (now := time.monotonic()) >= self._due:
            self._due = now + max(_FIRST, _GROWTH * (now - self._start))
            self._say()

    def __str__(self) -> str:
        """Steps done of all, rate, time left, and the values."""
        elapsed = time.monotonic() - self._start
        fresh = self.done - self._earlier
        share = f" ({self.done / self.total:.0%})" if self.total else ""
        parts = [f"{self.label} {self.done:,} of {self.total:,}{share}"]
        if fresh and elapsed:
            rate, left = fresh / elapsed, (self.total - self.done) * elapsed / fresh
            parts.append(f"{rate:.3g}/s" if rate >= 1 else f"{1 / rate:.3g} s each")
            parts.append(f"{duration(left)} left" if left else f"in {duration(elapsed)}")
        return ", ".join([*parts, *filter(None, [_join(self._values)])])

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self._show and self.done > self._said:
            self._say()

    def _say(self) -> None:
        self._said = self.done
        _LOGGER.info(str(self))  # now: it says something else when a handler gets to it


@final
class RunningMean:
    """Mean of values one by one, with half the width of its 95 % interval; its text is made for :class:`Progress`.

    Values that are all between 0 and 1 are shares: shown in percent, with the observed variance in Wilson's formula, so
    that a mean of 0 is not shown as certain. Others have the normal interval. Values that are not finite are counted apart.

    Examples:
        >>> sdc = RunningMean()
        >>> for value in [0.0] * 95 + [1.0] * 5:
        ...     sdc.add(value)
        >>> str(sdc)
        '5.0 % ± 4.5'
    """

    def __init__(self) -> None:
        self.count, self.broken, self.mean = 0, 0, 0.0
        self._squares = 0.0
        self._share = True

    def add(self, value: float) -> None:
        """Take one more value in (Welford's update)."""
        if not math.isfinite(value):
            self.broken += 1
            return
        self.count += 1
        step = value - self.mean
        self.mean += step / self.count
        self._squares += step * (value - self.mean)
        self._share = self._share and 0.0 <= value <= 1.0

    def half_width(self) -> float:
        """Half the width of the interval; infinite for fewer than two values."""
        if self.count < 2:
            return math.inf
        n = self.count
        if not self._share:
            return _Z * math.sqrt(self._squares / (n - 1) / n)
        return _Z / (1 + _Z**2 / n) * math.sqrt(self._squares / n**2 + (_Z / (2 * n)) ** 2)

    def __str__(self) -> str:
        broken = f" ({self.broken} not finite)" if self.broken else ""
        if self.count < 2:
            return f"…{broken}"
        if not self._share:
            return f"{self.mean:.4g} ± {self.half_width():.2g}{broken}"
        half = 100 * self.half_width()
        digits = 1 if half >= 0.1 else 2 if half >= 0.01 else 3
        return f"{100 * self.mean:.{digits}f} % ± {half:.{digits}f}{broken}"


def duration(seconds: float) -> str:
    """A time as people say it.

    Examples:
        >>> duration(8.2), duration(75), duration(7380)
        ('8 s', '1 min 15 s', '2 h 3 min')
    """
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def _join(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _somebody_looks() -> bool:
    """A terminal, or a notebook, whose standard error is none."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def _bar(label: str, total: int, done: int) -> Any:
    try:
        from tqdm.auto import tqdm  # noqa: PLC0415 - optional, and slow to import
    except ImportError:
        return None
    return tqdm(
        desc=label, total=total, initial=done, smoothing=_SMOOTHING, leave=False, dynamic_ncols=True
    )
