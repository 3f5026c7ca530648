"""Training with a trained threshold costs 1.7 to 1.8 (saturating), 1.3 to 1.5 (zeroing) and 2.4 to 2.7 (smooth) times nn.ReLU.

Forward + backward, eager, 64 x 256 x 32 x 32 fp32, one thread, any granularity; the compositions from torch operations
cost 5.8 to 6.6, 3.1 to 3.2 and 6.7 to 7.1. Under torch.compile: 1.1 to 1.6, 1.0 to 1.1, and 1.6 to 2.8. Inference, eager: saturating
1.0 (layer), 1.3 (channel), 1.1 (neuron), zeroing 1.5 to 1.7; compiled: 1.0 to 1.1, but 1.3 to 1.4 for the smooth form, which computes an
exponential for each element. Nothing is kept for the backward pass beyond what ReLU keeps, except one tensor for the smooth form.
Intel Xeon (AVX-512), 5 rounds on an idle 2-core machine, torch 2.14.1, November 2026.
The sparse activations, eager, trained, against the compositions: shifted ReLU 1.3 to 1.5 (1.8 to 2.4), soft threshold 1.5 to 1.8 (5.2 to 7.2),
CReLU 1.5 to 2.1 (6.4 to 7.4), CST 2.0 to 2.5 (11 to 12); nothing is kept beyond the output, by the compositions 0, 3, 1 and 4 tensors. Same processor,
32 x 256 x 32 x 32, 3 rounds, others at work.

    python benchmarks/activations.py --repeats 9 --write docs/guide/_activations_cpu.md

Everything is measured interleaved: each round runs every candidate once, right after nn.ReLU; a figure is the median over
rounds of the ratio of the two, the spread half the distance between its quartiles. "Naive" is the composition
from torch operations, with gradients by autograd. "Kept" is what autograd keeps for the backward pass beyond the output,
"peak" what the backward pass allocates, both in tensors the size of the activation.
"""

import argparse
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from _measure import about, spread, timed
from torch import Tensor

import clipact.functional as F

Function = Callable[[Tensor, Tensor], Tensor]
NAMES: dict[str, tuple[Function, Function]] = {  # ours, and the naive composition
    "saturated_relu": (F.saturated_relu, lambda x, t: torch.minimum(x.relu(), t)),
    "zeroed_relu": (F.zeroed_relu, lambda x, t: torch.where(x <= t, x.relu(), 0)),
    "hyrelu": (F.hyrelu, lambda x, t: x.relu() * torch.sigmoid(20 * (t - x.relu()))),
    "range_restricted": (
        lambda x, t: F.range_restricted(x, -t, t),
        lambda x, t: torch.clamp(x, -t, t),
    ),
    "range_restricted, zero": (
        lambda x, t: F.range_restricted(x, -t, t, zero=True),
        lambda x, t: torch.where((x >= -t) & (x <= t), x, 0),
    ),
    "shifted_relu": (F.shifted_relu, lambda x, t: (x - t).relu()),
    "soft_threshold": (F.soft_threshold, lambda x, t: x.sign() * (x.abs() - t).relu()),
    "crelu": (  # one tensor is both thresholds
        lambda x, t: F.crelu(x, t, t),
        lambda x, t: torch.minimum((x - t).relu(), t),
    ),
    "cst": (
        lambda x, t: F.cst(x, t, t),
        lambda x, t: x.sign() * torch.minimum((x.abs() - t).relu(), t),
    ),
}


@dataclass
class Candidate:
    """One row of the table: a function, its threshold, and the ratios measured."""

    name: str
    form: str
    granularity: str
    function: Function
    threshold: Tensor
    infer: list[float] = field(default_factory=list)
    train: list[float] = field(default_factory=list)
    kept: float = 0.0
    peak: float = 0.0


def train(function: Function, x: Tensor, threshold: Tensor, grad: Tensor) -> None:
    function(x, threshold).backward(grad, inputs=[t for t in (x, threshold) if t.requires_grad])
    x.grad = threshold.grad = None


def infer(function: Function, x: Tensor, threshold: Tensor) -> None:
    with torch.no_grad():
        function(x, threshold)


def candidates(shape: Sequence[int], device: torch.device, *, compiled: bool) -> list[Candidate]:
    """Every function in every form and granularity; thresholds require a gradient where there is one."""
    thresholds = {"layer": (1,), "channel": (shape[1], 1, 1), "neuron": tuple(shape[1:])}
    references: dict[str, Function] = {
        "nn.ReLU6": lambda x, _: torch.nn.functional.relu6(x),
        "torch.clamp(x, 0, 1)": lambda x, _: torch.clamp(x, 0, 1),
        "torch.sigmoid(x)": lambda x, _: torch.sigmoid(x),
    }
    fixed = torch.ones(1, device=device)
    rows = [Candidate(name, "eager", "", function, fixed) for name, function in references.items()]
    for name, (ours, naive) in NAMES.items():
        forms = {"eager": ours, "naive": naive}
        if compiled:
            forms["compiled"] = torch.compile(ours, fullgraph=True, dynamic=False)
        for granularity, size in thresholds.items():
            for form, function in forms.items():
                threshold = torch.ones(size, device=device, requires_grad="zero" not in name)
                rows.append(Candidate(name, form, granularity, function, threshold))
    return rows


def measure(rows: list[Candidate], x: Tensor, grad: Tensor, repeats: int) -> tuple[float, float]:
    """Fill in the ratios; returns the median seconds of nn.ReLU, forward and forward with backward."""
    relu = Candidate("nn.ReLU", "eager", "", lambda x, _: x.relu(), torch.ones(1, device=x.device))
    base: list[tuple[float, float]] = []

    def seconds(row: Candidate) -> tuple[float, float]:
        forward = timed(lambda: infer(row.function, x, row.threshold), x.device)
        return forward, timed(lambda: train(row.function, x, row.threshold, grad), x.device)

    for round_ in range(repeats + 1):
        for row in rows:
            before, found = seconds(relu), seconds(row)
            if round_:
                base.append(before)
                row.infer.append(found[0] / before[0])
                row.train.append(found[1] / before[1])
    return statistics.median(b[0] for b in base), statistics.median(b[1] for b in base)


def measure_memory(row: Candidate, x: Tensor, grad: Tensor) -> None:
    """Bytes kept for the backward pass beyond the output, and allocated in it, in units of the activation."""
    storages: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = row.function(x, row.threshold)
    for tensor in (y, row.threshold):
        storages.pop(tensor.untyped_storage().data_ptr(), None)
    row.kept = sum(storages.values()) / (x.numel() * x.element_size())
    with torch.profiler.profile(
        profile_memory=True, activities=[torch.profiler.ProfilerActivity.CPU]
    ) as profile:
        y.backward(grad, inputs=[t for t in (x, row.threshold) if t.requires_grad])
    x.grad = row.threshold.grad = None
    level = highest = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            level += event.nbytes()
            highest = max(highest, level)
    row.peak = highest / (x.numel() * x.element_size())


def table(rows: list[Candidate]) -> str:
    lines = [
        "| activation | form | threshold | inference | forward + backward | kept | peak |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| `{r.name}` | {r.form} | {r.granularity} | {spread(r.infer)} | {spread(r.train)} | {r.kept:.2f} | {r.peak:.2f} |"
        for r in rows
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument(
        "--shape", type=int, nargs=4, default=(64, 256, 32, 32), metavar=("N", "C", "H", "W")
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile")
    parser.add_argument("--write", type=Path, help="write the tables to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    x = torch.randn(tuple(options.shape), device=options.device, requires_grad=True)
    grad = torch.randn_like(x)
    rows = candidates(options.shape, options.device, compiled=not options.no_compile)
    forward, both = measure(rows, x, grad, options.repeats)
    for row in rows:
        measure_memory(row, x, grad)
    size = " x ".join(map(str, options.shape))
    measured = f"inference {1e3 * forward:.1f} ms, forward + backward {1e3 * both:.1f} ms"
    head = f"{about(options.device, options.threads, options.repeats)} {size} fp32, nn.ReLU = 1: {measured}."
    text = f"{head}\n\n{table(rows)}\n"
    print(text)
    if options.write:
        options.write.write_text(text)


if __name__ == "__main__":
    main()
