"""A residual network on CIFAR-10 whose hidden activations are 85 % zeros, against the same network with ReLU.

    python benchmarks/sparse_cnn.py --variants relu raised --seeds 0 1 --write docs/guide/_sparse_cnn_cpu.md

A pre-activation ResNet (convolutions read what an activation gave, behind batch normalisation), so that every convolution but the
first has a sparse input. Shortcuts pool, add channels of zeros, and have no weights: no threshold lies on the way from the first
convolution to the last layer; "projected" networks have a convolution there, of what the first activation of the block gave.
Thresholds are held at the wanted sparsity by ca.sparsity.hold_sparsity: from the beginning ("held"), or rising from 50 % over the
first half of the training, with one threshold a layer ("raised") or one a channel ("channels"), or for all layers together ("global").
Each training leaves a checkpoint in benchmarks/_cache; --variants and --seeds choose what is trained now, and the table shows all that was asked for.
"""

import argparse
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from _data import Data, batches, cifar10
from _fit import Recipe, accuracy, fit
from _measure import machine
from torch import Tensor, nn

import clipact as ca

START = 0.5  # sparsity of a ReLU
EXTRA = 0.005  # above what is wanted, since evaluation does not give quite the sparsity of training
Make = Callable[[int], nn.Module]  # of the number of channels


@dataclass(frozen=True)
class Variant:
    """A way to make the network sparse.

    Attributes:
        make: Its activations.
        held: Their sparsity is held.
        rise: Share of the training in which it rises to what is wanted.
        budget: Of the controller.
        projected: Shortcuts are convolutions of what an activation gave.
    """

    make: Make
    held: bool = True
    rise: float = 0.0
    budget: str = "layer"
    projected: bool = False


def relu(_: int) -> nn.Module:
    return nn.ReLU()


def by_layer(_: int) -> nn.Module:
    return ca.nn.ShiftedReLU(0.0)


def by_channel(channels: int) -> nn.Module:
    return ca.nn.ShiftedReLU(torch.zeros(channels, 1, 1))


VARIANTS = {
    "relu": Variant(relu, held=False),
    "held": Variant(by_layer),
    "raised": Variant(by_layer, rise=0.5),
    "channels": Variant(by_channel, rise=0.5),
    "global": Variant(by_layer, rise=0.5, budget="global"),
    "relu, projected": Variant(relu, held=False, projected=True),
    "raised, projected": Variant(by_layer, rise=0.5, projected=True),
}


class Block(nn.Module):
    """Normalise, activate, convolve; twice; and add."""

    def __init__(self, channels: int, width: int, stride: int, variant: Variant) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(width)
        self.act1, self.act2 = variant.make(channels), variant.make(width)
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.skip = nn.Conv2d(channels, width, 1, stride, bias=False) if variant.projected else None
        self.pool, self.more = nn.AvgPool2d(stride), width - channels

    def forward(self, x: Tensor) -> Tensor:
        active = self.act1(self.norm1(x))
        change = self.conv2(self.act2(self.norm2(self.conv1(active))))
        return change + (self.skip(active) if self.skip else self._kept(x))

    def _kept(self, x: Tensor) -> Tensor:
        return F.pad(self.pool(x), (0, 0, 0, 0, 0, self.more))


class Net(nn.Module):
    """1.2 million weights at width 32.

    The state of a controller is part of its own, so that a training that was interrupted goes on with the same bits.
    """

    def __init__(self, variant: Variant, channels: int, classes: int, width: int = 32) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, width, 3, 1, 1, bias=False), nn.MaxPool2d(2))
        widths = (width, 2 * width, 4 * width, 8 * width)
        self.blocks = nn.Sequential(
            *(Block(a, b, stride, variant) for a, b, stride in zip(widths, widths[1:], (1, 2, 2), strict=False))
        )  # fmt: skip
        self.norm, self.act = nn.BatchNorm2d(widths[-1]), variant.make(widths[-1])
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


def train(key: str, seed: int, data: Data, options: argparse.Namespace) -> nn.Module:
    recipe, variant = Recipe(epochs=options.epochs, peak=0.15), VARIANTS[key]
    steps = options.epochs * (len(data.train[1]) // recipe.batch)
    torch.manual_seed(seed)
    net = Net(variant, data.channels, data.classes, options.width)
    wanted = options.sparsity + EXTRA
    if variant.rise:
        wanted = ca.schedules.linear(START, wanted, steps=round(variant.rise * steps))
    if variant.held:
        net.__dict__["controller"] = ca.sparsity.hold_sparsity(net, wanted, budget=variant.budget)

    def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        if (
            model is net and net.controller
        ):  # after the last step of the optimizer; not on a trial copy
            net.controller.step()
        return F.cross_entropy(model(images), labels, label_smoothing=recipe.smoothing)

    fit(net, data, recipe, name=name(key, options), seed=seed, loss=loss)
    if net.controller:
        net.controller.close()
    return net


def name(key: str, options: argparse.Namespace) -> str:
    wanted = f"_{100 * options.sparsity:g}" if VARIANTS[key].held else ""
    return f"sparse_resnet_{options.width}_{key.replace(', ', '_')}{wanted}"


def measure(net: nn.Module, data: Data) -> tuple[float, ca.sparsity.SparsityTable]:
    """Accuracy on the test images, and the sparsity of every activation over 1,000 of them."""
    with torch.no_grad(), ca.sparsity.SparsityMeter(net) as meter:
        for images, _ in batches(data.smaller(test=1000).test, 250):
            net(images.contiguous(memory_format=torch.channels_last))
    return accuracy(net, data.test), meter.table()


def row(key: str, data: Data, options: argparse.Namespace) -> str:
    found = [measure(train(key, seed, data, options), data) for seed in options.seeds]
    percents = [100 * value for value, _ in found]
    spread = f" ({', '.join(f'{value:.1f}' for value in percents)})" if len(percents) > 1 else ""
    tables = [table for _, table in found]
    total = statistics.mean(table.sparsity for table in tables)
    least = min(each.sparsity for table in tables for each in table)
    dead = statistics.mean(sum(each.dead for each in table) for table in tables)
    cells = [key, f"{statistics.mean(percents):.1f} %{spread}", f"{100 * total:.1f} %"]
    cells += [f"{100 * least:.1f} %", f"{dead:g} of {sum(each.units for each in tables[0])}"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--variants", nargs="+", default=["relu", "raised"], choices=list(VARIANTS))  # fmt: skip
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
        *(row(key, data, options) for key in options.variants),
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
