"""How much accuracy ProAct may lose, in held-out samples, and whether it made use of that."""

from collections.abc import Mapping, Sequence
from typing import Any

from clipact.errors import TrainingError
from clipact.methods._trained._ladder import Bar

__all__ = ["check_tolerance", "samples_allowed", "unused"]


def check_tolerance(tolerance: float) -> None:
    """Refuse what is no share.

    Raises:
        TrainingError: It is not from 0 to below 1.
    """
    if not 0 <= tolerance < 1:
        raise TrainingError(
            f"tolerance={tolerance} asked for; it is a share of the held-out images, and 0.015 is 1.5 points"
        )


def samples_allowed(tolerance: float, samples: int) -> int:
    """How many more held-out samples may be classified wrongly.

    Raises:
        TrainingError: The tolerance is above 0, but smaller than one sample.
    """
    if 0 < tolerance < (1 - 1e-9) / samples:
        raise TrainingError(
            f"tolerance={tolerance:g} asked for, but one of the {samples} held-out images is {1 / samples:.3g} of them;"
            f" ask for at least {1 / samples:.3g}, or hold {round(1 / tolerance)} images back"
        )
    return int(tolerance * samples + 1e-9)


def unused(history: Sequence[Mapping[str, Any]], bar: Bar, batches: int) -> str | None:
    """What to change if every stage kept the first decay it tried and most of the tolerance is left; else None.

    Args:
        history: A row an attempt.
        bar: What attempts had to reach.
        batches: Steps an epoch.
    """
    first: dict[str, Mapping[str, Any]] = {}
    for row in history:
        first.setdefault(row["stage"], row)
    kept = list(first.values())
    if not kept or not all(row["accepted"] for row in kept):
        return None
    lost = max(round(kept[-1]["drop"] * bar.samples), 0)
    if 2 * lost >= bar.allowed:
        return None
    steps = batches * max(row["epochs"] for row in kept)
    return (
        f"every stage kept the first decay it tried, and {lost} of the {bar.allowed} held-out samples that the tolerance allows"
        f" were lost, so thresholds could be lower. A decay acts in each step, and no stage had more than {steps}: give more"
        " (smaller batches, more epochs) or stronger decays"
    )
