import pytest
import torch
import torch.nn.functional as F
from torch import nn


@pytest.fixture
def data():
    from _data import digits

    return digits().smaller(train=256, validate=50)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    import _fit

    monkeypatch.setattr(_fit, "CACHE", tmp_path)
    monkeypatch.setattr(_fit, "faster_in_bfloat16", lambda *_: False)


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))  # fmt: skip


class Interrupted:
    """A loss that raises at one of its calls."""

    def __init__(self, at):
        self.left = at

    def __call__(self, model, images, labels):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return F.cross_entropy(model(images), labels)


def test_a_resumed_training_gives_the_same_bits_and_a_finished_one_is_loaded(data):
    from _fit import Recipe, fit

    recipe = Recipe(3, batch=64, crop=1)
    whole = fit(net(), data, recipe, name="whole", loss=Interrupted(0))
    with pytest.raises(KeyboardInterrupt):
        fit(net(), data, recipe, name="parts", loss=Interrupted(7))
    parts = fit(net(), data, recipe, name="parts", loss=Interrupted(0))
    again = fit(net(), data, recipe, name="parts", loss=Interrupted(1))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name
        assert torch.equal(value, again.state_dict()[name]), name
    assert not whole.training


def test_it_learns(data):
    from _fit import Recipe, accuracy, fit

    model = fit(net(), data, Recipe(6, batch=32, crop=0, flip=False), name="learns")
    assert accuracy(model, data.validate) > 0.7


def test_augmentation_shifts_each_image_by_its_own_and_flips_half():
    from _fit import augmented

    images = torch.arange(64.0).view(1, 1, 8, 8).repeat(200, 1, 1, 1)
    generator = torch.Generator().manual_seed(0)
    assert torch.equal(augmented(images, 0, False, generator), images)
    flipped = augmented(images, 0, True, generator)
    mirrored = (flipped == images.flip(3)).flatten(1).all(1)
    assert ((flipped == images).flatten(1).all(1) ^ mirrored).all()
    assert 0.35 < mirrored.float().mean() < 0.65
    shifted = augmented(images, 2, False, generator)
    assert len({image.numpy().tobytes() for image in shifted}) == 25
