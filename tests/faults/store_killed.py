"""A writer of a store that is killed at random, again and again; prints what it acknowledged, round by round.

Run by test_store_killed.py as a program of its own, because it forks.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from clipact.faults import BitFlip, Fault, Native, Trial
from clipact.faults._store import Identity, Store

BATCH = 7
FAULTS = (BitFlip(count=1), BitFlip(count=2))
IDENTITY = Identity(
    weights="ab",
    data="60 samples",
    faults=FAULTS,
    target="Weights()",
    format=Native(),
    seed=0,
    trials=100_000,
    population=320,
    golden={"accuracy": 1.0},
    dtype="float32",
)


def trial(number, fault):
    kept = (Fault(f"layer{number % 5}.weight", number, 3, "flip", 0.5, -0.5),) * (number % 3)
    return Trial(
        number, FAULTS[fault], {"accuracy": 1 / (1 + number)}, 0.1, 1, f"{number}", None, kept
    )


def write(path, acknowledge):
    """Batch after batch, of one fault model and the other; each is acknowledged when it is stored."""
    with Store.open(path, IDENTITY) as store:
        starts = [store.done(fault).size for fault in (0, 1)]
        while True:
            for fault in (0, 1):
                numbers = range(starts[fault], starts[fault] + BATCH)
                store.add([trial(n, fault) for n in numbers])
                os.write(acknowledge, f"{fault} {numbers.stop}\n".encode())
                starts[fault] += BATCH


def killed(path, seconds, *, begun):
    """What a writer acknowledged before it was killed, so long after its start or, if begun, its first batch."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        write(path, writer)
    os.close(writer)
    with os.fdopen(reader) as file:
        lines = [file.readline()] if begun else []
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return [tuple(map(int, line.split())) for line in (*lines, *file)]


def main():
    path, rounds, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    generator = random.Random(seed)
    found = [killed(path, generator.uniform(0.0, 0.02), begun=False) for _ in range(rounds)]
    found += [killed(path, generator.uniform(0.0, 0.1), begun=True) for _ in range(rounds)]
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
