"""Random streams: a pure function of seed, trial, tensor name and purpose."""

import hashlib
from dataclasses import dataclass
from enum import Enum
from numbers import Integral
from struct import unpack_from
from typing import Any, TypeGuard, final

import numpy as np

from clipact.errors import FaultError


@final
@dataclass(frozen=True)
class Draw:
    """What a draw is a pure function of, besides the spaces.

    Attributes:
        seed: Which series of trials.
        trial: Which trial of the series.
        forward: Which forward pass of the trial, for faults drawn anew in each; else None.
        sample: Which sample of the evaluation, for faults drawn anew for each; else None.
        part: Which part of a combination of fault models. All parts but the first have streams of their own.
    """

    seed: int
    trial: int
    forward: int | None = None
    sample: int | None = None
    part: int = 0


class Purpose(Enum):
    """What a stream is drawn for. Each purpose has a stream of its own, so that one never shifts the other."""

    COUNT = 0
    ADDRESS = 1
    PAYLOAD = 2
    ORDER = 3


class Streams:
    """The random streams of one draw, a stream for each name and purpose.

    Philox (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) turns a key and a counter into
    random bits. The key is the start of the SHA-256 of the draw and the name; the purpose is the counter's highest word:
    streams are independent for every practical purpose, and none needs another to be drawn first.
    """

    def __init__(self, draw: Draw) -> None:
        self._series = _series(draw)
        self._philox = np.random.Philox(key=0)
        self._generator = np.random.Generator(self._philox)
        self._start: Any = dict(self._philox.state)

    def start(self, name: str, purpose: Purpose) -> np.random.Generator:
        """The stream from its start. There is one generator, so whichever was started last is what it draws from."""
        digest = hashlib.sha256(f"{self._series}{name}".encode()).digest()
        counter = (0, 0, 0, purpose.value)
        self._start["state"] = {"key": unpack_from("<2Q", digest), "counter": counter}
        self._philox.state = self._start
        return self._generator


def _series(draw: Draw) -> str:
    """What stands before the name; never the start of another one."""
    if draw.forward is None and draw.sample is None and draw.part == 0:
        return f"{draw.seed}/{draw.trial}/"
    finer = ("" if n is None else str(n) for n in (draw.forward, draw.sample, draw.part))
    return f"{draw.seed}/{draw.trial}:{':'.join(finer)}/"


def check_seed(seed: int, trial: int) -> None:
    """Refuse what is not a seed and a trial number.

    Raises:
        FaultError: Either is not an integer, or the trial is negative.
    """
    for what, value in (("seed", seed), ("trial", trial)):
        if not is_integer(value):
            raise FaultError(f"{what}={value!r} is a {type(value).__name__}; give an integer")
    if trial < 0:
        raise FaultError(f"trial={trial} is negative; trials are numbered from 0")


def is_integer(value: object) -> TypeGuard[int]:
    """Whether this is an integer, of Python or NumPy; ``True`` and ``False`` are not."""
    return not isinstance(value, bool) and isinstance(value, Integral)
