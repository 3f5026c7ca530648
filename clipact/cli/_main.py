"""The commands; everything slow to import waits until their arguments are understood."""

import argparse
import sys
from collections.abc import Sequence

from clipact._version import __version__
from clipact.cli import _command_demo, _command_merge, _command_plan, _command_report, _command_run
from clipact.errors import ClipactError

_COMMANDS = (_command_demo, _command_run, _command_plan, _command_report, _command_merge)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a ``clipact`` command; returns the exit status: 0, 2 for an error, 130 after Ctrl-C."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.command(arguments)
    except (ClipactError, OSError) as error:
        print(f"clipact: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        print(f"clipact: {str(interrupt) or 'interrupted'}", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="clipact",
        description="Fault injection for PyTorch models, and the thresholds that keep them right under faults.",
    )
    parser.add_argument("--version", action="version", version=f"clipact {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in _COMMANDS:
        command.add(commands)
    return parser
