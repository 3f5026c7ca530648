"""Networks that spike once against ReLU, a fixed threshold and snntorch's Leaky: accuracy, spikes, energy, time.

``python benchmarks/spiking.py`` trains what is not trained yet (checkpoints in benchmarks/_cache) and prints the table of
docs/guide/_spiking_cpu.md. ``--data digits fashion cifar10``, ``--seeds``, ``--images``, ``--epochs`` and ``--width``
scale it; ``--data cifar10 --net resnet`` takes residual networks. All networks of a table have the same body, recipe, data
and seeds. Intervals are Student's over seeds, of differences to ReLU with the same seed.
"""

import argparse
import math
import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from _data import Data, cifar10, digits, fashion_mnist
from _fit import Recipe, accuracy, fit, seconds
from _measure import machine
from _spiking_nets import FixedSpike, LeakySteps, Make, resnet, vgg
from scipy.stats import t
from torch import nn

from clipact.nn import HoyerSpike
from clipact.spiking import energy_report

OUT = Path(__file__).parents[1] / "docs" / "guide" / "_spiking_cpu.md"


@dataclass(frozen=True)
class Setting:
    """What is trained on: data, how many images of it, width of the network, recipe, number of seeds."""

    title: str
    load: object
    images: int
    width: int
    recipe: Recipe
    seeds: int


def four_fifths() -> Data:
    """The digits, of which every fifth is held out for the test."""
    data = digits()
    parts = (data.train, data.validate, data.test)
    images, labels = (torch.cat([part[place] for part in parts]) for place in (0, 1))
    cut = len(labels) * 4 // 5
    test = images[cut:], labels[cut:]
    return replace(data, train=(images[:cut], labels[:cut]), validate=test, test=test)


SETTINGS = {
    "digits": Setting("digits", four_fifths, 2_000, 16, Recipe(20, peak=0.1, batch=64, crop=1, flip=False), 5),
    "fashion": Setting("Fashion-MNIST", fashion_mnist, 30_000, 24, Recipe(5, peak=0.1, crop=2), 3),
    "cifar10": Setting("CIFAR-10 (JPEG)", cifar10, 45_000, 32, Recipe(6, peak=0.1), 1),
}  # fmt: skip
METHODS: dict[str, tuple[Make, int]] = {
    "ReLU": (lambda _: nn.ReLU(), 1),
    "Hoyer, 1 level": (HoyerSpike, 1),
    "Hoyer, 2 levels": (lambda c: HoyerSpike(c, levels=2), 1),
    "Hoyer, 4 levels": (lambda c: HoyerSpike(c, levels=4, v_threshold=2.0), 1),
    "fixed threshold": (lambda _: FixedSpike(), 1),
    "Leaky, T=1": (lambda _: LeakySteps(1), 1),
    "Leaky, T=4": (lambda _: LeakySteps(4), 4),
}
NETS = {"vgg": vgg, "resnet": resnet}


def train(data: Data, setting: Setting, net: str, method: str, seed: int):
    """The trained network, and its training seconds an epoch."""
    torch.manual_seed(seed)
    make, steps = METHODS[method]
    size = data.test[0].shape[-1]
    model = NETS[net](data.channels, size, data.classes, setting.width, make, steps)
    slug = method.replace(",", "").replace(" ", "_").replace("=", "")
    name = f"spiking_{net}{setting.width}_{slug}"
    fit(model, data, setting.recipe, name=name, seed=seed)
    return model, seconds(name, data, setting.recipe, seed) / setting.recipe.epochs


@torch.no_grad()
def spike_rate(model: nn.Module, images: torch.Tensor) -> float:
    """Share of activations that are not zero, of all activation layers together; of a Leaky, in all steps together."""
    counts = [0, 0]

    def see(layer, _inputs, output):
        steps = getattr(layer, "steps", 1)
        counts[0] += int(output.count_nonzero())
        counts[1] += output.numel() // steps

    kinds = (nn.ReLU, HoyerSpike, FixedSpike, LeakySteps)
    handles = [m.register_forward_hook(see) for m in model.modules() if isinstance(m, kinds)]
    model(images)
    for handle in handles:
        handle.remove()
    return counts[0] / counts[1]


@torch.no_grad()
def inference(model: nn.Module, images: torch.Tensor) -> float:
    """Processor seconds, the median of five."""
    times = []
    for _ in range(5):
        start = time.process_time()
        model(images)
        times.append(time.process_time() - start)
    return statistics.median(times)


def interval(values: list[float]) -> str:
    """Mean, and half of Student's 95 % interval where there are several."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return f"{mean:+.2f}"
    half = t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:+.2f} ± {half:.2f}"


def rows(data: Data, setting: Setting, net: str, methods: list[str]):
    """One row a method."""
    reference: list[float] = []
    clean = 0.0
    for method in methods:
        found, rates, energies, epochs, times = [], [], [], [], []
        for seed in range(setting.seeds):
            model, each = train(data, setting, net, method, seed)
            found.append(100 * accuracy(model, data.test))
            images = data.test[0][:200]
            report = energy_report(model, images[:50], unary=True)
            rates.append(spike_rate(model, images))
            energies.append(report.total().compute / 1e6)
            epochs.append(each)
            times.append(inference(model, images))
        reference = reference or found
        clean = clean or statistics.fmean(times)
        difference = interval([a - b for a, b in zip(found, reference, strict=True)])
        yield [
            method,
            f"{np.mean(found):.2f}",
            "" if found is reference else difference,
            f"{100 * np.mean(rates):.1f} %",
            f"{np.mean(energies):.2f}",
            f"{np.mean(epochs):.1f}",
            f"{np.mean(times) / clean:.2f}",
        ]


HEADER = ["activation", "accuracy", "minus ReLU", "not zero", "µJ an image", "s an epoch", "inference / ReLU"]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--data", nargs="*", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--net", choices=NETS, default="vgg")
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--images", type=int, help="training images")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--width", type=int)
    parser.add_argument("--write", action="store_true", help=f"write {OUT.name}, too")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    text = []
    for name in asked.data:
        setting = SETTINGS[name]
        setting = replace(
            setting,
            seeds=asked.seeds or setting.seeds,
            images=asked.images or setting.images,
            width=asked.width or setting.width,
            recipe=replace(setting.recipe, epochs=asked.epochs or setting.recipe.epochs),
        )
        data = setting.load()
        if setting.images < len(data.train[1]):
            data = data.smaller(train=setting.images, validate=1000, test=len(data.test[1]))
        text.append(
            f"{setting.title}, {asked.net}, width {setting.width}, {len(data.train[1]):,} training images, "
            f"{setting.recipe.epochs} epochs, {setting.seeds} seed{'s' * (setting.seeds > 1)}, {len(data.test[1]):,} test images:\n"
        )
        text += ["| " + " | ".join(HEADER) + " |", "|---|" + "---:|" * (len(HEADER) - 1)]
        print("\n".join(text[-3:]), flush=True)
        for row in rows(data, setting, asked.net, asked.methods):
            text.append("| " + " | ".join(row) + " |")
            print(text[-1], flush=True)
        text.append("")
    text.append(f"{machine(torch.device('cpu'))}, 1 thread, torch {torch.__version__}; energy: compute only, fp32 at 45 nm, levels as so many spikes.")  # fmt: skip
    print(text[-1])
    if asked.write:
        OUT.write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
