"""A part of a campaign, for schedulers that start the processes themselves."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, final

from clipact.errors import CampaignError
from clipact.faults._streams import is_integer

_ARRAY: Final = "SLURM_ARRAY_TASK"
_SLURM: Final = f"{_ARRAY}_ID"
_TORCHRUN: Final = "RANK"
_KUBERNETES: Final = "JOB_COMPLETION_INDEX"


@final
@dataclass(frozen=True)
class Shard:
    """One of ``count`` parts of a campaign: every trial whose number leaves ``index`` when divided by ``count``.

    The parts have no trial in common and together have all, whoever runs them, in whatever order, and however many trials there
    are. Each writes a store of its own; ``clipact merge`` makes one of them.

    Args:
        index: Which part, from 0.
        count: How many parts there are.

    Raises:
        CampaignError: There is no such part.

    Examples:
        >>> shard = Shard.parse("1/4")
        >>> [trial for trial in range(10) if shard.picks(trial)]
        [1, 5, 9]
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if not (is_integer(self.index) and is_integer(self.count)):
            raise CampaignError(f"Shard({self.index!r}, {self.count!r}): give two integers")
        if self.count < 1:
            raise CampaignError(f"a campaign has 1 shard or more, not {self.count}")
        if not 0 <= self.index < self.count:
            raise CampaignError(
                f"there is no shard {self.index} of {self.count}; they are counted from 0 to {self.count - 1}"
            )

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read ``"index/count"``, such as ``"0/4"`` for the first of four.

        Raises:
            CampaignError: It does not say a shard.
        """
        found = re.fullmatch(r"(\d+)/(\d+)", text.strip(), re.ASCII)
        if found is None:
            raise CampaignError(f"{text!r} is not a shard; write index/count, such as 0/4 to 3/4")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str] = os.environ, *, count: int | None = None
    ) -> "Shard":
        """Read what a scheduler says: a Slurm array, an indexed job of Kubernetes, or torchrun.

        A Slurm array says how many tasks it has, of which a second array that repeats only some has fewer: give ``count``
        then, which makes the task's number the index. Kubernetes does not say, so give ``count`` or set
        ``JOB_COMPLETIONS``.

        Args:
            environ: Where to read.
            count: How many shards there are, if the scheduler does not know.

        Raises:
            CampaignError: Nothing, or more than one scheduler, says which shard this is, or it says nonsense.
        """
        found = list(_schedulers(environ, count))
        if not found:
            raise CampaignError(
                f"no scheduler says which shard this is ({_SLURM}, {_KUBERNETES} or {_TORCHRUN} is not set); give it as"
                " index/count"
            )
        if len(found) > 1:
            raise CampaignError(
                f"{' and '.join(each.scheduler for each in found)} are set, and each could say which shard this is; give it as"
                " index/count"
            )
        return cls(found[0].part, found[0].parts)

    def picks(self, trial: int) -> bool:
        """Whether a trial is of this part."""
        return trial % self.count == self.index

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


class _Said(NamedTuple):
    scheduler: str
    part: int
    parts: int


def _schedulers(environ: Mapping[str, str], count: int | None) -> Iterator[_Said]:
    if _SLURM in environ:
        yield _slurm(environ, count)
    if _KUBERNETES in environ:
        parts = _number(environ, "JOB_COMPLETIONS") if count is None else count
        yield _Said(_KUBERNETES, _number(environ, _KUBERNETES), parts)
    if _TORCHRUN in environ:
        parts = _number(environ, "WORLD_SIZE") if count is None else count
        yield _Said(_TORCHRUN, _number(environ, _TORCHRUN), parts)


def _slurm(environ: Mapping[str, str], count: int | None) -> _Said:
    task = _number(environ, _SLURM)
    if count is not None:
        return _Said(_SLURM, task, count)
    first, last = _number(environ, f"{_ARRAY}_MIN"), _number(environ, f"{_ARRAY}_MAX")
    parts = _number(environ, f"{_ARRAY}_COUNT")
    if first > 1 or last - first + 1 != parts:
        raise CampaignError(
            f"the Slurm array has {parts} tasks from {first} to {last}, as one that repeats some of another has, so its numbers do"
            " not say which shard of how many this is; use an array such as 0-15, or give count="
        )
    return _Said(_SLURM, task - first, parts)


def _number(environ: Mapping[str, str], name: str) -> int:
    text = environ.get(name)
    if text is None:
        raise CampaignError(
            f"{name} is not set, so there is no telling which shard of how many this is; give count="
        )
    if not re.fullmatch(r"\d+", text.strip(), re.ASCII):
        raise CampaignError(
            f"{name} is {text!r}, not a number, so there is no telling which shard this is"
        )
    return int(text)
