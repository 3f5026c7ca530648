"""A step with trained channel thresholds costs 1.06 (saturating) and 1.14 (smooth) times one with nn.ReLU.

A training step of a VGG-8 on 128 images of CIFAR's size with trained channel thresholds, over the same step with nn.ReLU.

    python benchmarks/training_step.py --repeats 9 --write docs/guide/_training_step_cpu.md

Intel Xeon (AVX-512), one thread, 7 rounds, torch 2.14.1, November 2026. Models take turns within each round; figures are medians over rounds of the ratio to that round's ReLU step.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from _measure import about, spread, timed

from clipact import nn

Build = Callable[[int], torch.nn.Module]


def vgg8(activation: Build) -> torch.nn.Module:
    """Six convolutions with batch normalisation and two linear layers, an activation after each but the last."""
    layers: list[torch.nn.Module] = []
    channels = 3
    for width in (64, 128, 256):
        for _ in range(2):
            convolution = torch.nn.Conv2d(channels, width, 3, padding=1, bias=False)
            layers += [convolution, torch.nn.BatchNorm2d(width), activation(width)]
            channels = width
        layers.append(torch.nn.MaxPool2d(2))
    head = [torch.nn.Linear(256 * 16, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10)]
    return torch.nn.Sequential(*layers, torch.nn.Flatten(), *head)


def channelwise(width: int) -> torch.Tensor:
    return torch.full((width, 1, 1), 3.0)


ACTIVATIONS: dict[str, Build] = {
    "nn.ReLU": lambda _: torch.nn.ReLU(),
    "SaturatedReLU, trained": lambda width: nn.SaturatedReLU(channelwise(width)).requires_grad_(),
    "ZeroedReLU": lambda width: nn.ZeroedReLU(channelwise(width)),
    "HyReLU, trained": lambda width: nn.HyReLU(channelwise(width)).requires_grad_(),
}


def measure(device: torch.device, repeats: int) -> tuple[dict[str, list[float]], list[float]]:
    """Ratios to the ReLU step of each round, and its seconds."""
    models = {name: vgg8(activation).to(device) for name, activation in ACTIVATIONS.items()}
    optimizers = {
        name: torch.optim.SGD(model.parameters(), lr=1e-3) for name, model in models.items()
    }
    images = torch.randn(128, 3, 32, 32, device=device)
    labels = torch.randint(10, (128,), device=device)

    def step(name: str) -> None:
        optimizers[name].zero_grad()
        torch.nn.functional.cross_entropy(models[name](images), labels).backward()
        optimizers[name].step()

    ratios: dict[str, list[float]] = {name: [] for name in models}
    base: list[float] = []
    for round_ in range(repeats + 1):
        seconds = {name: timed(lambda name=name: step(name), device) for name in models}
        if round_:
            base.append(seconds["nn.ReLU"])
            for name, value in seconds.items():
                ratios[name].append(value / seconds["nn.ReLU"])
    return ratios, base


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--write", type=Path, help="write the table to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    ratios, base = measure(options.device, options.repeats)
    lines = ["| activation | training step over nn.ReLU |", "|---|---|"]
    lines += [
        f"| `{name}` | {spread(values)} |" for name, values in ratios.items() if name != "nn.ReLU"
    ]
    measured = f"one step with nn.ReLU takes {sorted(base)[len(base) // 2]:.2f} s"
    text = (
        f"{about(options.device, options.threads, options.repeats)} VGG-8, batch of 128; {measured}.\n\n"
        + "\n".join(lines)
        + "\n"
    )
    print(text)
    if options.write:
        options.write.write_text(text)


if __name__ == "__main__":
    main()
