import subprocess
import sys

import pytest

from clipact.cli import main


def test_help_and_version(capsys):
    for argument in ("--help", "--version"):
        with pytest.raises(SystemExit) as exit_:
            main([argument])
        assert exit_.value.code == 0
    assert "clipact" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "--trials", "0"],
        ["demo", "--trials", "x"],
        ["demo", "--seed", "-1"],
        ["demo", "--seed", str(10**23)],
        ["demo", "--dataset", "mnist"],
        [],
    ],
)
def test_bad_arguments(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_a_data_set_that_is_not_there(tmp_path, monkeypatch, capsys):
    from torchvision import datasets

    def refuse(*_args, **_kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(datasets.CIFAR10, "download", refuse)
    assert (
        main(
            [
                "demo",
                "--dataset",
                "cifar10",
                "--data",
                str(tmp_path),
                "--out",
                str(tmp_path / "out"),
            ]
        )
        == 2
    )
    error = capsys.readouterr().err
    assert "could not be downloaded (no route to host)" in error
    assert "--dataset digits" in error
    assert not any((tmp_path / "out").iterdir())


def test_an_output_that_cannot_be_written_is_found_before_the_work(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        assert main(["demo", "--out", str(out), "--data", str(tmp_path)]) == 2
        assert "cannot write to --out" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


def test_a_missing_extra_is_found_before_the_work(tmp_path, monkeypatch, capsys):
    from clipact.cli import _write

    monkeypatch.setattr(_write, "find_spec", lambda name: None if name == "pandas" else object())
    assert main(["demo", "--out", str(tmp_path)]) == 2
    assert "the demo needs pandas" in capsys.readouterr().err


@pytest.mark.slow
def test_the_demo_on_real_digits(tmp_path):
    out = tmp_path / "out"
    arguments = [
        "demo",
        "--trials",
        "4",
        "--epochs",
        "6",
        "--out",
        str(out),
        "--no-progress",
        "--test-images",
        "200",
    ]
    found = subprocess.run([sys.executable, "-c", "import sys; from clipact.cli import main; sys.exit(main())", *arguments],
                           capture_output=True, text=True, check=True)  # fmt: skip
    assert "weights in Q15.16" in found.stdout
    for method in (
        "unprotected",
        "ClipToZero + output guard",
        "FTClipAct",
        "FitAct",
        "ProAct",
        "BudgetedPercentile",
    ):
        assert method in found.stdout
    assert {path.name for path in out.glob("*.png")} == {"accuracy_Q15.16.png", "accuracy_fp32.png"}
    assert len(list(out.glob("trials_*.csv"))) == 16
    page = (out / "index.html").read_text()
    assert page.count("<svg") == 2
    assert "scikit-learn digits" in page
