"""What arguments may be, for all commands."""

import argparse
from collections.abc import Sequence
from typing import Protocol


class Commands(Protocol):
    """What a command is added to."""

    def add_parser(self, name: str, *, help: str, description: str) -> argparse.ArgumentParser:  # noqa: A002 - argparse's word
        """The parser of a new command."""
        ...


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def seed(text: str) -> int:
    """A whole number from 0 to 2**63 - 1."""
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2**63 - 1")
    return int(text)


def share(text: str) -> float:
    """A number from 0 to 1."""
    return _between(text, 0.0 <= _number(text) <= 1.0, "from 0 to 1")


def proportion(text: str) -> float:
    """A number between 0 and 1, both excluded."""
    return _between(text, 0.0 < _number(text) < 1.0, "between 0 and 1, both excluded")


def not_negative(text: str) -> float:
    """A number of at least 0."""
    return _between(text, _number(text) >= 0.0, "of at least 0")


def rates(text: str) -> Sequence[float]:
    """Numbers above 0 and up to 1, with commas between."""
    return [
        _between(part, 0.0 < _number(part) <= 1.0, "above 0 and up to 1")
        for part in text.split(",")
    ]


def words(text: str) -> Sequence[str]:
    """Words with commas between."""
    return [word.strip() for word in text.split(",")]


def pair(text: str) -> tuple[int, int]:
    """Two whole numbers with a comma between."""
    parts = text.split(",")
    if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not two whole numbers with a comma between")
    return int(parts[0]), int(parts[1])


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def _between(text: str, good: bool, what: str) -> float:  # noqa: FBT001 - whether it is
    if not good:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number {what}")
    return float(text)
