"""The trained networks that are put under faults: each with its data and its recipe.

``python benchmarks/_subjects.py vgg resnet`` trains them ahead of a benchmark, once; checkpoints stay in
``benchmarks/_cache``.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import _fit
import torch
from _data import Data, cifar10, digits, fashion_mnist
from _fit import Recipe
from _nets import VisionTransformer, resnet, vgg
from torch import nn


@dataclass(frozen=True)
class Subject:
    """A network to be trained.

    Attributes:
        title: In a table.
        data: Loads what it is trained on.
        net: Builds it, given channels and classes.
        recipe: How it is trained.
    """

    title: str
    data: Callable[[], Data]
    net: Callable[[int, int], nn.Module]
    recipe: Recipe


_VIT = Recipe(4, peak=3e-3, decay=0.05, crop=2, adamw=True, clip=1.0)
SUBJECTS = {
    "vgg": Subject("VGG style", cifar10, lambda c, k: vgg(c, 32, k), Recipe(9)),
    "resnet": Subject("ResNet", cifar10, resnet, Recipe(6)),
    "cnn": Subject("VGG style", fashion_mnist, lambda c, k: vgg(c, 28, k), Recipe(4, crop=2)),
    "vit": Subject("ViT", fashion_mnist, lambda c, k: VisionTransformer(c, 28, k, 64), _VIT),
    "digits": Subject("VGG style", digits, lambda c, k: vgg(c, 8, k, 16), Recipe(20, crop=1, flip=False)),
}  # fmt: skip


def trained(name: str, seed: int = 0) -> tuple[nn.Module, Data]:
    """The network, trained and in eval mode, and its data; what was trained before is loaded."""
    subject = SUBJECTS[name]
    data = subject.data()
    torch.manual_seed(seed)
    model = subject.net(data.channels, data.classes)
    return _fit.fit(model, data, subject.recipe, name=name, seed=seed), data


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=SUBJECTS, default=list(SUBJECTS))
    for name in parser.parse_args().names:
        model, data = trained(name)
        parameters = sum(p.numel() for p in model.parameters())
        print(f"{name}: {parameters:,} parameters, {data.name}, validation {100 * _fit.accuracy(model, data.validate):.2f} %, test {100 * _fit.accuracy(model, data.test):.2f} %")  # fmt: skip


if __name__ == "__main__":
    main()
