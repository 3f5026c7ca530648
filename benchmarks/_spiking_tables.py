"""What the spiking benchmark measures of a trained network, and the tables it makes of that."""

import math
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from _measure import machine, synchronize
from _spiking_nets import FixedSpike, LeakySteps
from scipy.stats import t
from torch import Tensor, nn

from clipact.nn import HoyerSpike

COLUMNS = ["activation", "seeds", "accuracy", "minus ReLU", "not zero", "µJ an image", "s an epoch", "ms an image"]  # fmt: skip
PAIRS = (
    ("Hoyer, 1 level", "Leaky, T=1"),
    ("Hoyer, 1 level", "Leaky, T=4"),
    ("Hoyer, 4 levels", "Leaky, T=4"),
    ("Hoyer, 1 level", "fixed threshold"),
    ("Hoyer, 1 level", "Hoyer, 1 level, paper's box"),
    ("Hoyer, 4 levels", "Hoyer, 4 levels, paper's box"),
    ("Hoyer, 1 level, paper's box", "Leaky, T=1"),
)
HEAD = (
    "Differences are of networks with the same seed, ± half of Student's 95 % interval over three seeds or more. *Not zero*: share of activations,"
    " in all time steps together. *µJ*: computation only, fp32 at 45 nm, levels as so many spikes. Times are those of the"
    " processor, every method in turn, medians of 5 rounds. *Taught*: made from the network with ReLU, and trained on its outputs for as many"
    " epochs again (times without those of the teacher).\n"
)
ROUNDS = 5


@dataclass(frozen=True)
class Result:
    """Of one trained network: test accuracy in percent, share of activations that are not zero, µJ an image."""

    accuracy: float
    rate: float
    energy: float


@dataclass(frozen=True)
class Timed:
    """A network to be timed, and whether it was trained under autocast."""

    model: nn.Module
    bfloat16: bool


@torch.no_grad()
def spike_rate(model: nn.Module, images: Tensor) -> float:
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


def measured(networks: Mapping[str, Timed], images: Tensor) -> dict[str, tuple[float, float]]:
    """Seconds of a training step and of an inference of these images, each network in turn."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in networks}
    for round_ in range(ROUNDS + 1):
        for name, timed in networks.items():
            each = _step(timed, images), _inference(timed, images)
            if round_:
                times[name].append(each)
    return {
        name: (statistics.median(a for a, _ in rounds), statistics.median(b for _, b in rounds))
        for name, rounds in times.items()
    }


def _step(timed: Timed, images: Tensor) -> float:
    timed.model.train()
    start = _clock(images.device)
    with torch.autocast(images.device.type, torch.bfloat16, enabled=timed.bfloat16):
        output = timed.model(images)
        loss = F.cross_entropy(output, torch.zeros(len(images), dtype=torch.int64, device=images.device))  # fmt: skip
    loss.backward()
    return _clock(images.device) - start


@torch.no_grad()
def _inference(timed: Timed, images: Tensor) -> float:
    timed.model.eval()
    start = _clock(images.device)
    timed.model(images)
    return (_clock(images.device) - start) / len(images)


def _clock(device: torch.device) -> float:
    """Of the processor, so that other programs do not count; on an accelerator that on the wall."""
    synchronize(device)
    return time.process_time() if device.type == "cpu" else time.perf_counter()


def section(
    results: Mapping[str, Mapping[int, Result]],
    times: Mapping[str, tuple[float, float]],
    steps: int,
) -> Iterator[str]:
    """A table of methods, and one of differences between them."""
    yield "| " + " | ".join(COLUMNS) + " |"
    yield "|---|" + "---:|" * (len(COLUMNS) - 1)
    for method, found in results.items():
        step, inference = times[method]
        cells = [
            method,
            f"{len(found)}",
            f"{statistics.fmean(x.accuracy for x in found.values()):.2f}",
            "" if method == "ReLU" else difference(found, results.get("ReLU", {})),
            f"{100 * statistics.fmean(x.rate for x in found.values()):.1f} %",
            f"{statistics.fmean(x.energy for x in found.values()):.2f}",
            f"{step * steps:.1f}",
            f"{1e3 * inference:.2f}",
        ]
        yield "| " + " | ".join(cells) + " |"
    yield ""
    pairs = [(a, b) for a, b in PAIRS if a in results and b in results]
    if pairs:
        yield "| difference | seeds | points | time of an inference |"
        yield "|---|---:|---:|---:|"
    for a, b in pairs:
        both = len(set(results[a]) & set(results[b]))
        ratio = times[a][1] / times[b][1]
        yield f"| {a}, minus {b} | {both} | {difference(results[a], results[b])} | × {ratio:.2f} |"
    yield ""


def difference(ours: Mapping[int, Result], theirs: Mapping[int, Result]) -> str:
    """Mean over the seeds that both have, and half of Student's 95 % interval where there are three or more."""
    values = [ours[seed].accuracy - theirs[seed].accuracy for seed in ours if seed in theirs]
    if not values:
        return ""
    mean = statistics.fmean(values)
    if len(values) < 3:
        return f"{mean:+.2f}"
    half = t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:+.2f} ± {half:.2f}"


def foot(device: torch.device) -> str:
    """The machine."""
    return f"{machine(device)}, 1 thread, torch {torch.__version__}."
