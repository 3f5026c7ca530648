"""Strata with too few trials go together with their neighbours."""

from collections.abc import Sequence

import numpy as np

from clipact.faults._results._kept import Integers, Numbers

LEAST = 2
"""Trials of a stratum; its variance cannot be told from fewer."""

_ROUNDING = 1e-9


def merged(expected: Numbers, families: Integers) -> list[Integers]:
    """Neighbouring cells put together until each group has its two trials, families first.

    Cells of one family go together in their order; only families that have fewer than two trials as a whole go together
    with the next ones. Nothing is merged with trials enough, all is one group with hardly any.

    Args:
        expected: Of each cell, how many of the trials it has by its size, shape ``(cells,)``.
        families: Of each cell, the number of its family.

    Returns:
        The cells of each group.
    """
    groups: list[Integers] = []
    for family in range(int(families.max()) + 1):
        cells = np.flatnonzero(families == family)
        groups += [cells[chunk] for chunk in _chunks(expected[cells].tolist())]
    chunks = _chunks([float(expected[group].sum()) for group in groups])
    return [np.concatenate([groups[place] for place in chunk]) for chunk in chunks]


def _chunks(expected: Sequence[float]) -> list[list[int]]:
    """Places in a row whose sums come to two; a rest that does not joins the last."""
    chunks: list[list[int]] = []
    rest: list[int] = []
    total = 0.0
    for place, trials in enumerate(expected):
        rest.append(place)
        total += trials
        if total > LEAST - _ROUNDING:
            chunks.append(rest)
            rest, total = [], 0.0
    if rest and chunks:
        chunks[-1] += rest
    elif rest:
        chunks.append(rest)
    return chunks
