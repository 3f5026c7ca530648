import re
import sys

import pytest

from clipact import faults
from clipact.cli import main

STUDY = """
from torch import nn

from clipact import faults

model = nn.Sequential(nn.Linear(40, 30), nn.ReLU(), nn.Linear(30, 10, bias=False))


def make():
    return model


def campaign():
    flips = [faults.BitFlip(count=1), faults.BitFlip(rate=0.01)]
    return faults.Campaign(model, lambda net: float(net[0].weight.sum()), fault=flips, target=faults.Weights())


def exhaustive():
    return faults.Campaign(
        model, lambda net: {"sdc": float(net[0].weight.sum() > 0)}, fault=faults.BitFlip(count=1, bits=[30]),
        target=faults.Weights(), trials=1500, sampling=faults.Exhaustive(),
    )


number = 7
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    path = tmp_path / f"plan_{tmp_path.name}.py"
    path.write_text(STUDY)
    yield path
    sys.modules.pop(path.stem, None)


def cells(said, start):
    """The cells of the row that begins so."""
    line = next(line for line in said.splitlines() if line.startswith(start))
    return re.split(r"\s{2,}", line.strip())[1:]


@pytest.mark.parametrize("name", ["model", "make"])
def test_a_model_tensor_by_tensor(study, name, capsys):
    assert (
        main(
            ["plan", "--model", f"{study}:{name}", "--target", "weights,biases", "--margin", "0.02"]
        )
        == 0
    )
    said = capsys.readouterr().out
    assert said.startswith("Weights() | Biases() in Native()\n")
    bits = 32 * (1200 + 300 + 30)
    whole = faults.sample_size(bits, margin=0.02)
    assert cells(said, "all")[1:3] == [f"{bits:,}", f"{whole:,}"]
    alone = faults.sample_size(9600, margin=0.02)
    assert cells(said, "2.weight") == ["300", "9,600", f"{whole * 9600 / bits:,.0f}", f"{alone:,}"]
    assert cells(said, "± 1 %") == [
        f"{faults.sample_size(bits, confidence=c):,}" for c in (0.95, 0.99)
    ]
    assert "bit error rate" not in said


def test_rates_and_those_that_hardly_hit(study, capsys):
    command = [
        "plan",
        "--model",
        f"{study}:model",
        "--rates",
        "1e-8,1e-4,1",
        "--fixed-point",
        "16,8",
    ]
    assert main(command) == 0
    said = capsys.readouterr().out
    bits = 16 * 1500
    assert cells(said, "1e-08") == ["0.00024", "100 %"]
    assert cells(said, "0.0001") == ["2.4", f"{100 * (1 - 1e-4) ** bits:.3g} %"]
    assert cells(said, "1   ") == ["2.4e+04", "< 0.01 %"]
    assert "Weights() in FixedPoint(bits=16, fraction=8)" in said
    assert said.count("warning: ") == 1
    assert "a rate of 1e-08 on 24,000 bits gives 0.00024 flips a trial" in said


def test_a_campaign_is_tried(study, capsys):
    assert main(["plan", "--model", f"{study}:campaign", "--probe", "0.3", "--margin", "0.05"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Weights() in Native(): 48,000 bits")
    size = faults.sample_size(48_000, margin=0.05)
    assert f"{size:,} trials" in said
    assert "1,000 trials" in said
    for fault in ("BitFlip(count=1)", "BitFlip(rate=0.01)"):
        tried, each, *_ = cells(said, fault)
        assert int(tried.replace(",", "")) >= 1
        assert float(each.removesuffix(" ms")) > 0


def test_a_campaign_that_needs_many_trials_is_tried_as_it_is(study, capsys):
    assert main(["plan", "--model", f"{study}:exhaustive", "--probe", "60"]) == 0
    assert cells(capsys.readouterr().out, "BitFlip(count=1, bits=(30,))")[0] == "1,500"


def test_a_model_of_torchvision(capsys):
    assert main(["plan", "--model", "torchvision:squeezenet1_1"]) == 0
    assert cells(capsys.readouterr().out, "features.0.weight")[:2] == ["1,728", "55,296"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["torchvision:resnet1"], "torchvision has no model 'resnet1'; it has resnet18"),
        (["{study}:number"], "is a int; name a module, a faults.Campaign, or a function"),
        (
            ["{study}:model", "--target", "activations"],
            "there is no target 'activations'; there are weights",
        ),
        (["{study}:model", "--target", "buffers"], "buffers"),
        (["{study}:model", "--fixed-point", "8,9"], "FixedPoint(bits=8, fraction=9)"),
    ],
)
def test_what_cannot_be_planned(study, arguments, said, capsys):
    model, *options = (part.format(study=study) for part in arguments)
    assert main(["plan", "--model", model, *options]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [["--rates", "0,1"], ["--rates", "x"], ["--fixed-point", "32"], ["--margin", "1"], []],
)
def test_bad_arguments(options, capsys):
    model = ["--model", "torchvision:resnet18"] if options else []
    with pytest.raises(SystemExit) as exit_:
        main(["plan", *model, *options])
    assert exit_.value.code == 2
    assert "usage" in capsys.readouterr().err
