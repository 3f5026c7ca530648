"""Networks that spike once against ReLU, a fixed threshold and snntorch's Leaky: accuracy, spikes, energy, time.

``python benchmarks/spiking.py`` trains what is not trained yet (checkpoints and results in benchmarks/_cache) and prints the
tables of docs/guide/_spiking_cpu.md. ``--data digits fashion cifar10 …``, ``--nets vgg resnet``, ``--seeds``, ``--images``,
``--epochs``, ``--width`` and ``--device`` scale it. ``--stored --write`` makes the tables of what is there, and trains nothing.
All networks of a table have the same body, recipe, data and seeds.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from _data import CACHE, Data, cifar10, digits, fashion_mnist
from _fit import Recipe, accuracy, checkpoint, fit
from _spiking_nets import METHODS, learning_from, resnet, taught, vgg
from _spiking_tables import HEAD, Result, Timed, foot, measured, section, spike_rate
from torch import nn

from clipact.spiking import energy_report

OUT = Path(__file__).parents[1] / "docs" / "guide" / "_spiking_cpu.md"
NETS = {"vgg": vgg, "resnet": resnet}
SMALL = {"vgg": 16, "resnet": 16}


def four_fifths() -> Data:
    """The digits, of which every fifth is held out for the test."""
    data = digits()
    parts = (data.train, data.validate, data.test)
    images, labels = (torch.cat([part[place] for part in parts]) for place in (0, 1))
    cut = len(labels) * 4 // 5
    test = images[cut:], labels[cut:]
    return replace(data, train=(images[:cut], labels[:cut]), validate=test, test=test)


@dataclass(frozen=True)
class Setting:
    """What is trained on: data, how many images of it, width of each network, recipe, number of seeds."""

    title: str
    load: object
    images: int
    widths: dict[str, int]
    recipe: Recipe
    seeds: int


SETTINGS = {
    "digits": Setting("Digits", four_fifths, 2_000, SMALL, Recipe(40, peak=0.1, batch=64, crop=0, flip=False), 5),
    "fashion": Setting("Fashion-MNIST", fashion_mnist, 20_000, SMALL, Recipe(10, peak=0.1, batch=64, crop=0, flip=False), 3),
    "cifar10": Setting("CIFAR-10 (JPEG)", cifar10, 45_000, {"vgg": 64, "resnet": 32}, Recipe(6, peak=0.1), 1),
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """One table: a network on some data."""

    data: Data
    setting: Setting
    net: str
    device: torch.device

    @property
    def width(self) -> int:
        return self.setting.widths[self.net]

    def fresh(self, method: str, seed: int) -> nn.Module:
        torch.manual_seed(seed)
        size, chosen = self.data.test[0].shape[-1], METHODS[method]
        model = NETS[self.net](self.data.channels, size, self.data.classes, self.width, chosen.make, chosen.steps)  # fmt: skip
        return model.to(self.device)

    def name(self, method: str) -> str:
        return f"spiking_{self.net}{self.width}_{METHODS[method].key}"

    def path(self, method: str, seed: int) -> Path:
        return checkpoint(self.name(method), self.data, self.setting.recipe, seed)

    def trained(self, method: str, seed: int) -> nn.Module:
        if METHODS[method].taught:
            teacher = self.trained("ReLU", seed)
            images = self.data.train[0][:1000].to(self.device)
            model, loss = taught(teacher, METHODS[method].make, images), learning_from(teacher)
        else:
            model, loss = self.fresh(method, seed), None
        name, recipe = self.name(method), self.setting.recipe
        return fit(model, self.data, recipe, name=name, seed=seed, loss=loss)

    def result(self, method: str, seed: int, *, stored: bool) -> Result | None:
        """Of a finished training; None if there is none, and none is to be made."""
        kept = CACHE / "spiking" / f"{self.path(method, seed).stem}.json"
        if kept.exists():
            return Result(**json.loads(kept.read_text()))
        if stored:
            return None
        model = self.trained(method, seed)
        images = self.data.test[0][:200].to(self.device)
        energy = energy_report(model, images[:50], unary=True).total().compute / 1e6
        found = Result(100 * accuracy(model, self.data.test), spike_rate(model, images), energy)
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(json.dumps(vars(found)))
        return found

    def text(self, methods: list[str], *, stored: bool) -> Iterator[str]:
        """The lines of the table, with what is finished; seed by seed, so that an early end leaves whole pairs."""
        results: dict[str, dict[int, Result]] = {method: {} for method in methods}
        for seed in range(self.setting.seeds):
            for method in methods:
                found = self.result(method, seed, stored=stored)
                if found:
                    results[method][seed] = found
        results = {method: by_seed for method, by_seed in results.items() if by_seed}
        if len(results) < 2:
            return
        layers = {method: self._timed(method, min(by_seed)) for method, by_seed in results.items()}
        batch = self.setting.recipe.batch
        times = measured(layers, self.data.train[0][:batch].to(self.device))
        recipe, shown = self.setting.recipe, len(self.data.train[1])
        yield (
            f"{self.setting.title}, {self.net}, width {self.width}, {shown:,} training images,"
            f" {recipe.epochs} epochs, {len(self.data.test[1]):,} test images:\n"
        )
        yield from section(results, times, steps=shown // batch)

    def _timed(self, method: str, seed: int) -> Timed:
        state = torch.load(self.path(method, seed), weights_only=True)
        return Timed(self.trained(method, seed), state["bfloat16"])


def scaled(setting: Setting, asked: argparse.Namespace) -> Setting:
    """With what the command line asks for."""
    return replace(
        setting,
        seeds=asked.seeds or setting.seeds,
        images=asked.images or setting.images,
        widths=dict.fromkeys(NETS, asked.width) if asked.width else setting.widths,
        recipe=replace(setting.recipe, epochs=asked.epochs or setting.recipe.epochs),
    )


def loaded(setting: Setting) -> Data:
    data = setting.load()
    if setting.images < len(data.train[1]):
        return data.smaller(train=setting.images, validate=1000, test=len(data.test[1]))
    return data


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--data", nargs="*", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--nets", nargs="*", choices=NETS, default=["vgg"])
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--images", type=int, help="training images")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--width", type=int)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--stored", action="store_true", help="train nothing")
    parser.add_argument("--write", action="store_true", help=f"write {OUT.name}, too")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    lines = []
    for name in asked.data:
        setting = scaled(SETTINGS[name], asked)
        data = loaded(setting)
        for net in asked.nets:
            found = list(Table(data, setting, net, asked.device).text(asked.methods, stored=asked.stored))  # fmt: skip
            print("\n".join(found), flush=True)
            lines += found
    text = "\n".join([HEAD, *lines, foot(asked.device)])
    print(text)
    if asked.write:
        OUT.write_text(text + "\n")


if __name__ == "__main__":
    main()
