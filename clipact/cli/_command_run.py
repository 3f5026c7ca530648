"""``clipact run``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipact.cli._arguments import Commands, not_negative, positive, proportion, share
from clipact.cli._foreground import foreground
from clipact.cli._load import LoadError, call, load

if TYPE_CHECKING:
    from clipact.faults import Campaign, Precision, Shard


def add(commands: Commands) -> None:
    """Say what its arguments are."""
    run = commands.add_parser(
        "run",
        help="run a campaign that a file defines, or go on with it",
        description="Import a file, take the campaign it names (or the function that returns one), run it and print the summary. "
        "With a store, every trial is on the disk when it is done, and the same command goes on where an earlier one ended.",
    )
    run.add_argument(
        "campaign",
        metavar="file.py:name",
        help="a faults.Campaign, or a function without arguments that returns one",
    )
    run.add_argument("--store", type=Path, metavar="run.sqlite", help="keep every trial here")
    run.add_argument(
        "--shard",
        metavar="i/n",
        help="run only this part, counted from 0: 0/4 to 3/4, each with a store of its own; 'env' takes it from the scheduler's "
        "environment (Slurm arrays and the like), 'env/4' where that does not say of how many",
    )
    run.add_argument(
        "--workers", type=positive, metavar="n", help="worker processes (none: all in this process)"
    )
    run.add_argument(
        "--trials",
        type=positive,
        metavar="n",
        help="trials of each fault model, instead of the campaign's own",
    )
    run.add_argument(
        "--seconds",
        type=not_negative,
        metavar="s",
        help="end after so much time, with what is done",
    )
    run.add_argument(
        "--margin",
        type=proportion,
        metavar="m",
        help="end the trials of a fault model when the mean is known to plus or minus m",
    )
    run.add_argument("--metric", default="sdc", help="whose mean that is (sdc)")
    run.add_argument("--confidence", type=proportion, default=0.95, help="of the interval (0.95)")
    run.add_argument("--no-replay", action="store_true", help="run every inference in full")
    run.add_argument(
        "--verify",
        type=share,
        default=0.0,
        metavar="f",
        help="run this share of the trials in full too, and compare (0)",
    )
    run.add_argument("--no-progress", action="store_true", help="no bar, no lines in the log")
    run.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> None:
    from clipact.faults import executors  # noqa: PLC0415 - slow imports wait until arguments are understood

    asked = campaign(arguments.campaign)
    if arguments.trials is not None:
        asked = asked.with_trials(arguments.trials)
    executor = None if arguments.workers is None else executors.processes(arguments.workers)
    with foreground():
        result = asked.run(
            store=arguments.store,
            executor=executor,
            progress=not arguments.no_progress,
            replay=not arguments.no_replay,
            verify=arguments.verify,
            shard=None if arguments.shard is None else shard(arguments.shard),
            seconds=arguments.seconds,
            stop=precision(arguments),
        )
    print(result.summary())
    if arguments.store is not None:
        print(
            f"\n{len(result):,} trials in {arguments.store}; pictures: clipact report {arguments.store}"
        )


def precision(arguments: argparse.Namespace) -> "Precision | None":
    """When there are trials enough, if that was said."""
    from clipact.faults import Precision  # noqa: PLC0415 - as above

    if arguments.margin is None:
        return None
    return Precision(
        metric=arguments.metric, half_width=arguments.margin, confidence=arguments.confidence
    )


def shard(text: str) -> "Shard":
    """A shard: ``i/n``, or what the scheduler says, ``env``, or ``env/n`` where it does not say of how many."""
    from clipact.faults import Shard  # noqa: PLC0415 - as above

    where, slash, count = text.partition("/")
    if where != "env":
        return Shard.parse(text)
    return Shard.from_environment(count=Shard.parse(f"0/{count}").count if slash else None)


def campaign(reference: str) -> "Campaign":
    """The campaign that a file defines.

    Raises:
        LoadError: There is none.
    """
    from clipact.faults import Campaign  # noqa: PLC0415 - slow imports wait until arguments are understood

    found: Any = load(reference)
    made = call(reference, found) if callable(found) else found
    if isinstance(made, Campaign):
        return made
    raise LoadError(
        f"{reference} is a {type(made).__name__}; name a faults.Campaign, or a function without arguments that returns one"
    )
