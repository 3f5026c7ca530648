"""Predicates that say *where*: which sites to replace, which tensors to fault.

A predicate looks at candidates, each a name and a type, in execution order, and picks some of them. Predicates
combine with ``&``, ``|`` and ``~``:

>>> from torch import nn
>>> from clipact.where import Candidate, last, named, of_type, select
>>> sites = [Candidate("stem.relu", nn.ReLU), Candidate("head.act", nn.GELU), Candidate("head.relu", nn.ReLU)]
>>> [site.name for site in select(named("head*") & of_type(nn.ReLU), sites)]
['head.relu']
>>> [site.name for site in select(~last(1), sites)]
['stem.relu', 'head.act']

What a predicate sees is a :class:`Candidate`. For sites the type is the activation's (``nn.ReLU`` also for
``F.relu``), for parameters that of the module which owns them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Protocol, TypeVar, final

from clipact.errors import SelectionError

__all__ = [
    "Candidate",
    "Named",
    "Where",
    "anywhere",
    "last",
    "matching",
    "named",
    "of_type",
    "select",
]


class Named(Protocol):
    """Anything with a dotted name and a type."""

    @property
    def name(self) -> str:
        """Dotted name, as in ``model.named_modules()``."""
        ...

    @property
    def kind(self) -> type:
        """The type that :func:`of_type` compares with."""
        ...


@final
@dataclass(frozen=True)
class Candidate:
    """A plain :class:`Named`: a dotted name and a type."""

    name: str
    kind: type


Item = TypeVar("Item", bound=Named)


class Where(ABC):
    """A predicate over a whole list of candidates; combine with ``&``, ``|`` and ``~``."""

    @abstractmethod
    def mask(self, items: Sequence[Named]) -> list[bool]:
        """One bool a candidate, in order."""

    def __and__(self, other: "Where") -> "Where":
        return _Both(self, other)

    def __or__(self, other: "Where") -> "Where":
        return _Either(self, other)

    def __invert__(self) -> "Where":
        return _Not(self)


@final
@dataclass(frozen=True)
class _Both(Where):
    left: Where
    right: Where

    def mask(self, items: Sequence[Named]) -> list[bool]:
        return [a and b for a, b in zip(self.left.mask(items), self.right.mask(items), strict=True)]


@final
@dataclass(frozen=True)
class _Either(Where):
    left: Where
    right: Where

    def mask(self, items: Sequence[Named]) -> list[bool]:
        return [a or b for a, b in zip(self.left.mask(items), self.right.mask(items), strict=True)]


@final
@dataclass(frozen=True)
class _Not(Where):
    inner: Where

    def mask(self, items: Sequence[Named]) -> list[bool]:
        return [not a for a in self.inner.mask(items)]


@final
@dataclass(frozen=True)
class _Named(Where):
    patterns: tuple[str, ...]

    def mask(self, items: Sequence[Named]) -> list[bool]:
        names = [item.name for item in items]
        for pattern in self.patterns:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise SelectionError(
                    f"named({pattern!r}) matches none of {len(names)} names{_hint(pattern, names)}"
                )
        return [any(fnmatchcase(name, pattern) for pattern in self.patterns) for name in names]


@final
@dataclass(frozen=True)
class _OfType(Where):
    types: tuple[type, ...]

    def mask(self, items: Sequence[Named]) -> list[bool]:
        return [issubclass(item.kind, self.types) for item in items]


@final
@dataclass(frozen=True)
class _Last(Where):
    count: int

    def mask(self, items: Sequence[Named]) -> list[bool]:
        return [index >= len(items) - self.count for index in range(len(items))]


@final
@dataclass(frozen=True)
class _Matching(Where):
    test: Callable[[Named], bool]

    def mask(self, items: Sequence[Named]) -> list[bool]:
        return [bool(self.test(item)) for item in items]


def named(*patterns: str) -> Where:
    """Candidates whose dotted name matches one of the globs; ``*`` also matches dots.

    Raises:
        SelectionError: When used, if one of the patterns matches no candidate at all (a typing error, usually).
        ValueError: No pattern given.
    """
    if not patterns:
        raise ValueError("named() needs at least one pattern, for example named('layer4*')")
    return _Named(patterns)


def of_type(*types: type) -> Where:
    """Candidates of these types or their subclasses.

    Raises:
        ValueError: No type given.
    """
    if not types:
        raise ValueError("of_type() needs at least one type, for example of_type(nn.ReLU)")
    return _OfType(types)


def last(count: int = 1) -> Where:
    """The last ``count`` candidates in execution order.

    Raises:
        ValueError: ``count`` is not positive.
    """
    if count < 1:
        raise ValueError(f"last({count}) selects nothing; the count must be at least 1")
    return _Last(count)


def matching(test: Callable[[Named], bool]) -> Where:
    """Candidates for which a function of yours, ``test(candidate) -> bool``, says yes."""
    return _Matching(test)


def anywhere() -> Where:
    """Every candidate."""
    return _Matching(lambda _: True)


def select(where: "Where | None", items: Sequence[Item], *, what: str = "candidates") -> list[Item]:
    """The items that ``where`` picks (all of them for None), in order.

    Args:
        where: A predicate, or None for everything.
        items: Candidates in execution order.
        what: What the candidates are, for the error message.

    Raises:
        SelectionError: Nothing is picked.
    """
    if where is None:
        chosen = list(items)
    else:
        chosen = [item for item, picked in zip(items, where.mask(items), strict=True) if picked]
    if not chosen:
        raise SelectionError(_nothing(where, [item.name for item in items], what))
    return chosen


def _nothing(where: "Where | None", names: list[str], what: str) -> str:
    if not names:
        return f"there are no {what} to choose from"
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    return f"{where} picks none of the {len(names)} {what}: {shown}"


def _hint(pattern: str, names: list[str]) -> str:
    close = get_close_matches(pattern, names, n=3, cutoff=0.4) or names[:5]
    return (
        f"; there is {', '.join(map(repr, close))}{', …' if len(names) > len(close) else ''}"
        if close
        else ""
    )
