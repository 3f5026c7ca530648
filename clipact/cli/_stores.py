"""Where the numbers of a page come from."""

from collections.abc import Iterable
from pathlib import Path

from clipact.faults import Store
from clipact.report import Section, Table

_DIGITS = 12  # of a hash


def stores(names: Iterable[str], paths: Iterable[Path]) -> Section:
    """The stores of a page: what they hold, of which weights, found with which versions."""
    rows: list[list[str]] = []
    for name, path in zip(names, paths, strict=True):
        identity = Store.identify(path)
        versions = [f"clipact {identity.clipact}", f"torch {identity.torch}"]
        rows.append(
            [name, str(path), ", ".join(versions), identity.dtype, identity.weights[:_DIGITS]]
        )
    return Section(
        "Stores",
        tables=[
            Table(["campaign", "file", "versions", "types", "weights (SHA-256)"], rows, prose=True)
        ],
    )
