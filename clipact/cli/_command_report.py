"""``clipact report``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from clipact.cli._arguments import Commands, not_negative, proportion


def add(commands: Commands) -> None:
    """Say what its arguments are."""
    report = commands.add_parser(
        "report",
        help="write what a campaign found as one HTML page",
        description="Write what is in a store, also while its campaign still runs, as one HTML page with tables and pictures that "
        "loads nothing from elsewhere. Several stores are compared.",
    )
    report.add_argument(
        "stores", nargs="+", type=Path, metavar="run.sqlite", help="stores of campaigns"
    )
    report.add_argument(
        "--out", type=Path, default=Path("report.html"), help="the page (report.html)"
    )
    report.add_argument("--title", help="above the page")
    report.add_argument(
        "--metric", help="what makes a fault bad (sdc if there is one, else the first metric)"
    )
    report.add_argument(
        "--tolerance",
        type=not_negative,
        default=0.0,
        help="how far from its golden value the metric may be without a fault being bad (0)",
    )
    report.add_argument(
        "--margin", type=not_negative, help="half width of the interval aimed at, drawn as a line"
    )
    report.add_argument(
        "--confidence", type=proportion, default=0.95, help="of all intervals (0.95)"
    )
    report.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> None:
    from clipact.cli._stores import stores  # noqa: PLC0415 - as below
    from clipact.faults import Store  # noqa: PLC0415 - slow imports wait until arguments are understood
    from clipact.report import campaign_page  # noqa: PLC0415 - as above

    paths: list[Path] = list({path.resolve(): path for path in arguments.stores}.values())
    results = {name: Store.read(path) for name, path in zip(names(paths), paths, strict=True)}
    page = campaign_page(
        next(iter(results.values())) if len(results) == 1 else results,
        arguments.out,
        title=arguments.title,
        metric=arguments.metric,
        tolerance=arguments.tolerance,
        margin=arguments.margin,
        confidence=arguments.confidence,
        more=[stores(results, paths)],
    )
    trials = sum(len(result) for result in results.values())
    print(f"{trials:,} trials: {page}")


def names(paths: Sequence[Path]) -> list[str]:
    """What stores are called: their files' names without the ending, or whole paths where these are not distinct.

    Examples:
        >>> names([Path("a/plain.sqlite"), Path("b/clipped.sqlite")])
        ['plain', 'clipped']
        >>> names([Path("a/run.sqlite"), Path("b/run.sqlite")])
        ['a/run.sqlite', 'b/run.sqlite']
    """
    stems = [path.stem for path in paths]
    return stems if len(set(stems)) == len(stems) else [str(path) for path in paths]
