"""The tables of a comparison of protections, and the curve of several campaigns."""

import itertools
from collections.abc import Iterator, Mapping

from _resilience import Bench, Results, Way, short

from clipact import faults


def one_curve(found: Results) -> faults.Result:
    """The campaigns of several rates as the one that they are."""
    rates = sorted(found)
    parts = [found[rate] for rate in rates]
    first = parts[0]
    return faults.Result.of(
        itertools.chain.from_iterable(part.trials for part in parts),
        golden=first.golden,
        faults=[faults.BitFlip(rate=rate) for rate in rates],
        trials_per_fault=first.trials_per_fault,
        seed=first.seed,
        target=first.target,
        format=first.format,
        population=first.population,
        data=first.data,
    )


def difference(
    one: faults.Result, baseline: faults.Result, *, same_faults: bool
) -> faults.Difference | None:
    """Trial by trial; None if they have no trial in common yet."""
    named = {"baseline": baseline, "one": one}
    row = faults.compare(named, baseline="baseline", same_faults=same_faults).rows[1]
    return row if row.pairs else None


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def methods_table(bench: Bench, ways: Mapping[str, Way]) -> str:
    """What each costs without faults."""
    memory = sum(parameter.numel() for parameter in bench.model.parameters())
    header = ["method", "clean accuracy, all test images", "thresholds", "more memory", "processor seconds to set them"]  # fmt: skip
    rows: list[list[str]] = []
    for key, way in ways.items():
        own = bench.kept(key)
        if own is not None:
            share = f"{100 * own.thresholds / memory:.3f} %" if own.thresholds else "0"
            rows.append([way.title, f"{100 * own.clean:.1f} %", f"{own.thresholds:,}", share, f"{own.seconds:.0f}"])  # fmt: skip
    return table(header, rows)


def accuracy_table(found: Mapping[str, Results], ways: Mapping[str, Way]) -> str:
    """Mean accuracy in percent with its interval, at each rate."""
    rates = sorted({rate for results in found.values() for rate in results})
    rows = [
        [ways[key].title, _golden(results), *(_mean(results.get(rate)) for rate in rates)]
        for key, results in found.items()
    ]
    return table(["method", "no faults", *map(short, rates)], rows)


def differences_table(
    found: Mapping[str, Results], ways: Mapping[str, Way], baseline: str, *, same_faults: bool
) -> str:
    """Points of accuracy more than the baseline, with the interval over pairs."""
    base = found[baseline]
    rows = [
        [ways[key].title, *_differences(results, base, same_faults=same_faults)]
        for key, results in found.items()
        if key != baseline
    ]
    return table([f"minus {ways[baseline].title}", *map(short, sorted(base))], rows)


def _differences(results: Results, base: Results, *, same_faults: bool) -> Iterator[str]:
    for rate in sorted(base):
        row = difference(results[rate], base[rate], same_faults=same_faults) if rate in results else None  # fmt: skip
        yield "" if row is None else _points(row.difference)


def _points(found: faults.Interval) -> str:
    estimate, low, high = (100 * value for value in (found.estimate, found.low, found.high))
    return f"{estimate:+.1f} [{low:+.1f}, {high:+.1f}]"


def _mean(result: faults.Result | None) -> str:
    if result is None or not len(result):
        return ""
    found = result.summary().rows[0].means["accuracy"]
    return f"{100 * found.estimate:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def _golden(results: Results) -> str:
    return f"{100 * next(iter(results.values())).golden['accuracy']:.1f}"
