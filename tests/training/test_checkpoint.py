import pytest
import torch
from torch import nn

from clipact.errors import TrainingError
from clipact.training import _checkpoint
from clipact.training._checkpoint import CheckpointFile, data_digest, weight_digests
from clipact.training._labelled import Labelled


def test_a_write_that_fails_leaves_the_earlier_state(tmp_path, monkeypatch):
    file = CheckpointFile(tmp_path / "a" / "run.pt", {"settings": {"x": "1"}})
    assert file.load() is None
    file.save({"step": 1})
    monkeypatch.setattr(_checkpoint.os, "fsync", lambda _: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(TrainingError, match=r"run\.pt cannot be written \(full\)"):
        file.save({"step": 2})
    assert file.load() == {"step": 1}
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["run.pt"]


def test_without_a_path_nothing_is_written():
    file = CheckpointFile(None, {})
    file.save({"step": 1})
    assert file.load() is None


def test_differences_are_named():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    before = weight_digests(model)
    model[1].bias.data[0] += 1e-6
    after = weight_digests(model)
    assert [name for name in before if before[name] != after[name]] == ["1.bias"]


def test_data_are_told_apart_by_values_labels_and_batches():
    x, y = torch.randn(4, 2), torch.arange(4)
    digests = {
        data_digest([Labelled(x, y)]),
        data_digest([Labelled(x, y.flip(0))]),
        data_digest([Labelled(x.double(), y)]),
        data_digest([Labelled(x[:2], y[:2]), Labelled(x[2:], y[2:])]),
        data_digest([Labelled({"a": x, "b": y}, y)]),
    }
    assert len(digests) == 5


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        ({"settings": {"x": "2"}}, "x was 2 and is 1"),
        ({"settings": {}}, "of the settings, x is new"),
        ({"settings": {"x": "1", "y": "2"}}, "of the settings, y is gone"),
        ({}, "of the settings, x is new"),
    ],
)
def test_another_identity_is_refused(tmp_path, theirs, message):
    path = tmp_path / "run.pt"
    CheckpointFile(path, theirs).save({"step": 1})
    with pytest.raises(TrainingError, match=message):
        CheckpointFile(path, {"settings": {"x": "1"}}).load()


def test_where_nothing_can_be_written_is_said_before_there_is_anything_to_write(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match=r"the checkpoint .*file/run\.pt cannot be written"):
        CheckpointFile(tmp_path / "file" / "run.pt", {}).load()


def test_a_damaged_file_is_refused_whatever_bit_it_is(tmp_path):
    path = tmp_path / "run.pt"
    file = CheckpointFile(path, {})
    file.save({"thresholds": torch.ones(1000)})
    whole = path.read_bytes()
    place = whole.index(torch.ones(100).numpy().tobytes()) + 399
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(TrainingError, match=r"run\.pt is no checkpoint that can be read"):
        file.load()
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(TrainingError, match="no checkpoint that can be read"):
            file.load()
