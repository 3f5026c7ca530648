"""The rows of a result for the rest of the world."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from clipact.errors import MissingExtraError
from clipact.faults._results._atomic import replacing

if TYPE_CHECKING:
    from clipact.faults._results._result import Result

_BLOCK = 8192


def frame(result: "Result") -> Mapping[str, npt.NDArray[Any]]:
    """Columns: ``trial``, ``fault``, the metrics, ``seconds``, ``flips``, ``error``."""
    columns = result.columns
    names = np.array([str(fault) for fault in result.faults], dtype=object)
    errors = np.full(len(columns), None, dtype=object)
    for row, text in columns.errors.items():
        errors[row] = text
    return {
        "trial": columns.trial,
        "fault": names[columns.fault],
        **columns.metrics,
        "seconds": columns.seconds,
        "flips": columns.flips,
        "error": errors,
    }


def write_csv(path: Path, columns: Mapping[str, npt.NDArray[Any]]) -> Path:
    """A header and one line a row; numbers with all their digits, nothing for None."""
    with replacing(path) as new, new.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(_lines(columns))
    return path


def write_parquet(path: Path, columns: Mapping[str, npt.NDArray[Any]]) -> Path:
    """One Parquet file.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - optional, and slow to import
        from pyarrow import parquet  # noqa: PLC0415 - as above
    except ImportError:
        raise MissingExtraError(
            "to_parquet() needs pyarrow: pip install 'clipact[parquet]'"
        ) from None
    texts = {"fault", "error"}
    arrays = [pa.array(c, pa.string()) if n in texts else pa.array(c) for n, c in columns.items()]
    with replacing(path) as new:
        parquet.write_table(pa.table(arrays, names=list(columns)), new)
    return path


def _lines(columns: Mapping[str, npt.NDArray[Any]]) -> Iterable[tuple[Any, ...]]:
    rows = next(iter(columns.values())).size
    for start in range(0, rows, _BLOCK):
        part = slice(start, start + _BLOCK)
        yield from zip(*(column[part].tolist() for column in columns.values()), strict=True)
