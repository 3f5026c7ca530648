"""How a campaign was measured."""

from clipact._progress import duration
from clipact.faults import Result
from clipact.report._page import Section, Table


def measured(result: Result) -> Section:
    """What somebody needs to know to believe the numbers, or to measure them again."""
    columns = result.columns
    asked = result.trials_per_fault * len(result.faults)
    each = (
        f"{result.trials_per_fault:,} for each of {len(result.faults)} fault models"
        if len(result.faults) > 1
        else ""
    )
    rows = [
        ["fault models", ", ".join(map(str, result.faults))],
        ["target", result.target],
        ["number format", str(result.format)],
        ["bits that can be hit", f"{result.population:,}"],
        ["faults last", result.lifetime],
        ["sampling", result.sampling],
        ["seed", str(result.seed)],
        ["data", result.data or "not said by the evaluation"],
        ["golden run", ", ".join(f"{m} {v:.6g}" for m, v in result.golden.items())],
        ["trials", f"{len(result):,} done of {asked:,}" + (f" ({each})" if each else "")],
        ["time in trials", _time(float(columns.seconds.sum()), len(result))],
    ]
    return Section("How this was measured", tables=[Table(["", ""], rows, prose=True)])


def _time(seconds: float, trials: int) -> str:
    each = 1000.0 * seconds / trials if trials else 0.0
    return f"{duration(seconds)}, {each:.3g} ms each"
