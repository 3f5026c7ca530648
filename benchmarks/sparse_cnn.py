"""A residual network on CIFAR-10 whose hidden activations are 85 % zeros, against the same network with ReLU.

    python benchmarks/sparse_cnn.py --variants relu raised --seeds 0 1 --write docs/guide/_sparse_cnn_cpu.md

A pre-activation ResNet (convolutions read what an activation gave, behind batch normalisation), so that every convolution but the
first has a sparse input. Its thresholds are held at the wanted sparsity by ca.sparsity.hold_sparsity: from the beginning ("held"), or
rising from 50 % over the first half of the training, with one threshold a layer ("raised") or one a channel ("channels"), or over the
first four fifths ("late"). Each training leaves a checkpoint in benchmarks/_cache; --variants and --seeds choose what is trained now, and the table shows all that was asked for.
"""

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from _data import Data, batches, cifar10
from _fit import Recipe, accuracy, fit
from _measure import machine
from torch import Tensor, nn

import clipact as ca

RISING = {
    "raised": 0.5,
    "late": 0.8,
    "channels": 0.5,
    "global": 0.5,
}  # over this share of the training
START = 0.5  # sparsity of a ReLU
Make = Callable[[int], nn.Module]  # of the number of channels
EXTRA = 0.005  # above what is wanted, since evaluation does not give quite the sparsity of training


class Block(nn.Module):
    """Normalise, activate, convolve; twice; and add."""

    def __init__(self, channels: int, width: int, stride: int, activation: Make) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(width)
        self.act1, self.act2 = activation(channels), activation(width)
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.skip = nn.Conv2d(channels, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act1(self.norm1(x))
        return self.skip(x) + self.conv2(self.act2(self.norm2(self.conv1(x))))


class Net(nn.Module):
    """1.2 million weights at width 32.

    The state of a controller is part of its own, so that a training that was interrupted goes on with the same bits.
    """

    def __init__(self, activation: Make, channels: int, classes: int, width: int = 32) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, width, 3, 1, 1, bias=False), nn.MaxPool2d(2))
        widths = (width, 2 * width, 4 * width, 8 * width)
        self.blocks = nn.Sequential(
            *(Block(a, b, stride, activation) for a, b, stride in zip(widths, widths[1:], (1, 2, 2), strict=False))
        )  # fmt: skip
        self.norm, self.act = nn.BatchNorm2d(widths[-1]), activation(widths[-1])
        self.head = nn.Linear(widths[-1], classes)
        self.__dict__["controller"] = None

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm(self.blocks(self.stem(x))))
        return self.head(x.mean((2, 3)))

    def get_extra_state(self) -> Any:
        return self.controller.state_dict() if self.controller else {}

    def set_extra_state(self, state: Any) -> None:
        if self.controller:
            self.controller.load_state_dict(state)


ACTIVATIONS: dict[str, Make] = {
    "relu": lambda _: nn.ReLU(),
    "held": lambda _: ca.nn.ShiftedReLU(0.0),
    "raised": lambda _: ca.nn.ShiftedReLU(0.0),
    "late": lambda _: ca.nn.ShiftedReLU(0.0),
    "global": lambda _: ca.nn.ShiftedReLU(0.0),
    "channels": lambda channels: ca.nn.ShiftedReLU(torch.zeros(channels, 1, 1)),
}


def train(variant: str, seed: int, data: Data, options: argparse.Namespace) -> nn.Module:
    recipe = Recipe(epochs=options.epochs, peak=0.15)
    steps = options.epochs * (len(data.train[1]) // recipe.batch)
    torch.manual_seed(seed)
    net = Net(ACTIVATIONS[variant], data.channels, data.classes, options.width)
    wanted = options.sparsity + EXTRA
    if variant in RISING:
        wanted = ca.schedules.linear(START, wanted, steps=round(RISING[variant] * steps))
    if variant != "relu":
        budget = "global" if variant == "global" else "layer"
        net.__dict__["controller"] = ca.sparsity.hold_sparsity(net, wanted, budget=budget)

    def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        if (
            model is net and net.controller
        ):  # after the last step of the optimizer; not on a trial copy
            net.controller.step()
        return F.cross_entropy(model(images), labels, label_smoothing=recipe.smoothing)

    fit(net, data, recipe, name=name(variant, options), seed=seed, loss=loss)
    if net.controller:
        net.controller.close()
    return net


def name(variant: str, options: argparse.Namespace) -> str:
    wanted = "" if variant == "relu" else f"_{100 * options.sparsity:g}"
    return f"sparse_cnn_{options.width}_{variant}{wanted}"


def measure(net: nn.Module, data: Data) -> tuple[float, ca.sparsity.SparsityTable]:
    """Accuracy on the test images, and the sparsity of every activation over 1,000 of them."""
    with torch.no_grad(), ca.sparsity.SparsityMeter(net) as meter:
        for images, _ in batches(data.smaller(test=1000).test, 250):
            net(images.contiguous(memory_format=torch.channels_last))
    return accuracy(net, data.test), meter.table()


def row(variant: str, data: Data, options: argparse.Namespace) -> str:
    found = [measure(train(variant, seed, data, options), data) for seed in options.seeds]
    percents = [100 * value for value, _ in found]
    spread = f" ({', '.join(f'{value:.1f}' for value in percents)})" if len(percents) > 1 else ""
    tables = [table for _, table in found]
    total = statistics.mean(table.sparsity for table in tables)
    least = min(each.sparsity for table in tables for each in table)
    dead = statistics.mean(sum(each.dead for each in table) for table in tables)
    cells = [variant, f"{statistics.mean(percents):.1f} %{spread}", f"{100 * total:.1f} %"]
    cells += [f"{100 * least:.1f} %", f"{dead:g} of {sum(each.units for each in tables[0])}"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--variants", nargs="+", default=["relu", "raised"], choices=list(ACTIVATIONS))  # fmt: skip
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--sparsity", type=float, default=0.85)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--train", type=int, help="only so many training images")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", type=Path, help="write the table to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data = cifar10()
    data = data if options.train is None else data.smaller(train=options.train)
    lines = [
        "| activations | test accuracy | zeros, all activations | zeros, densest activation | dead channels |",
        "|---|---|---|---|---|",
        *(row(variant, data, options) for variant in options.variants),
    ]
    about = (
        f"{data.name}, {len(data.train[1]):,} training and {len(data.test[1]):,} test images, {options.epochs} epochs, seeds "
        f"{', '.join(map(str, options.seeds))}; {machine(torch.device('cpu'))}, {options.threads} thread, torch {torch.__version__}. "
        f"Wanted sparsity {100 * options.sparsity:g} %."
    )
    text = f"{about}\n\n" + "\n".join(lines) + "\n"
    print(text)
    if options.write:
        options.write.write_text(text)


if __name__ == "__main__":
    main()
