import pytest
import torch
from torch import nn

from clipact.nn import SaturatedReLU
from clipact.surgery import ACTIVATIONS, find_sites, replace_activations, watch

X = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))


def test_leaves_no_trace(models, snapshot):
    model = nn.Sequential(
        models.Noisy(), nn.BatchNorm1d(6), models.Stored(), models.Overwriting()
    ).train()
    model[1].eval()
    model.register_forward_hook(lambda *_: None)
    before, state, given = snapshot(model), torch.get_rng_state(), X.clone()
    find_sites(model, X)
    before.assert_same()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(X, given)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_leaves_no_trace_after_an_exception(error, models, snapshot):
    class Failing(nn.Module):
        def forward(self, x):
            raise error("stop")

    relu = nn.ReLU()
    model = nn.Sequential(models.Stored(), relu, relu, Failing()).train()
    before = snapshot(model)
    for call in (
        find_sites,
        lambda m, x: replace_activations(m, lambda _: SaturatedReLU(1.0), example=x),
    ):
        with pytest.raises(error, match="stop"):
            call(model, X)
        before.assert_same()


def test_watch_shows_the_output_of_every_call(models, snapshot):
    model = models.Twice(models.Shared())
    seen, before = [], snapshot(model)

    def on_site(name, kind, output):
        torch.relu(output)  # not taken for a call of the model
        seen.append((name, kind, output.min().item() >= 0))

    with watch(model, (nn.ReLU,), on_site):
        model(X)
        model(X)
    sites = find_sites(model, X)
    assert seen == [(site.name, nn.ReLU, True) for site in sites] * 4
    before.assert_same()
    model(X)
    assert len(seen) == 12


def test_watch_survives_a_forward_that_raised():
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6))
    seen = []
    with watch(model, ACTIVATIONS, lambda name, kind, output: seen.append(name)):
        with pytest.raises(RuntimeError):
            model(torch.randn(3, 5))
        model(X)
    assert seen == ["1"]
