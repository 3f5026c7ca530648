"""A trial of weight faults in a campaign takes 1.06 times a clean inference, and 2.9 MiB more memory.

Inject, infer, restore: 3,738 flips on average in the 11.7 M weights of a ResNet-18 (bit error rate 1e-5), 64 images of
32x32, one thread: 1.9 ms beside an inference of 31.5 ms. A single `inject()`, which also finds the target's tensors and makes
the table of faults, costs 1.12. Medians of 60 interleaved rounds in processor time on a nearly idle 2-core machine (AMD
EPYC); torch 2.14.1, Python 3.11. Run it as `python benchmarks/injection.py` (memory on Linux only).
"""

import argparse
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
import torchvision

from clipact import faults

RATE = 1e-5
SHAPE = (64, 3, 32, 32)


def subject():
    """The model and its input, the same every time."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    return torchvision.models.resnet18().eval(), torch.randn(SHAPE)


def ratios(rounds):
    """Of each round, (inject + inference + restore) / clean inference, and the milliseconds of both."""
    model, images = subject()
    found = []
    with torch.no_grad():
        for trial in range(-5, rounds):
            start = time.process_time()
            model(images)
            middle = time.process_time()
            with faults.inject(
                model, faults.BitFlip(rate=RATE), faults.Weights(), trial=abs(trial)
            ) as record:
                entered = time.process_time()
                model(images)
                left = time.process_time()
            end = time.process_time()
            clean, faulty = middle - start, end - middle
            extra = entered - middle + end - left
            if trial >= 0:
                found.append((faulty / clean, clean * 1e3, extra * 1e3, len(record)))
    return found


def campaign_ratio(rounds):
    """The same in a campaign, which looks its tensors up once: processor time from inference to inference."""
    model, images = subject()
    starts, ends = [], []

    def evaluate(net):
        starts.append(time.process_time())
        net(images)
        ends.append(time.process_time())
        return 0.0

    faults.Campaign(
        model, evaluate, fault=faults.BitFlip(rate=RATE), target=faults.Weights(), trials=rounds
    ).run(progress=False)
    inference = [end - start for start, end in zip(starts, ends, strict=True)]
    between = [start - end for start, end in zip(starts[2:-1], ends[1:-2], strict=True)]
    return 1.0 + statistics.median(between) / statistics.median(inference)


def peak(rounds):
    """Peak resident memory in KiB of clean inference, and of inference with injection around it (Linux only)."""
    model, images = subject()

    def clean(_):
        model(images)

    def faulty(trial):
        with faults.inject(model, faults.BitFlip(rate=RATE), faults.Weights(), trial=trial):
            model(images)

    found = []
    with torch.no_grad():
        for run in (clean, faulty):
            run(0)  # what is loaded on first use is not the cost of a trial
            Path("/proc/self/clear_refs").write_text(
                "5"
            )  # the peak starts anew from what is resident
            for trial in range(rounds):
                run(trial)
            found.append(
                int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])
            )
    return found


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--peak", action="store_true", help="only the memory, in this process")
    arguments = parser.parse_args()
    if arguments.peak:
        print(*peak(arguments.rounds))
        return
    found = ratios(arguments.rounds)
    print(f"trial / clean inference: {statistics.median(row[0] for row in found):.3f}")
    print(f"the same in a campaign: {campaign_ratio(arguments.rounds):.3f}")
    print(f"clean inference: {statistics.median(row[1] for row in found):.1f} ms of processor time")
    print(f"inject + restore: {statistics.median(row[2] for row in found):.1f} ms")
    print(f"faults a trial: {statistics.mean(row[3] for row in found):.0f}")
    command = [sys.executable, __file__, "--peak", "--rounds", "10"]
    grown = []
    for _ in range(3):
        clean, faulty = map(int, subprocess.check_output(command).split())
        grown.append(faulty - clean)
    print(f"extra peak memory: {statistics.median(grown) / 1024:.1f} MiB")


if __name__ == "__main__":
    main()
