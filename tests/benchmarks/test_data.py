import pytest
import torch


@pytest.fixture
def digits():
    from _data import digits

    return digits()


def test_parts_are_disjoint_scaled_and_the_same_every_time(digits):
    from _data import digits as again

    parts = (digits.train, digits.validate, digits.test)
    assert [len(labels) for _, labels in parts] == [998, 200, 599]
    rows = [{row.numpy().tobytes() for row in images.flatten(1)} for images, _ in parts]
    assert not (rows[0] & rows[1])
    assert not (rows[0] & rows[2])
    assert not (rows[1] & rows[2])
    assert digits.train[0].mean().abs() < 1e-3
    assert (digits.train[0].std() - 1).abs() < 1e-2
    assert torch.equal(digits.train[0], again().train[0])
    assert (digits.channels, digits.classes) == (1, 10)


def test_a_smaller_one_has_the_first_images_of_the_parts_asked_for(digits):
    small = digits.smaller(train=10, test=7)
    assert [len(part[1]) for part in (small.train, small.validate, small.test)] == [10, 200, 7]
    assert torch.equal(small.test[0], digits.test[0][:7])


def test_batches_hold_everything_once_and_in_order(digits):
    from _data import batches

    found = batches(digits.validate, 64)
    assert [len(labels) for _, labels in found] == [64, 64, 64, 8]
    assert torch.equal(torch.cat([labels for _, labels in found]), digits.validate[1])


def test_without_cifar10_it_says_where_it_looked(monkeypatch, tmp_path):
    import _data

    monkeypatch.setattr(_data, "TORCHVISION", tmp_path / "data")
    monkeypatch.setattr(_data, "JPEG", tmp_path / "jpeg")
    with pytest.raises(FileNotFoundError, match="--download"):
        _data.cifar10()


def test_jpeg_images_are_decoded_once(monkeypatch, tmp_path):
    import _data
    import numpy as np
    from torchvision.io import encode_jpeg

    grey = torch.full((3, 32, 32), 128, dtype=torch.uint8)
    packed = [encode_jpeg(image).numpy() for image in (grey, grey // 2)]
    offset = np.cumsum([0, *map(len, packed)])
    for part in ("train", "test"):
        np.savez(
            tmp_path / f"cifar10_{part}.npz", jpeg=np.concatenate(packed), offset=offset, label=[3, 4]
        )  # fmt: skip
    monkeypatch.setattr(_data, "TORCHVISION", tmp_path / "data")
    monkeypatch.setattr(_data, "JPEG", tmp_path)
    monkeypatch.setattr(_data, "CACHE", tmp_path / "cache")
    images, labels = _data._jpeg("train")
    assert images.shape == (2, 3, 32, 32)
    assert images[:, 0, 5, 5].tolist() == pytest.approx([128 / 255, 64 / 255], abs=0.02)
    assert labels.tolist() == [3, 4]
    monkeypatch.setattr(_data, "_decoded", None)
    assert torch.equal(_data._jpeg("train")[0], images)
