import subprocess
import sys

import pytest

from clipact.cli import main
from clipact.faults import Classification, Store

STUDY = """
import torch
from torch import nn

from clipact import faults

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
inputs = torch.randn(12, 6)
loader = [(inputs, model(inputs).argmax(1))]


def evaluation():
    return faults.Classification(loader)


def make():
    return faults.Campaign(model, evaluation(), fault=faults.BitFlip(count=1), target=faults.Weights(), trials=20)


def stop(net):
    raise KeyboardInterrupt


campaign = make()
number = 7
"""


AGAIN = """

def right(net):
    return {"accuracy": (net(inputs).argmax(1) == loader[0][1]).double().mean()}


def own():
    return faults.Campaign(model, right, fault=faults.BitFlip(count=1), target=faults.Weights(), trials=20)
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    path = tmp_path / f"study_{tmp_path.name}.py"
    path.write_text(STUDY)
    yield path
    sys.modules.pop(path.stem, None)


def rows(path):
    columns = Store.read(path).columns
    return [columns.trial.tolist(), columns.digest.tolist(), columns.metrics["accuracy"].tolist()]


@pytest.mark.parametrize("name", ["campaign", "make"])
def test_a_campaign_or_a_function_that_returns_one(study, name, capsys):
    assert main(["run", f"{study}:{name}", "--no-progress"]) == 0
    said = capsys.readouterr()
    assert "BitFlip(count=1)" in said.out
    assert "20" in said.out
    assert said.err == ""


def test_more_trials_than_the_file_says(study, tmp_path):
    store = tmp_path / "run.sqlite"
    for trials in (5, 8):
        command = ["run", f"{study}:make", "--store", str(store), "--trials", str(trials)]
        assert main([*command, "--no-progress"]) == 0
        assert rows(store)[0] == [*range(trials)]


def test_it_ends_when_the_mean_is_known_well_enough(study, tmp_path, capsys):
    store = tmp_path / "run.sqlite"
    command = ["run", f"{study}:make", "--store", str(store), "--trials", "400", "--no-progress"]
    assert main([*command, "--margin", "0.2", "--metric", "accuracy"]) == 0
    assert rows(store)[0] == [*range(150)]
    assert main([*command, "--margin", "0.2", "--shard", "0/2"]) == 2
    assert "shard" in capsys.readouterr().err


def test_shards_go_on_and_merge_to_what_one_run_gives(study, tmp_path, capsys):
    whole = tmp_path / "whole.sqlite"
    assert main(["run", f"{study}:make", "--store", str(whole)]) == 0
    assert f"20 trials in {whole}" in capsys.readouterr().out
    parts = [tmp_path / f"part{i}.sqlite" for i in range(3)]
    for _ in range(2):  # the second time there is nothing left to do
        for i, part in enumerate(parts):
            command = ["run", f"{study}:make", "--store", str(part), "--shard", f"{i}/3"]
            assert main([*command, "--no-replay", "--no-progress"]) == 0
    assert len(Store.read(parts[0])) == 7
    assert main(["merge", str(tmp_path / "all.sqlite"), *map(str, parts)]) == 0
    assert rows(tmp_path / "all.sqlite") == rows(whole)


def test_the_shard_of_a_scheduler(study, tmp_path, monkeypatch):
    for name, value in {"ID": "2", "MIN": "1", "MAX": "4", "COUNT": "4"}.items():
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", value)
    store = tmp_path / "part.sqlite"
    assert main(["run", f"{study}:make", "--store", str(store), "--shard", "env"]) == 0
    assert rows(store)[0] == [1, 5, 9, 13, 17]
    assert main(["run", f"{study}:make", "--store", f"{store}.2", "--shard", "env/5"]) == 0
    assert rows(f"{store}.2")[0] == [2, 7, 12, 17]


def test_ctrl_c_says_what_is_kept(study, tmp_path, capsys, monkeypatch):
    judge, calls = Classification.judge, []

    def interrupted(self, *arguments):
        calls.append(1)
        if len(calls) > 8:
            raise KeyboardInterrupt
        return judge(self, *arguments)

    monkeypatch.setattr(Classification, "judge", interrupted)
    store = tmp_path / "run.sqlite"
    command = ["run", f"{study}:make", "--store", str(store), "--no-progress"]
    assert main(command) == 130
    said = capsys.readouterr().err
    assert said.startswith("clipact: interrupted after ")
    assert str(store) in said
    monkeypatch.setattr(Classification, "judge", judge)
    assert main(command) == 0
    assert len(Store.read(store)) == 20


@pytest.mark.slow
def test_workers_find_the_file(study, tmp_path):
    """As from a terminal: a process of its own, whose workers import the study by its name."""
    study.write_text(STUDY + AGAIN)
    alone, shared = tmp_path / "alone.sqlite", tmp_path / "shared.sqlite"
    code = "import sys; from clipact.cli import main\nif __name__ == '__main__': sys.exit(main())"
    for store, options in ((alone, ["--no-replay"]), (shared, ["--workers", "2"])):
        command = [
            sys.executable,
            "-c",
            code,
            "run",
            f"{study}:own",
            "--store",
            str(store),
            *options,
        ]
        found = subprocess.run(
            command, capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path
        )
        assert found.returncode == 0, found.stderr
    assert rows(shared) == rows(alone)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{study}:number"], "is a int; name a faults.Campaign, or a function"),
        (["{study}:evaluation"], "is a Classification; name a faults.Campaign, or a function"),
        (["{study}:nothing"], "has no 'nothing'; it has"),
        (["{study}:make", "--shard", "4/4"], "there is no shard 4 of 4"),
        (["{study}:make", "--shard", "first"], "'first' is not a shard"),
        (["{study}:make", "--shard", "env/x"], "'0/x' is not a shard"),
        (["{study}:make", "--store", "{study}"], "is not a store"),
    ],
)
def test_what_cannot_be_run(study, arguments, said, capsys):
    assert main(["run", *(part.format(study=study) for part in arguments)]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--workers", "0"], ["--verify", "2"], ["--trials", "none"]])
def test_bad_arguments(options, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["run", "study.py:campaign", *options])
    assert exit_.value.code == 2
    assert "is not a" in capsys.readouterr().err
