import torch
from torch import nn

from clipact import where
from clipact.nn import RangeRestricted, SaturatedReLU
from clipact.surgery import replace_activations, thresholds

X = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))


def unlimited(site):
    return RangeRestricted(site.activation, -torch.inf, torch.inf)


def test_new_modules_follow_the_mode_of_their_container(models):
    model = nn.Sequential(models.Shared(), models.Functional()).train()
    model[0].eval()
    replace_activations(model, unlimited, example=X)
    assert not model[0].relu_2.training
    assert model[1].relu.training


def test_new_modules_go_to_the_device_of_the_site():
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(6, 6), nn.ReLU())
    replace_activations(model, lambda _: SaturatedReLU(1.0), example=X.to("meta"))
    assert model[1].threshold.device.type == "meta"


def test_batch_norm_statistics_do_not_move(models, snapshot):
    model = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), models.Shared()).train()
    replace_activations(model, unlimited, example=X)
    assert model[1].num_batches_tracked == 0
    assert torch.equal(model[1].running_mean, torch.zeros(6))
    assert all(module.training for module in model.modules())


def test_positions_are_the_execution_order(models):
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = models.Shared()
            self.first = nn.Sequential(nn.Linear(6, 6), nn.ReLU())

        def forward(self, x):
            return self.last(self.first(x))

    model = Backwards()
    replace_activations(model, lambda _: SaturatedReLU(1.0), example=X, where=where.named("last*"))
    replace_activations(model, lambda _: SaturatedReLU(2.0), example=X, where=where.named("first*"))
    order = ["first.1", "last.relu", "last.relu_2", "last.relu_3"]
    assert list(thresholds(model)) == [f"{name}.threshold" for name in order]
    assert [model.get_submodule(name).position for name in order] == [0, 1, 2, 3]


def test_hooks_move_to_the_new_module_and_their_handles_still_work(models):
    model, seen = models.Shared(), []
    handle = model.relu.register_forward_hook(lambda module, args, output: seen.append(module))
    receipt = replace_activations(
        model, lambda _: SaturatedReLU(1.0), example=X, where=where.named("relu")
    )
    seen.clear()
    model(X)
    assert seen == [model.relu, model.relu_2, model.relu_3]
    receipt.restore()
    with replace_activations(model, unlimited, example=X):
        seen.clear()
        model(X)
        assert seen == [model.relu.activation] * 3
    seen.clear()
    handle.remove()
    model(X)
    assert seen == []
