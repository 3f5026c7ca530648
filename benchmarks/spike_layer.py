"""Cost of a spiking layer of one time step, in multiples of ``nn.ReLU`` and of ``snntorch.Leaky`` in the same run.

Each row is timed next to the ReLU and the Leaky, round by round. With one thread on a CPU, time is that of the processor, so
that of other programs does not count; else it is that on the clock.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import snntorch
import torch
from _measure import about, spread, timed
from torch import Tensor, nn

from clipact.nn import HoyerSpike

TRIES = 3
"""The best of so many counts, as the first finds caches full of the layer before."""


@dataclass
class Row:
    """A layer and its seconds: training (forward and backward) and evaluation, with those of both references."""

    name: str
    layer: nn.Module
    train: list[tuple[float, float, float]] = field(default_factory=list)
    evaluate: list[tuple[float, float, float]] = field(default_factory=list)


class OneStep(nn.Module):
    """A leaky neuron of snntorch from a potential of zero: what a network of one time step would call."""

    def __init__(self) -> None:
        super().__init__()
        self.leaky = snntorch.Leaky(beta=0.5, learn_threshold=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.leaky(x, self.leaky.reset_mem())[0]


def rows(channels: int, device: torch.device, *, compiled: bool) -> list[Row]:
    layers: dict[str, nn.Module] = {
        "HoyerSpike()": HoyerSpike(),
        "HoyerSpike(learn_threshold=False)": HoyerSpike(learn_threshold=False),
        "HoyerSpike(C)": HoyerSpike(channels),
        "HoyerSpike(C, exclude_saturated=True)": HoyerSpike(channels, exclude_saturated=True),
        "HoyerSpike(levels=4)": HoyerSpike(levels=4),
        "HoyerSpike(spike_grad=atan())": HoyerSpike(spike_grad=snntorch.surrogate.atan()),
    }
    if compiled:
        layers["torch.compile(HoyerSpike())"] = torch.compile(HoyerSpike(), fullgraph=True)
    return [Row(name, layer.to(device)) for name, layer in layers.items()]


def spent(call: Callable[[], object], device: torch.device) -> float:
    if device.type != "cpu" or torch.get_num_threads() > 1:
        return timed(call, device)
    start = time.process_time()
    call()
    return time.process_time() - start


def seconds(layer: nn.Module, x: Tensor, grad: Tensor) -> tuple[float, float]:
    """Of a training step and of an evaluation."""
    layer.train()
    inputs = [x, *(p for p in layer.parameters() if p.requires_grad)]

    def step() -> None:
        torch.autograd.grad(layer(x), inputs, grad)

    def look() -> None:
        with torch.no_grad():
            layer(x)

    training = min(spent(step, x.device) for _ in range(TRIES))
    layer.eval()
    return training, min(spent(look, x.device) for _ in range(TRIES))


def measure(found: list[Row], x: Tensor, grad: Tensor, repeats: int) -> list[float]:
    """Fill in the seconds; returns those of the ReLU's training steps."""
    relu, leaky = nn.ReLU(), OneStep().to(x.device)
    base: list[float] = []
    for round_ in range(repeats + 1):
        for row in found:
            each = [seconds(layer, x, grad) for layer in (row.layer, relu, leaky)]
            if round_:
                row.train.append((each[0][0], each[1][0], each[2][0]))
                row.evaluate.append((each[0][1], each[1][1], each[2][1]))
                base.append(each[1][0])
    return base


def table(found: list[Row]) -> str:
    lines = [
        "| layer | training / ReLU | training / Leaky | evaluation / ReLU | evaluation / Leaky |",
        "|---|---|---|---|---|",
    ]
    for row in found:
        ratios = [
            spread([times[0] / times[other] for times in measured])
            for measured in (row.train, row.evaluate)
            for other in (1, 2)
        ]
        lines.append(f"| `{row.name}` | {' | '.join(ratios)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument(
        "--shape", type=int, nargs=4, default=(32, 64, 32, 32), metavar=("N", "C", "H", "W")
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile")
    parser.add_argument("--write", type=Path, help="write the table to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    torch.empty(
        7_000_000
    ).zero_()  # as in a network, after this no layer pays for memory that goes back and forth
    x = torch.randn(tuple(options.shape), device=options.device, requires_grad=True)
    grad = torch.randn_like(x)
    found = rows(options.shape[1], options.device, compiled=not options.no_compile)
    base = measure(found, x, grad, options.repeats)
    size = " x ".join(map(str, options.shape))
    head = (
        f"{about(options.device, options.threads, options.repeats)} {size} fp32;"
        f" nn.ReLU takes {1e3 * statistics.median(base):.2f} ms forward and backward."
    )
    text = f"{head}\n\n{table(found)}\n"
    print(text)
    if options.write:
        options.write.write_text(text)


if __name__ == "__main__":
    main()
