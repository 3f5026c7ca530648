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
    "arguments", [["demo", "--trials", "0"], ["demo", "--dataset", "mnist"], []]
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
    assert not (tmp_path / "out").exists()


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
    assert "ClipToZero + output guard" in found.stdout
    assert {path.name for path in out.glob("*.png")} == {"accuracy_Q15.16.png", "accuracy_fp32.png"}
    assert len(list(out.glob("trials_*.csv"))) == 8
    page = (out / "index.html").read_text()
    assert page.count("<svg") == 2
    assert "scikit-learn digits" in page
