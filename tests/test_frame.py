"""Data frames, with pandas and without it."""

import sys

import pytest

from clipact._frame import data_frame
from clipact.errors import MissingExtraError


def test_rows_or_columns():
    pytest.importorskip("pandas")
    rows = data_frame([{"layer": "a", "zeros": 1}, {"layer": "b", "zeros": 2}])
    columns = data_frame({"layer": ["a", "b"], "zeros": [1, 2]})
    assert list(rows.columns) == ["layer", "zeros"]
    assert rows.equals(columns)
    assert rows["zeros"].tolist() == [1, 2]


def test_without_pandas_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(
        MissingExtraError, match=r"to_pandas\(\) needs pandas: pip install 'clipact\[pandas\]'"
    ):
        data_frame([{"layer": "a"}])
