import sys

import pytest

from clipact.cli._load import LoadError, call, load
from clipact.errors import CampaignError


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A file of a name that nothing else has; gone from the interpreter afterwards."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    path = tmp_path / f"study_{tmp_path.name}.py"

    def written(text):
        path.write_text(text)
        return path

    yield written
    sys.modules.pop(path.stem, None)


def test_a_name_in_a_file(study):
    path = study("class A:\n    b = 3\n\ndef f():\n    return __name__\n")
    assert load(f"{path}:A.b") == 3
    function = load(f"{path}:f")
    assert call("x:f", function) == path.stem
    assert sys.modules[path.stem].f is function  # as worker processes find it


def test_neighbours_are_found(study, tmp_path):
    (tmp_path / "neighbour_of_study.py").write_text("VALUE = 7\n")
    assert load(f"{study('from neighbour_of_study import VALUE')}:VALUE") == 7
    del sys.modules["neighbour_of_study"]


def test_a_name_in_a_module():
    assert load("math:pi") == pytest.approx(3.14159, abs=1e-4)


@pytest.mark.parametrize(
    "reference", ["study.py", "study.py:", ":name", "study.py:1x", "", "a b:c.", "C:\\x"]
)
def test_what_is_no_reference(reference):
    with pytest.raises(
        LoadError, match=r"names nothing; give a file and a name in it|there is no module"
    ):
        load(reference)


def test_what_is_not_there(study, tmp_path):
    with pytest.raises(LoadError, match="there is no file"):
        load(f"{tmp_path / 'none.py'}:x")
    with pytest.raises(
        LoadError, match=r"there is no module 'nothing.here'; a file is named with its ending"
    ):
        load("nothing.here:x")
    with pytest.raises(LoadError, match="has no 'x'; it has campaign, other"):
        load(f"{study('import os; campaign = 1; other = 2; _hidden = 3')}:x")


def test_a_file_that_hides_behind_another_module(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "json.py").write_text("x = 1")
    with pytest.raises(LoadError, match="is hidden by another module called 'json'"):
        load(f"{tmp_path / 'json.py'}:x")
    (tmp_path / "my-study.py").write_text("x = 1")
    with pytest.raises(LoadError, match="rename it to letters, digits and underscores"):
        load(f"{tmp_path / 'my-study.py'}:x")


def test_a_file_that_raises_shows_where(study, capsys):
    with pytest.raises(LoadError, match="cannot be imported: ZeroDivisionError: division by zero"):
        load(f"{study('x = 1 / 0')}:x")
    assert "line 1" in capsys.readouterr().err


def test_a_function_that_raises_shows_where(capsys):
    def unlucky():
        raise KeyError("weights")

    with pytest.raises(LoadError, match=r"study.py:f\(\) raised KeyError: 'weights'"):
        call("study.py:f", unlucky)
    assert "in unlucky" in capsys.readouterr().err

    def refused():
        raise CampaignError("this is what is wrong")

    with pytest.raises(CampaignError, match=r"^this is what is wrong$"):
        call("study.py:f", refused)
