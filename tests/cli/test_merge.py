from clipact.cli import main
from clipact.faults import Store


def test_shards_become_one_store_and_the_account_is_printed(stored, tmp_path, capsys):
    parts = [stored("a.sqlite", range(6)), stored("b.sqlite", range(4, 9))]
    out = tmp_path / "all.sqlite"
    assert main(["merge", str(out), *map(str, parts)]) == 0
    merged = Store.read(out)
    assert merged.columns.trial.tolist() == [*range(9)] * 2
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1:] for line in lines[2:4]] == [["12", "0", "0"], ["10", "4", "0"]]
    assert lines[4].split() == ["together", "18", "0"]
    assert lines[5] == "BitFlip(rate=1e-06): 1 of 10 trials missing: 9"
    assert len(lines) == 7


def test_a_complete_campaign_and_a_store_that_is_there_already(stored, tmp_path, capsys):
    out = stored("all.sqlite", [0, 1])
    rest = stored("rest.sqlite", range(2, 10))
    assert main(["merge", str(out), str(rest)]) == 0
    said = capsys.readouterr().out
    assert str(out) in said
    assert said.splitlines()[-1] == "complete: 10 trials of each fault model"
    assert len(Store.read(out)) == 20


def test_many_gaps_are_cut_short(stored, tmp_path, capsys):
    shard = stored("a.sqlite", range(0, 40, 3), trials=40)
    assert main(["merge", str(tmp_path / "all.sqlite"), str(shard)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith("26 of 40 trials missing: 1–2, 4–5, 7–8, 10–11, 13–14, …")


def test_other_campaigns_are_refused(stored, tmp_path, capsys):
    parts = [stored("a.sqlite", range(5)), stored("b.sqlite", range(5), seed=1)]
    assert main(["merge", str(tmp_path / "all.sqlite"), *map(str, parts)]) == 2
    assert "seed" in capsys.readouterr().err
    assert not (tmp_path / "all.sqlite").exists()
