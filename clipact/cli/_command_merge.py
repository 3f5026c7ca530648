"""``clipact merge``."""

import argparse
from pathlib import Path

from clipact.cli._arguments import Commands


def add(commands: Commands) -> None:
    """Say what its arguments are."""
    merge = commands.add_parser(
        "merge",
        help="put the shards of a campaign into one store",
        description="Put the trials of several stores of one campaign into one. Shards are only read; a trial that is in several "
        "is there once. If the store to write is there already, its trials are kept.",
    )
    merge.add_argument("out", type=Path, metavar="out.sqlite", help="the store to write")
    merge.add_argument(
        "shards", nargs="+", type=Path, metavar="shard.sqlite", help="stores of one campaign"
    )
    merge.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> None:
    from clipact.cli._shards import account, missing  # noqa: PLC0415 - slow imports wait until arguments are understood
    from clipact.faults import Store, merge  # noqa: PLC0415 - as above

    out: Path = arguments.out
    held = [out] if out.exists() and out not in arguments.shards else []
    parts = {path: Store.read(path) for path in [*held, *arguments.shards]}
    merge(arguments.shards, out)
    whole = Store.read(out)
    print(account(parts, whole))
    print(missing(whole))
