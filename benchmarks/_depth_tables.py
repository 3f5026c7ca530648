"""Tables and pictures of ``depth.py``."""

import datetime
import math
import statistics
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from _depth_nets import Method, signals
from _measure import machine
from torch import nn

import clipact as ca
from clipact.errors import StabilityWarning
from clipact.nn import CST, CReLU, ShiftedReLU
from clipact.report._style import CURVES, INK, LINE, label, legend, logarithmic, picture

SEEDS = 5
AT_START = [
    Method("CReLU", CReLU, 0.85),
    Method("CReLU, exact start", CReLU, 0.85, exact=True),
    Method("CReLU, slope 0.9", CReLU, 0.85, slope=0.9),
    Method("CST", CST, 0.85),
    Method("ReLU_tau", ShiftedReLU, 0.85),
    Method("ReLU (He)", nn.ReLU),
]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def profiles(method: Method, x: torch.Tensor, depth: int, width: int):
    """Variance relative to q*, and share of zeros, by seed and activation."""
    found = []
    for seed in range(SEEDS):
        net = method.build(depth, width, seed, x[:500].cpu()).to(x.device)
        found.append(signals(net, x[:1000]))
    q = torch.tensor([q for q, _ in found], dtype=torch.float64) / method.q_star
    return q, torch.tensor([zeros for _, zeros in found], dtype=torch.float64)


def range_of(values: torch.Tensor) -> str:
    """The least and the greatest; "overflow" where one is not finite."""
    finite = values[values.isfinite()]
    high = f"{finite.max():.2f}" if finite.max() < 1e3 else f"{finite.max():.0e}"
    return f"{finite.min():.2f} – {high if len(finite) == values.numel() else 'overflow'}"


def start_row(method: Method, q: torch.Tensor, zeros: torch.Tensor) -> list[str]:
    point, share, whole = method.point(), zeros.mean(0), zeros.mean(1)
    return [
        method.name,
        f"{point.slope:.2f}",
        "∞" if math.isinf(point.delta) else f"{point.delta:.2f}",
        range_of(q.mean(0)),
        range_of(q),
        f"{share.min():.3f} – {share.max():.3f}",
        f"{whole.min():.3f} – {whole.max():.3f}",
    ]


def trained_row(method: Method, rate: float, runs) -> list[str]:
    point = method.point()
    target = "" if method.kind is nn.ReLU else f"{method.sparsity:g}"
    slope = "" if method.kind is nn.ReLU else f"{point.slope:.2f}"
    if not runs[0].finite:
        return [method.name, target, slope, "", f"NaN at {', '.join(f'{r:g}' for r in method.rates)}", ""]  # fmt: skip
    good = [run for run in runs if run.finite]
    tests = [100 * run.test for run in good]
    failed = f", NaN in {len(runs) - len(good)} of {len(runs)}" if len(good) < len(runs) else ""
    spread = f" ± {statistics.stdev(tests):.1f}" if len(tests) > 1 else ""
    return [
        method.name,
        target,
        slope,
        f"{statistics.fmean(run.sparsity for run in good):.3f}",
        f"{statistics.fmean(tests):.1f}{spread}{failed}",
        f"{rate:g}",
    ]


def write_tables(found, sections, size, data, arguments) -> None:
    """Print the tables, and write them and the pictures where --write says."""
    x = data.validate[0]
    starts = [(m, *profiles(m, x, 100, size.width)) for m in AT_START]
    seconds = sum(run.seconds for rows in found.values() for _, _, runs in rows for run in runs)
    header = ["activation", "slope", "delta", "q / q*, mean of 5 nets", "q / q*, any net", "zeros, mean of 5 nets", "zeros of a net"]  # fmt: skip
    parts = [
        f"{machine(arguments.device)}, one thread, torch {torch.__version__}, {datetime.date.today()}.",
        f"**At the start**, 100 activations of {size.width} units, aimed at 85 % zeros, 1,000 images, {SEEDS} seeds; least and greatest over the depth.",
        table(header, [start_row(*one) for one in starts]),
    ]
    columns = ["activation", "zeros wanted", "slope", "zeros after training", "test accuracy (%)", "learning rate"]  # fmt: skip
    by_depth: dict[int, list] = {}
    for section, rows in found.items():
        by_depth.setdefault(sections[section][0], []).extend(rows)
    for depth in sorted(by_depth):
        rows = [trained_row(*row) for row in by_depth[depth]]
        parts += [f"**Trained**, {depth} activations of {size.width} units.", table(columns, rows)]
    parts.append(
        f"{size.images:,} training images of {data.name}, {size.epochs} epochs in batches of {size.batch}, plain SGD where nothing else is said, "
        f"{arguments.seeds} seeds (mean ± standard deviation), {size.held_out:,} test images, learning rates chosen on {size.held_out:,} others with the first seed; "
        f"{seconds / 60:.0f} minutes of processor time for these runs."
    )
    text = "\n\n".join(parts) + "\n"
    print(text)
    if arguments.write is not None:
        arguments.write.write_text(text)
        draw(starts, arguments.write.parent)


def draw(starts, folder: Path) -> None:
    """The signal by depth, and the variance maps that explain it."""
    figure, axes = picture(height=4.6)
    for place, (method, q, _) in enumerate(starts):
        mean = q.mean(0)
        mean = mean[mean.isfinite()]
        axes.plot(range(1, len(mean) + 1), mean, color=CURVES[place], linewidth=1.6, label=method.name)  # fmt: skip
    axes.axhline(1.0, color=INK, linewidth=0.8, linestyle=":")
    logarithmic(axes, "y")
    axes.set_ylim(0.2, 1e4)
    axes.grid(visible=True, which="major", color=LINE, linewidth=0.8)
    legend(axes)
    label(axes, "The signal in 100 untrained layers, aimed at 85 % zeros", f"layer; mean of {SEEDS} networks", "variance before the activation, in units of q*")  # fmt: skip
    save(figure, folder / "depth_signals.svg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StabilityWarning)
        points = {method.name: method.point() for method in AT_START if not method.exact}  # fmt: skip
        save(ca.report.variance_map(points), folder / "variance_map.svg")
        save(ca.report.correlation_map(points), folder / "correlation_map.svg")


def save(figure, path: Path) -> None:
    import matplotlib as mpl  # noqa: PLC0415 - slow to import

    with mpl.rc_context({"svg.hashsalt": "clipact"}):
        figure.savefig(path, metadata={"Date": None})
