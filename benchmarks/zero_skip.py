"""Skipping zeros is 4.8 (85 % zeros) and 5.7 (90 %) times as fast as dense at batch 1, 3.9 and 5.0 times at batch 4.

At no batch up to 128 and no sparsity it is below 0.97; an MLP is 3.6 and 4.5 times as fast at batch 1, end to end.

A 4096 × 4096 layer at batch 1 to 128 behind a CReLU of given sparsity, other sizes, and an MLP at batch 1 end to end.

    python benchmarks/zero_skip.py --rounds 7 --write docs/guide/_zero_skip_cpu.md

AMD EPYC, one thread, weights cold in cache, torch 2.14.1, November 2026; others were at work on the machine (load 10 on 2
processors). Both forms run in turn on several layers of their own, which together are several times as large as the last cache, so
that every weight comes from memory. Figures are medians, over layers and rounds, of the dense time over the skipping one;
time is processor time with one thread, else the time that passes.
"""

import argparse
import copy
import itertools
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from _measure import about, spread
from torch import Tensor, nn

import clipact as ca

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
SPARSITIES = (0.7, 0.85, 0.9, 0.95)
SHAPES = ((2048, 2048), (1024, 4096), (4096, 1024), (4096, 4096), (8192, 4096))
CACHE = Path(__file__).parent / "_cache" / "zero_skip"
Rows = list[list[str]]


def last_cache() -> int:
    """Bytes of the largest cache of the first processor; 64 MiB where the system does not say."""
    sizes = [
        path.read_text().strip()
        for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")
    ]
    return max(
        (int(size.rstrip("K")) * 1024 for size in sizes if size.endswith("K")), default=2**26
    )


def seconds(call: Callable[[], object], threads: int) -> float:
    clock = time.thread_time if threads == 1 else time.perf_counter
    start = clock()
    call()
    return clock() - start


class Layers:
    """Pairs of a dense layer and one that skips, larger together than four caches."""

    def __init__(self, inputs: int, outputs: int, break_even: ca.sparsity.BreakEven) -> None:
        count = max(3, -(-4 * last_cache() // (inputs * outputs * 4)))
        self.inputs = inputs
        self.pairs: list[tuple[nn.Module, nn.Module]] = []
        for _ in range(count):
            dense = nn.Linear(inputs, outputs)
            skipping = nn.Sequential(nn.ReLU(), copy.deepcopy(dense))
            ca.sparsity.zero_skip_(skipping, min_weights=0, break_even=break_even)
            self.pairs.append((dense, skipping[1]))

    def ratios(self, batch: int, sparsity: float, rounds: int, threads: int) -> list[float]:
        found: list[float] = []
        for round_ in range(rounds + 1):
            # all of one form, then all of the other: a weight is used again only after all the others
            inputs = [activations(batch, self.inputs, sparsity) for _ in self.pairs]
            times = [
                [
                    seconds(lambda p=pair, x=x, f=form: p[f](x), threads)
                    for pair, x in zip(self.pairs, inputs, strict=True)
                ]
                for form in (0, 1)
            ]
            if round_:  # the first one measures the break-even
                found += [dense / skip for dense, skip in zip(*times, strict=True)]
        return found


def activations(batch: int, features: int, sparsity: float) -> Tensor:
    """What a CReLU gives for normal inputs; without zeros for sparsity 0."""
    normal = torch.randn(batch, features)
    if sparsity == 0:
        return normal
    return ca.nn.CReLU(torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(sparsity)), 1.2)(
        normal
    )


def by_batch(rounds: int, threads: int, break_even: ca.sparsity.BreakEven) -> Rows:
    layers = Layers(4096, 4096, break_even)
    rows = [["batch", "no zeros", *(f"{share:.0%} zeros" for share in SPARSITIES)]]
    for batch in BATCHES:
        cells = [spread(layers.ratios(batch, s, rounds, threads)) for s in (0.0, *SPARSITIES)]
        rows.append([str(batch), *cells])
        print(*rows[-1], flush=True)
    return rows


def by_shape(rounds: int, threads: int, break_even: ca.sparsity.BreakEven) -> Rows:
    rows = [
        [
            "inputs × outputs",
            "batch 1, no zeros",
            "batch 1, 85 %",
            "batch 1, 90 %",
            "batch 4, 85 %",
            "batch 4, 90 %",
        ]
    ]
    cases = ((1, 0.0), (1, 0.85), (1, 0.9), (4, 0.85), (4, 0.9))
    for inputs, outputs in SHAPES:
        layers = Layers(inputs, outputs, break_even)
        cells = [spread(layers.ratios(batch, s, rounds, threads)) for batch, s in cases]
        rows.append([f"{inputs} × {outputs}", *cells])
        print(*rows[-1], flush=True)
    return rows


def mlp(sparsity: float) -> nn.Module:
    """784 - 4096 - 4096 - 4096 - 4096 - 10 at the edge of chaos."""
    point = ca.sparsity.edge_of_chaos(ca.nn.CReLU, sparsity)
    widths, layers = [784, 4096, 4096, 4096, 4096], list[nn.Module]()
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), ca.nn.CReLU(point.tau, point.m)]
    net = nn.Sequential(*layers, nn.Linear(4096, 10))
    ca.sparsity.init_(net, point, example=torch.randn(64, 784))
    return net


def end_to_end(rounds: int, threads: int, break_even: ca.sparsity.BreakEven) -> Rows:
    rows = [["MLP at batch 1", "zeros found", "multiplications left", "dense, ms", "over dense"]]
    for sparsity in (0.85, 0.9):
        dense = mlp(sparsity)
        skipping = copy.deepcopy(dense)
        ca.sparsity.zero_skip_(skipping, break_even=break_even)
        batch = torch.randn(64, 784)
        with ca.sparsity.SparsityMeter(dense) as meter:
            dense(batch)
        times = [
            tuple(seconds(lambda net=net, x=x: net(x), threads) for net in (dense, skipping))
            for x in torch.randn(10 * rounds, 1, 784)
        ]
        ratios = [one / other for one, other in times[3:]]
        middle = sorted(one for one, _ in times[3:])[len(times[3:]) // 2]
        counted = ca.sparsity.flops(dense, batch)
        cells = [
            f"{meter.table().sparsity:.1%}",
            f"{counted.density:.1%}",
            f"{1e3 * middle:.1f}",
            spread(ratios),
        ]
        rows.append([f"CReLU, {sparsity:.0%}", *cells])
        print(*rows[-1], flush=True)
    return rows


def table(rows: Iterable[list[str]]) -> str:
    header, *rest = (f"| {' | '.join(cells)} |" for cells in rows)
    rule = "|---" * (header.count(" | ") + 1) + "|"
    return "\n".join([header, rule, *rest])


SECTIONS: dict[str, tuple[str, Callable[[int, int, ca.sparsity.BreakEven], Rows]]] = {
    "batch": ("4096 × 4096, by batch.", by_batch),
    "shape": ("Other sizes.", by_shape),
    "mlp": ("784 – 4096 – 4096 – 4096 – 4096 – 10 at batch 1, end to end.", end_to_end),
}


def measured(name: str, rounds: int, threads: int) -> str:
    """One section with the machine it was measured on."""
    title, section = SECTIONS[name]
    torch.manual_seed(0)
    with torch.inference_mode():
        rows = section(rounds, threads, ca.sparsity.MeasuredBreakEven())
    cache = f"last cache {last_cache() / 2**20:.0f} MiB"
    return f"{title} {about(torch.device('cpu'), threads, rounds)} Single precision, {cache}.\n\n{table(rows)}\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--sections",
        nargs="*",
        choices=SECTIONS,
        default=list(SECTIONS),
        help="measure anew only these, or none",
    )
    parser.add_argument(
        "--write", type=Path, help="write the tables to this file, with those measured before"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    CACHE.mkdir(parents=True, exist_ok=True)
    for name in options.sections:
        (CACHE / f"{name}.md").write_text(measured(name, options.rounds, options.threads))
    stored = [CACHE / f"{name}.md" for name in SECTIONS]
    text = "\n".join(path.read_text() for path in stored if path.exists())
    print(text)
    if options.write:
        options.write.write_text(text)


if __name__ == "__main__":
    main()
