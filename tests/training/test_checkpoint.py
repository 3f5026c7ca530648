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
    with pytest.raises(OSError, match="full"):
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
        ({"settings": {}}, "the settings are others: x is new"),
        ({"settings": {"x": "1", "y": "2"}}, "the settings are others: y is gone"),
        ({}, "x is new"),
    ],
)
def test_another_identity_is_refused(tmp_path, theirs, message):
    path = tmp_path / "run.pt"
    CheckpointFile(path, theirs).save({"step": 1})
    with pytest.raises(TrainingError, match=message):
        CheckpointFile(path, {"settings": {"x": "1"}}).load()
