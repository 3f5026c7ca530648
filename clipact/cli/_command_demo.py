"""``clipact demo``."""

import argparse
from pathlib import Path

from clipact.cli._arguments import Commands, positive, seed

DATASETS = ("digits", "fashion-mnist", "cifar10")


def add(commands: Commands) -> None:
    """Say what its arguments are."""
    demo = commands.add_parser(
        "demo",
        help="train, protect, inject faults and compare, on real data",
        description="Train a small network on real images, protect it by each method, flip bits in its weights, print what is "
        "left of its accuracy, and write a page with the pictures.",
    )
    demo.formatter_class = argparse.ArgumentDefaultsHelpFormatter
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
        "--trials", type=positive, default=100, help="trials for each method, format and rate"
    )
    demo.add_argument(
        "--epochs",
        type=positive,
        default=argparse.SUPPRESS,
        help="passes over the training data (default: 15 for digits, 2 for the others)",
    )
    demo.add_argument(
        "--test-images",
        type=positive,
        default=400,
        help="evaluate on at most so many held-out images",
    )
    demo.add_argument("--seed", type=seed, default=0, help="of weights, training and faults")
    demo.add_argument("--no-progress", action="store_true", help="no bars")
    demo.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> None:
    from clipact._text import aligned  # noqa: PLC0415 - slow imports wait until arguments are understood
    from clipact.cli._data import DatasetName  # noqa: PLC0415 - as above
    from clipact.cli._demo import Plan, run  # noqa: PLC0415 - as above
    from clipact.cli._tables import conditions, difference_table, method_table  # noqa: PLC0415 - as above
    from clipact.cli._write import prepare, write  # noqa: PLC0415 - as above

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
