"""What shards brought to a merged store, in words."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from clipact._text import aligned
from clipact.faults import Result

_SHOWN = 5  # gaps


def account(parts: Mapping[Path, Result], whole: Result) -> str:
    """A table: of each store its trials, and how many of them an earlier one had too; then the sum."""
    asked = max([whole.trials_per_fault, *(result.trials_per_fault for result in parts.values())])
    seen = np.empty(0, dtype=np.int64)
    rows: list[list[str]] = []
    for path, result in parts.items():
        own = _keys(result, asked)
        twice = int(np.isin(own, seen).sum())
        seen = np.union1d(seen, own)
        rows.append([str(path), f"{own.size:,}", f"{twice:,}", f"{len(result.columns.errors):,}"])
    rows.append(["together", f"{len(whole):,}", "", f"{len(whole.columns.errors):,}"])
    return aligned(["store", "trials", "in an earlier one too", "failed"], rows)


def missing(whole: Result) -> str:
    """Which trials are not there yet."""
    asked = whole.trials_per_fault
    lines: list[str] = []
    for fault in whole.faults:
        there = np.zeros(asked, dtype=np.bool_)
        there[whole.columns.trial[whole.rows(fault)]] = True
        gone = np.flatnonzero(~there)
        if gone.size:
            lines.append(f"{fault}: {gone.size:,} of {asked:,} trials missing: {_ranges(gone)}")
    return "\n".join(lines) or f"complete: {asked:,} trials of each fault model"


def _keys(result: Result, asked: int) -> npt.NDArray[np.int64]:
    """A number for each trial, the same in every store of a campaign."""
    return result.columns.fault * asked + result.columns.trial


def _ranges(numbers: npt.NDArray[np.int64]) -> str:
    parts = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    shown = [f"{p[0]}" if p.size == 1 else f"{p[0]}–{p[-1]}" for p in parts[:_SHOWN]]
    return ", ".join(shown) + (", …" if len(parts) > _SHOWN else "")
