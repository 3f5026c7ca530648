"""Arguments; everything slow to import waits until they are understood."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from clipact._version import __version__
from clipact.errors import ClipactError

DATASETS = ("digits", "fashion-mnist", "cifar10")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a ``clipact`` command; returns the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        _demo(arguments)
    except (ClipactError, OSError) as error:
        print(f"clipact: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("clipact: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="clipact", description="Thresholds that decide how a neural network behaves."
    )
    parser.add_argument("--version", action="version", version=f"clipact {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    demo = commands.add_parser(
        "demo",
        help="train, protect, inject faults and compare, on real data",
        description="Train a small network on real images, protect it by each method, flip bits in its weights, print what is "
        "left of its accuracy, and write a page with the pictures.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    demo.add_argument(
        "--dataset",
        choices=DATASETS,
        default="digits",
        help="what to train on; digits need no download",
    )
    demo.add_argument(
        "--data", type=Path, default=Path("data"), help="where torchvision keeps its files"
    )
    demo.add_argument(
        "--out",
        type=Path,
        default=Path("clipact-demo"),
        help="folder for the page and the pictures",
    )
    demo.add_argument(
        "--trials", type=_positive, default=100, help="trials for each method, format and rate"
    )
    demo.add_argument(
        "--epochs",
        type=_positive,
        default=argparse.SUPPRESS,
        help="passes over the training data (default: 15 for digits, 2 for the others)",
    )
    demo.add_argument(
        "--test-images",
        type=_positive,
        default=400,
        help="evaluate on at most so many held-out images",
    )
    demo.add_argument("--seed", type=_seed, default=0, help="of weights, training and faults")
    demo.add_argument("--no-progress", action="store_true", help="no bars")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2**63 - 1")
    return int(text)


def _demo(arguments: argparse.Namespace) -> None:
    from clipact._text import aligned  # noqa: PLC0415 - see the module's first line
    from clipact.cli._data import DatasetName  # noqa: PLC0415
    from clipact.cli._demo import Plan, run  # noqa: PLC0415
    from clipact.cli._tables import conditions, difference_table, method_table  # noqa: PLC0415
    from clipact.cli._write import prepare, write  # noqa: PLC0415

    prepare(arguments.out)
    epochs = getattr(arguments, "epochs", None)
    plan = Plan(
        DatasetName(arguments.dataset), arguments.data, arguments.trials, arguments.seed, epochs,
        arguments.test_images, progress=not arguments.no_progress,
    )  # fmt: skip
    outcome = run(plan, print)
    for name, results in outcome.results.items():
        for table in (method_table(results), difference_table(outcome.comparisons()[name])):
            print(f"\nweights in {name}\n{aligned(table.header, table.rows)}")
    print(
        f"\n{conditions(plan, outcome)}\n{outcome.seconds[0]:.0f} s of training, {outcome.seconds[1]:.0f} s with all campaigns."
    )
    print(f"Pictures and every table: {write(plan, outcome, arguments.out)}")
