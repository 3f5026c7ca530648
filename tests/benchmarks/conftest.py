from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    """The benchmarks are scripts that import their neighbours."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
