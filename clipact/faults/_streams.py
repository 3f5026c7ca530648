"""Random streams: a pure function of seed, trial, tensor name and purpose."""

import hashlib
import json
from enum import Enum
from numbers import Integral

import numpy as np

from clipact.errors import FaultError


class Purpose(Enum):
    """What a stream is drawn for. Each purpose has a stream of its own, so that one never shifts the other."""

    COUNT = "count"
    ADDRESS = "address"


def stream(seed: int, trial: int, name: str, purpose: Purpose) -> np.random.Generator:
    """The random stream of one tensor in one trial.

    A Philox generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) whose 128-bit key is
    the start of the SHA-256 of the arguments: streams of different arguments are independent for every practical
    purpose, and none needs the others to be drawn first.
    """
    digest = hashlib.sha256(
        json.dumps([int(seed), int(trial), name, purpose.value]).encode()
    ).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest[:16], dtype=np.uint64)))


def check_seed(seed: int, trial: int) -> None:
    """Refuse what is not a seed and a trial number.

    Raises:
        FaultError: Either is not an integer, or the trial is negative.
    """
    for what, value in (("seed", seed), ("trial", trial)):
        if not isinstance(value, Integral) or isinstance(value, bool):
            raise FaultError(f"{what}={value!r} is a {type(value).__name__}; give an integer")
    if trial < 0:
        raise FaultError(f"trial={trial} is negative; trials are numbered from 0")
