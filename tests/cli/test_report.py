import pytest
import torch

from clipact import __version__
from clipact.cli import main


def test_a_page_of_one_store(stored, tmp_path, capsys):
    out = tmp_path / "new" / "page.html"
    assert main(["report", str(stored("run.sqlite", range(10))), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"20 trials: {out}\n"
    text = out.read_text()
    assert "Bit error rates from 1e-06 to 0.0001 on Weights()" in text
    assert text.count("<svg") == 5
    assert f"<td>clipact {__version__}, torch {torch.__version__}</td>" in text


def test_several_are_compared_by_their_names(stored, tmp_path):
    plain, clipped = (
        stored("plain.sqlite", range(10), worse=0.2),
        stored("clipped.sqlite", range(10)),
    )
    out = tmp_path / "page.html"
    assert main(["report", str(plain), str(clipped), "--out", str(out), "--title", "Both"]) == 0
    text = out.read_text()
    assert "<h1>Both</h1>" in text
    assert '<h2 class="chapter">plain</h2>' in text
    assert "of plain" in text


def test_how_it_is_looked_at(stored, tmp_path):
    out = tmp_path / "page.html"
    options = ["--metric", "accuracy", "--margin", "0.02", "--confidence", "0.9"]
    assert main(["report", str(stored("run.sqlite", range(10))), "--out", str(out), *options]) == 0
    assert "Means over trials with 90 % intervals" in out.read_text()


def test_what_is_not_there(stored, tmp_path, capsys):
    assert main(["report", str(tmp_path / "none.sqlite")]) == 2
    assert "none.sqlite" in capsys.readouterr().err
    store = str(stored("run.sqlite", range(4)))
    assert main(["report", store, "--metric", "f1", "--out", str(tmp_path / "x.html")]) == 2
    assert "no metric 'f1'; it has accuracy, sdc, due" in capsys.readouterr().err
    assert main(["report", store, "--out", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [["--confidence", "95"], ["--margin", "-1"], ["--tolerance", "x"]]
)
def test_bad_arguments(options, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["report", "run.sqlite", *options])
    assert exit_.value.code == 2
    assert "is not a number" in capsys.readouterr().err


def test_the_same_store_twice_is_one(stored, tmp_path):
    store = stored("run", range(6))
    page = tmp_path / "page.html"
    assert main(["report", str(store), str(store), "--out", str(page)]) == 0
    assert page.is_file()


def test_a_store_is_not_overwritten(stored, capsys):
    store = stored("run", range(6))
    before = store.read_bytes()
    assert main(["report", str(store), "--out", str(store)]) == 2
    assert "would be lost" in capsys.readouterr().err
    assert store.read_bytes() == before
