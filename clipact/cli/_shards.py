"""What shards brought to a merged store, in words."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from clipact._text import aligned
from clipact.faults import FaultModel, Result

_SHOWN = 5  # gaps


def account(parts: Mapping[Path, Result], whole: Result) -> str:
    """A table: of each store its trials, and how many of them an earlier one had too; then the sum."""
    seen = [np.empty(0, dtype=np.int64) for _ in whole.faults]
    rows: list[list[str]] = []
    for path, result in parts.items():
        twice = 0
        for place, fault in enumerate(whole.faults):
            own = _trials(result, fault)
            twice += int(np.isin(own, seen[place]).sum())
            seen[place] = np.union1d(seen[place], own)
        rows.append(_row(str(path), result, f"{twice:,}"))
    rows.append(_row("together", whole, ""))
    return aligned(["store", "trials", "in an earlier one too", "failed"], rows)


def missing(whole: Result) -> str:
    """Which trials are not there yet."""
    asked = whole.trials_per_fault
    lines: list[str] = []
    for fault in whole.faults:
        there = _trials(whole, fault)
        if there.size < asked:
            counted = f"{fault}: {asked - there.size:,} of {asked:,} trials missing"
            uneven = fault in whole.estimators  # their numbers are not those from 0 on
            gone = "" if uneven else f": {_ranges(np.setdiff1d(np.arange(asked), there))}"
            lines.append(counted + gone)
    return "\n".join(lines) or f"complete: {asked:,} trials of each fault model"


def _trials(result: Result, fault: FaultModel) -> npt.NDArray[np.int64]:
    return result.columns.trial[result.rows(fault)]


def _row(name: str, result: Result, twice: str) -> list[str]:
    return [name, f"{len(result):,}", twice, f"{len(result.columns.errors):,}"]


def _ranges(numbers: npt.NDArray[np.int64]) -> str:
    parts = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    shown = [f"{p[0]}" if p.size == 1 else f"{p[0]}–{p[-1]}" for p in parts[:_SHOWN]]
    return ", ".join(shown) + (", …" if len(parts) > _SHOWN else "")
