"""What the demo leaves behind: a page, its pictures and the rows behind them."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile

from clipact import faults
from clipact.cli._demo import Outcome, Plan
from clipact.cli._tables import conditions, difference_table, event_table, method_table
from clipact.errors import ClipactError, MissingExtraError
from clipact.report import Section, accuracy_vs_ber, write_page

_LEAD = (
    "What a trained network loses when its memory flips bits, and what clipped activations save. Unprotected, one "
    "flipped high bit makes one activation huge, and every layer behind it carries that on. Ranger holds such a value "
    "at the largest one seen in training data; ClipToZero drops it to 0; the output guard maps a logit that is out "
    "of its range to its class minimum. FTClipAct searches for smaller thresholds by injecting faults, FitAct and ProAct "
    "train them, BudgetedPercentile takes the smallest that held-out images allow."
)


class OutputError(ClipactError, OSError):
    """The demo's results cannot be written."""


def prepare(folder: Path) -> None:
    """Make the folder and see that everything is installed, before hours of work depend on it.

    Raises:
        OutputError: The folder cannot be made or written to.
        MissingExtraError: A package is missing.
    """
    missing = [name for name in ("matplotlib", "jinja2", "pandas") if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"the demo needs {', '.join(missing)}, not installed here: pip install 'clipact[demo]'"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"cannot write to --out {folder}: {error.strerror}; name a folder that can be made"
        ) from error


def write(plan: Plan, outcome: Outcome, folder: Path) -> Path:
    """Write ``index.html``, a PNG for each number format, and every trial as CSV; returns the page's path."""
    sections = [_section(name, results, outcome) for name, results in outcome.results.items()]
    for name, results in outcome.results.items():
        accuracy_vs_ber(results, title=_title(name, outcome)).savefig(
            folder / f"accuracy_{name}.png", dpi=150
        )
        for method, result in results.items():
            rows = result.to_pandas()
            rows.to_csv(folder / f"trials_{name}_{method.replace(' ', '_')}.csv", index=False)
    about = Section("How this was measured", conditions(plan, outcome))
    return write_page(
        folder / "index.html", f"Bit flips on {outcome.data.name}", _LEAD, [*sections, about]
    )


def _section(name: str, results: Mapping[str, faults.Result], outcome: Outcome) -> Section:
    tables = [method_table(results), difference_table(outcome.comparisons()[name])]
    tables += [event_table(results, event) for event in ("sdc", "due")]
    text = (
        "Mean over trials with its interval; differences in accuracy are of the same faults in both models. SDC (silent data "
        "corruption): predictions that differ from the golden run; DUE (detected unrecoverable error): outputs with NaN or Inf."
    )
    return Section(
        f"Weights in {name}", text, [accuracy_vs_ber(results, title=_title(name, outcome))], tables
    )


def _title(name: str, outcome: Outcome) -> str:
    return f"{outcome.data.name}, weights in {name}"
