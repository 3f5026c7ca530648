r"""A single-bit weight fault costs 0.29 of an inference; MRFI 2.1.0 takes 1.09, PyTorchFI 0.6.0 1.29, `replay=False` 1.08.

    python benchmarks/faults.py --write docs/guide/_faults_cpu.md

One trial at a bit error rate of 1e-5 costs 1.09 clean inferences (`inject()`) and 1.05 (in a campaign), MRFI 1.23, a copy of the
model 1.9, PyTorchFI 4.5, a random number for each bit 91. Of single faults in activations, each in a sample of its own, there are 34
to an inference, with PyTorchFI 45 and with MRFI 60, which puts those of one inference into one layer; one inference a fault, by
hand: 1. AMD EPYC, an inference 33 ms, 5 rounds, torch 2.14.1, November 2026. 100 trials include what a campaign does once:
golden runs, recording, checks; of longer ones less is that.

Every figure is processor time over that of a clean inference in the same round: ResNet-18, fp32, 64 images of 32x32, one
thread; rows take turns, medians over rounds. Memory is the highest resident size beyond that of a clean inference, in a
process of its own (Linux only).

The other tools are no dependencies of clipact; a row is left out where its tool is not installed. For a scratch environment that
uses the packages of the one clipact is developed in:

    python3.11 -m venv /tmp/peers
    echo "import site; site.addsitedir('$PWD/.venv/lib/python3.11/site-packages')" \
        > /tmp/peers/lib/python3.11/site-packages/development.pth
    /tmp/peers/bin/pip install mrfi==2.1.0 pytorchfi==0.6.0
    /tmp/peers/bin/python benchmarks/faults.py

Each is used in its cheapest way that gives right results; `_mrfi.py` and `_pytorchfi.py` say which, and what they cannot do.
"""

import argparse
import importlib
import re
import statistics
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import _injectors as own
import torch
import torchvision
from _measure import about, spread
from torch import nn

from clipact import faults
from clipact.where import of_type

MEMORY_TRIALS = 10


def peer(name):
    """The adapter of a tool, or None where it is not installed."""
    try:
        version(name)
    except PackageNotFoundError:
        return None
    return importlib.import_module(f"_{name}")


MRFI, PYTORCHFI = peer("mrfi"), peer("pytorchfi")

CONVOLUTIONS = faults.Activations(where=of_type(nn.Conv2d))
RATES = {
    "clipact, `inject()`": own.rate_inject,
    "clipact, in a campaign": own.rate_campaign,
    "MRFI": MRFI and MRFI.rate,
    "deep copy, exclusive or by hand": own.rate_copy,
    "PyTorchFI, exclusive or by the user": PYTORCHFI and PYTORCHFI.rate,
    "a random number for each bit": own.rate_mask,
}
WEIGHTS = {
    "clipact": own.clipact(faults.Weights()),
    "clipact, `replay=False`": own.clipact(faults.Weights(), replay=False),
    "flip in place, infer, flip back, by hand": own.weight_in_place,
    "MRFI": MRFI and MRFI.weight,
    "deep copy, exclusive or by hand": own.weight_copy,
    "PyTorchFI": PYTORCHFI and PYTORCHFI.weight,
}
ACTIVATIONS = {
    "clipact, `per_sample=True`": own.clipact(CONVOLUTIONS, per_sample=True),
    "the same, `replay=False`": own.clipact(CONVOLUTIONS, per_sample=True, replay=False),
    "hook, one inference a fault, by hand": own.activation_hook,
    "MRFI": MRFI and MRFI.activation,
    "PyTorchFI": PYTORCHFI and PYTORCHFI.activation,
}
TITLES = {
    "weights": "single-bit faults in weights, uniform over bits",
    "activations": "single-bit faults in what convolutions give, each in one sample",
}
TABLES = {"rates": RATES, "weights": WEIGHTS, "activations": ACTIVATIONS}


def subject(size):
    """The model and its input, the same every time."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    return torchvision.models.resnet18().eval(), torch.randn(64, 3, size, size)


def bound(table, size):
    """Each row that can run, bound to a model of its own."""
    return {name: bind(*subject(size)) for name, bind in TABLES[table].items() if bind is not None}


def clean_seconds(model, images, times):
    """Processor seconds of one inference, the median of several in a row."""
    run = own.timed(lambda _: model(images))
    return statistics.median(run(number) for number in range(times))


def trial_ratios(rounds, size):
    """Of each row of rates, trial / clean inference in each round: medians of three in a row, or one of a slow row."""
    runs, (model, images) = bound("rates", size), subject(size)
    found, again = {name: [] for name in runs}, {}
    for name, run in runs.items():
        again[name] = 1 if run(0) > 50 * clean_seconds(model, images, 3) else 3
    for round_ in range(rounds):
        for name, run in runs.items():
            clean = clean_seconds(model, images, 3)
            seconds = [run(3 * round_ + number) for number in range(again[name])]
            found[name].append(statistics.median(seconds) / clean)
    return found


def campaign_ratios(table, trials, rounds, size):
    """Of each row, a campaign / clean inference in each round, and the median seconds of a clean inference."""
    runs, (model, images) = bound(table, size), subject(size)
    found, cleans = {name: [] for name in runs}, []
    for run in runs.values():
        run(2)
    for _ in range(rounds):
        for name, run in runs.items():
            clean = clean_seconds(model, images, 5)
            start = time.process_time()
            run(trials)
            found[name].append((time.process_time() - start) / clean)
            cleans.append(clean)
    return found, statistics.median(cleans)


def peak(table, name, size):
    """MiB of resident memory at most, of a row beyond clean inference (Linux only)."""
    model, images = subject(size)

    def highest(call):
        call()  # what is loaded on first use is not the cost of a trial
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        call()
        return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024

    clean = highest(lambda: [model(images) for _ in range(MEMORY_TRIALS)])
    run = TABLES[table][name](model, images)
    if table == "rates":
        return highest(lambda: [run(trial) for trial in range(MEMORY_TRIALS // 3)]) - clean
    return highest(lambda: run(MEMORY_TRIALS)) - clean


def peaks(table, size):
    """Of each row, in a process of its own."""
    found = {}
    for name, bind in TABLES[table].items():
        if bind is not None:
            command = [sys.executable, __file__, "--size", str(size), "--peak", table, name]
            found[name] = float(subprocess.check_output(command))
    return found


def rate_table(rounds, size):
    ratios, memory = trial_ratios(rounds, size), peaks("rates", size)
    lines = ["| one trial at a bit error rate of 1e-5 | over a clean inference | MiB more |"]
    lines += ["|---|---|---|"]
    lines += [f"| {name} | {spread(ratios[name])} | {memory[name]:.1f} |" for name in ratios]
    return "\n".join(lines)


def campaign_table(table, trials, rounds, size):
    ratios, clean = campaign_ratios(table, trials, rounds, size)
    memory = peaks(table, size)
    head = f"| {trials} {TITLES[table]} | seconds per 100 | inferences a trial | trials an inference | MiB more |"
    lines = [head, "|---|---|---|---|---|"]
    for name, found in ratios.items():
        each = [value / trials for value in found]
        per, memory_ = statistics.median(each), memory[name]
        cells = [name, f"{100 * per * clean:.2f}", f"{per:.3f}", f"{1 / per:.1f}", f"{memory_:.1f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def heading(rounds, size):
    """Where and with what, and which tools are missing."""
    tools = {"clipact": "clipact", "MRFI": "mrfi", "PyTorchFI": "pytorchfi"}
    missing = [
        name for name, module in {"MRFI": MRFI, "PyTorchFI": PYTORCHFI}.items() if not module
    ]
    there = [f"{name} {version(package)}" for name, package in tools.items() if name not in missing]
    left_out = f" Left out, not installed: {', '.join(missing)}." if missing else ""
    return (
        f"{about(torch.device('cpu'), 1, rounds)} ResNet-18 fp32, 64 images of {size}x{size};"
        f" {', '.join(there)}. Processor time, a clean inference = 1.{left_out}"
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=100, help="of a campaign of weight faults")
    parser.add_argument("--size", type=int, default=32, help="of an image")
    parser.add_argument("--write", type=Path, help="write the tables to this file")
    parser.add_argument("--peak", nargs=2, help="only the memory of one row, in this process")
    options = parser.parse_args()
    rounds, size = options.rounds, options.size
    with torch.no_grad():
        if options.peak:
            print(peak(*options.peak, size))
            return
        tables = []
        if "rates" in options.tables:
            tables.append(rate_table(rounds, size))
        if "weights" in options.tables:
            tables.append(campaign_table("weights", options.trials, rounds, size))
        if "activations" in options.tables:
            tables.append(campaign_table("activations", 640, rounds, size))
    text = "\n\n".join([heading(rounds, size), *tables]) + "\n"
    print(text)
    if options.write:
        options.write.write_text(text)


if __name__ == "__main__":
    main()
