"""ProAct's thresholds in 103 seconds of one thread; 16 times as long without cache and early ends, 2.6 without the cache.

    python benchmarks/proact.py --write docs/guide/_proact_cpu.md

trains the thresholds of the VGG-style network (0.54 M parameters, CIFAR-10 (JPEG)): on ``--train`` images with ProAct as
it is, for its time and its history, and on ``--small`` images with and without what makes it fast, for the ratios. All of
them have the procedure's full length (15 epochs for a threshold a layer, 105 for thresholds a neuron). "Without early
ends" also tries all 11 decays at each stage, which is most of what it costs; "without cache" computes the whole model in
every step. Seconds are those of the processor, one thread, but for those of the history, which are by the clock. What is
done is kept in ``benchmarks/_cache/proact`` and not done again. Larger: ``--train 45000 --validate 5000 --device cuda``.

AMD EPYC, one thread, two busy processors, torch 2.14.1, one seed, November 2026.
"""

import argparse
import datetime
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from _data import CACHE, Data, batches
from _measure import machine, synchronize
from _subjects import trained
from torch import nn

import clipact as ca

VARIANTS = {
    "as it is": ca.methods.ProAct(),
    "without cache": ca.methods.ProAct(cache=0),
    "without early ends": ca.methods.ProAct(early=None),
    "without either": ca.methods.ProAct(early=None, cache=0),
}


def run(
    model: nn.Module, data: Data, method: ca.methods.ProAct, batch: int, device: torch.device
) -> dict:
    """Train the thresholds and put the model back; times, history, thresholds."""
    model.to(device)
    sets = [batches(part, size) for part, size in ((data.train, batch), (data.validate, 250))]
    synchronize(device)
    wall, processor = time.perf_counter(), time.process_time()
    receipt = ca.protect(model, method, *sets, progress=False)
    synchronize(device)
    found = {
        "seconds": time.process_time() - processor
        if device.type == "cpu"
        else time.perf_counter() - wall,
        "wall": time.perf_counter() - wall,
        "history": list(receipt.history),
        "thresholds": {name: each.tolist() for name, each in ca.thresholds(model).items()},
    }
    receipt.restore()
    return found


def kept(name: str, compute) -> dict:
    """What was computed before, or what is computed now."""
    path = CACHE / "proact" / f"{name.replace(' ', '_')}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(compute()))
    return json.loads(path.read_text())


def largest_difference(one: dict, other: dict) -> float:
    """Of the thresholds, relative to the mean of their layer."""
    pairs = [(torch.tensor(one[name]), torch.tensor(other[name])) for name in one]
    return max(float((a - b).abs().mean() / b.abs().mean()) for a, b in pairs)


def ratios(model: nn.Module, data: Data, options: argparse.Namespace) -> Iterator[str]:
    small = data.smaller(train=options.small, validate=100)
    found = {
        name: kept(
            f"{options.device.type}-{options.small}-{name}",
            lambda m=method: run(model, small, m, options.small // 2, options.device),
        )
        for name, method in VARIANTS.items()
    }
    base = found["as it is"]
    yield f"| {options.small} images | seconds | times as long | epochs | thresholds differ by |"
    yield "|---|---:|---:|---:|---:|"
    for name, each in found.items():
        epochs = sum(row["epochs"] for row in each["history"])
        apart = largest_difference(each["thresholds"], base["thresholds"])
        shown = "no bit" if each["thresholds"] == base["thresholds"] else f"{apart:.2%}"
        yield f"| {name} | {each['seconds']:.0f} | {each['seconds'] / base['seconds']:.1f} | {epochs} | {shown} |"


def history(found: dict) -> Iterator[str]:
    yield "| stage | thresholds | decay | accuracy | drop | accepted | epochs | mean, relative | seconds by the clock |"
    yield "|---|---:|---:|---:|---:|---|---:|---:|---:|"
    for row in found["history"]:
        verdict = "yes" if row["accepted"] else "no"
        yield f"| `{row['stage']}` | {row['thresholds']} | {row['decay']:g} | {row['accuracy']:.2%} | {100 * row['drop']:.2f} points | {verdict} | {row['epochs']} | {row['scale']:.2f} | {row['seconds']:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--train", type=int, default=2000, help="training images")
    parser.add_argument("--validate", type=int, default=1000, help="held-out images")
    parser.add_argument("--batch", type=int, default=125)
    parser.add_argument("--small", type=int, default=48, help="images for the ratios")
    parser.add_argument("--write", type=Path, help="write the tables to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model, data = trained("vgg")
    parameters = sum(p.numel() for p in model.parameters())
    part = data.smaller(train=options.train, validate=options.validate)
    name = f"{options.device.type}-{options.train}-{options.validate}-{options.batch}"
    full = kept(
        name, lambda: run(model, part, replace(VARIANTS["as it is"]), options.batch, options.device)
    )
    where = f"{machine(options.device)}, {options.threads} thread{'s' * (options.threads > 1)}, torch {torch.__version__}, {datetime.date.today()}"
    text = "\n".join(
        [
            f"{where}. VGG style, {parameters / 1e6:.2f} M parameters, {data.name}; one seed.",
            "",
            f"ProAct on {options.train:,} training and {options.validate:,} held-out images: **{full['seconds']:.0f} seconds** of one thread ({full['wall']:.0f} by the clock, on processors busy with other work).",
            "",
            *history(full),
            "",
            f"What it saves, all variants on the same {options.small} training and 100 held-out images:",
            "",
            *ratios(model, data, options),
            "",
        ]
    )  # fmt: skip
    print(text)
    if options.write:
        options.write.write_text(text)


if __name__ == "__main__":
    main()
