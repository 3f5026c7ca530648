"""What worker processes do in the tests; a module that they can import."""

import os
import signal
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Square:
    """Gives the square of a task, the process and its threads; leaves a trace of what it opens and closes."""

    folder: Path
    seconds: float = 0.0

    @contextmanager
    def open(self):
        mark = uuid.uuid4().hex
        (self.folder / f"opened-{os.getpid()}-{mark}").touch()
        yield self.perform
        (self.folder / f"closed-{os.getpid()}-{mark}").touch()

    def perform(self, task):
        time.sleep(self.seconds)
        return task * task, os.getpid(), torch.get_num_threads()


@dataclass(frozen=True)
class Killing:
    """Kills its own process in the middle of some tasks, as often as said; the square of the task else."""

    folder: Path
    tasks: tuple[int, ...]
    times: int = 1

    @contextmanager
    def open(self):
        yield self.perform

    def perform(self, task):
        time.sleep(0.005)
        if task in self.tasks:
            tries = len(list(self.folder.glob(f"try-{task}-*")))
            (self.folder / f"try-{task}-{tries}").touch()
            if tries < self.times:
                os.kill(os.getpid(), signal.SIGKILL)
        return task * task


@dataclass(frozen=True)
class Doing:
    """Does with each task what a function does."""

    function: object

    @contextmanager
    def open(self):
        yield self.function


class Unopened:
    """Cannot be opened."""

    @contextmanager
    def open(self):
        raise FileNotFoundError("no weights")
        yield


def fail(task):
    raise ValueError(f"cannot do {task}")


def exit_(task):
    raise SystemExit(f"asked to leave by {task}")


def large(task):
    return bytes([task]) * 300_000


def unpicklable(task):
    return lambda: task


def flip_and_measure(shipped, barrier, sizes):
    """Load a model, use and change each tensor, and say by how many MB this process grew and what is only its own."""
    before = _own("Anonymous")
    loaded = shipped.load()
    for parameter in loaded.objects.parameters():
        parameter.detach().sum()
        parameter.detach()[0, 0] += 1.0
    barrier.wait()
    sizes.put((_own("Anonymous") - before, _own("Private_Clean") + _own("Private_Dirty")))
    barrier.wait()


def _own(name):
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(name)
