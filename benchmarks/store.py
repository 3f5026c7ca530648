"""A million trials are stored, read and summarised in 22 s, with 0.9 GiB of memory at most, 0.5 of which torch takes.

Every trial has 8 metrics and one kept fault. Stored in 12.0 s (83,000 a second, 1,000 a transaction, each on the disk before
the next; 160 MiB), read in 8.6 s, summarised in 1.7 s; together 12.4 s of processor time. The csv module takes 1.8 times as
long with each thousand on the disk, and 1.3 times if it is left to the system when lines get there. One run on a 2-core
machine (AMD EPYC) with other work on it; SQLite 3.40.1, NumPy 2.4.6, Python 3.11. Run it as `python benchmarks/store.py`.
"""

import argparse
import csv
import os
import resource
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np

from clipact.faults import BitFlip, Fault, Native, Store, Trial
from clipact.faults._store import Identity

BATCH = 1000
RATIOS = ("accuracy", "sdc", "due", "critical")
NUMBERS = ("loss", "margin", "entropy", "distance")
FAULTS = (BitFlip(count=1), BitFlip(count=2))


def identity(rows):
    return Identity(
        weights="",
        data="",
        faults=FAULTS,
        target="Weights()",
        format=Native(),
        seed=0,
        trials=rows // 2,
        population=10**9,
        golden=dict.fromkeys((*RATIOS, *NUMBERS), 1.0),
        dtype="float32",
    )


def trials(rows):
    """Trials with 8 metrics, four of them shares of 500 images, and one kept fault each."""
    generator = np.random.default_rng(0)
    for fault in FAULTS:
        for start in range(0, rows // 2, BATCH):
            shares = generator.integers(0, 501, (BATCH, 4)) / 500
            values = np.hstack([shares, generator.normal(size=(BATCH, 4))]).tolist()
            for number, row in enumerate(values, start):
                flip = Fault(
                    f"layer{number % 50}.conv.weight", number, number % 32, "flip", 0.5, -0.5
                )
                metrics = dict(zip((*RATIOS, *NUMBERS), row, strict=True))
                yield Trial(number, fault, metrics, 0.01, 1, f"{number:016x}", None, (flip,))


def batches(rows):
    rest = trials(rows)
    while some := list(islice(rest, BATCH)):
        yield some


class Clock:
    """Seconds of the wall and of the processor, as they pass within blocks."""

    def __init__(self):
        self.wall = self.processor = 0.0

    def __enter__(self):
        self._start = time.perf_counter(), time.process_time()

    def __exit__(self, *_):
        wall, processor = self._start
        self.wall += time.perf_counter() - wall
        self.processor += time.process_time() - processor

    def __str__(self):
        return f"{self.wall:.1f} s, {self.processor:.1f} s of processor time"


def store(path, rows):
    """Put the trials into a store, batch by batch."""
    clock = Clock()
    with Store.open(path, identity(rows)) as target:
        for some in batches(rows):
            with clock:
                target.add(some)
    return clock


def write_csv(path, rows, *, durable):
    """The same as lines of text; durable: every batch is on the disk before the next."""
    clock = Clock()
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        for some in batches(rows):
            with clock:
                for t in some:
                    kept = [
                        f"{f.tensor}/{f.index}/{f.bit}/{f.kind}/{f.before}/{f.after}"
                        for f in t.faults
                    ]
                    fixed = (t.seconds, t.flips, t.digest, t.error, *kept)
                    writer.writerow([t.trial, str(t.fault), *t.metrics.values(), *fixed])
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
    return clock


def megabytes():
    """The most memory of this process so far (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    print(f"before: {megabytes():.0f} MiB of memory")
    with tempfile.TemporaryDirectory() as folder:
        path, lines = Path(folder) / "run.sqlite", Path(folder) / "run.csv"
        stored = store(path, rows)
        print(
            f"stored: {stored}; {rows / stored.wall:,.0f} rows a second, {path.stat().st_size / 2**20:.0f} MiB"
        )
        read, summed = Clock(), Clock()
        with read:
            result = Store.read(path)
        with summed:
            text = str(result.summary())
        print(f"read: {read}")
        print(f"summarised: {summed}")
        print(
            f"all: {stored.wall + read.wall + summed.wall:.1f} s; {megabytes():.0f} MiB of memory at most"
        )
        for durable in (False, True):
            written = write_csv(lines, rows, durable=durable)
            how = "each batch on the disk" if durable else "left to the system"
            ratio = f"stored / CSV: {stored.wall / written.wall:.2f}, processor {stored.processor / written.processor:.2f}"
            print(f"CSV, {how}: {written}, {lines.stat().st_size / 2**20:.0f} MiB; {ratio}")
    print(text)


if __name__ == "__main__":
    main()
