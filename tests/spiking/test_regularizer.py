import copy
import gc
import pickle

import numpy as np
import pytest
import snntorch
import torch
from torch.utils.checkpoint import checkpoint

from clipact.errors import SpikingError
from clipact.functional import hoyer_ratio
from clipact.nn import HoyerLeaky, HoyerSpike, SaturatedReLU
from clipact.spiking import HoyerRegularizer, param_groups


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(6, 8, bias=False),
        HoyerSpike(v_threshold=0.7),
        torch.nn.Linear(8, 5),
        HoyerSpike(5, levels=2),
        torch.nn.Linear(5, 3),
    )


def images(seed=0):
    return torch.randn(16, 6, generator=torch.Generator().manual_seed(seed)) * 2


def ratio(x, v):
    clipped = np.clip(x.detach().double().numpy(), 0, v)
    return clipped.sum() ** 2 / (clipped**2).sum()


def test_the_loss_is_the_sum_over_layers_of_the_ratios():
    model = network()
    first = model[0](images())
    second = model[2](model[1](first))
    expected = [ratio(first, 0.7), ratio(second, 1.0)]
    normalized, paper = (
        HoyerRegularizer(model, 0.5),
        HoyerRegularizer(model, 1e-8, normalized=False),
    )
    model(images())
    sizes = [16 * 8, 16 * 5]
    shares = [e / size for e, size in zip(expected, sizes, strict=True)]
    assert all(0 < share <= 1 for share in shares)
    assert normalized().item() == pytest.approx(0.5 * sum(shares), rel=1e-5)
    assert paper().item() == pytest.approx(1e-8 * sum(expected), rel=1e-5)


def test_made_after_the_forward_pass_it_looks_back():
    model = network()
    before = HoyerRegularizer(model, 0.5)
    loss = model(images()).sum() + HoyerRegularizer(model, 0.5)()
    expected = model(images()).sum() + before()
    torch.testing.assert_close(loss, expected)
    grads = [torch.autograd.grad(each, model[0].weight)[0] for each in (loss, expected)]
    torch.testing.assert_close(*grads)
    model.eval()(images())
    with pytest.raises(SpikingError, match="in training mode"):
        HoyerRegularizer(model, 0.5)()


def test_what_layers_were_last_given_is_neither_copied_nor_saved():
    model = network()
    model(images())
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        with pytest.raises(SpikingError, match="without a forward pass"):
            HoyerRegularizer(other, 0.5)()
    assert HoyerRegularizer(model, 0.5)() > 0


def test_it_does_not_depend_on_the_size_of_the_batch():
    model = network()
    regularizer = HoyerRegularizer(model, 1.0)
    model(images())
    once = regularizer()
    model(images().repeat(4, 1))
    torch.testing.assert_close(regularizer(), once)


def test_its_gradient_is_that_of_the_clipped_ratio():
    model = network()
    regularizer = HoyerRegularizer(model, 1.0)
    model(images())
    regularizer().backward()
    twin = network()
    u = twin[0](images())
    clipped = u.clamp(0, 0.7)
    second = twin[2](twin[1](u)).clamp(0, 1)
    loss = sum(c.sum() ** 2 / c.square().sum() / c.numel() for c in (clipped, second))
    loss.backward()
    torch.testing.assert_close(model[0].weight.grad, twin[0].weight.grad)
    torch.testing.assert_close(model[2].weight.grad, twin[2].weight.grad)
    assert model[1].v_threshold.grad.abs() > 0


def test_it_leaves_outputs_and_the_surrogate_gradient_alone():
    # the published code clips the pre-activation in place: the window of the surrogate silently becomes (0, 1)
    results = []
    for regularized in (False, True):
        model = network()
        regularizer = HoyerRegularizer(model, 0.0) if regularized else None
        y = model(images())
        loss = y.square().sum() + (regularizer() if regularizer else 0)
        loss.backward()
        results.append([y.detach(), *(p.grad for p in model.parameters())])
    between = images() @ network()[0].weight.T
    assert ((between > 0.7) & (between <= 1.4)).any()  # inside the window, past the clip
    for plain, regularized in zip(*results, strict=True):
        assert torch.equal(plain, regularized)


def test_training_with_it_lowers_the_activity():
    activity = {}
    for weight in (0.0, 1.0):
        model = torch.nn.Sequential(torch.nn.Linear(6, 32), HoyerSpike())
        torch.nn.init.normal_(model[0].weight, generator=torch.Generator().manual_seed(0))
        regularizer = HoyerRegularizer(model, weight)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for step in range(60):
            model(images(step))
            optimizer.zero_grad()
            regularizer().backward()
            optimizer.step()
        activity[weight] = model(images(99)).mean().item()
    assert activity[1.0] < 0.8 * activity[0.0]


def test_the_model_can_be_copied_and_saved_meanwhile(tmp_path):
    model = network()
    regularizer = HoyerRegularizer(model, 1.0)
    model(images())
    twin = copy.deepcopy(model)
    other = pickle.loads(pickle.dumps(model))
    torch.save(model, tmp_path / "model.pt")
    for each in (twin, other):
        each(images(1) * 9)  # is not looked at
    expected = regularizer()
    model(images())
    assert torch.equal(regularizer(), expected)
    assert not any(isinstance(value, torch.Tensor) and value.grad_fn for module in model.modules() for value in vars(module).values())  # fmt: skip


def hooks(model):
    return sum(len(module._forward_pre_hooks) for module in model.modules())


def test_the_hooks_go():
    model = network()
    regularizer = HoyerRegularizer(model, 1.0)
    assert hooks(model) == 2
    regularizer.remove()
    regularizer.remove()
    assert hooks(model) == 0
    with pytest.raises(ZeroDivisionError), HoyerRegularizer(model, 1.0):
        _ = 1 / 0
    assert hooks(model) == 0
    regularizer = HoyerRegularizer(model, 1.0)
    model(images())
    del regularizer
    gc.collect()
    assert hooks(model) == 0


def test_only_the_last_pass_counts_and_only_once():
    model = network()
    regularizer = HoyerRegularizer(model, 1.0)
    model(images(1))
    expected = regularizer()
    model(images(2))
    model(images(1))
    assert torch.equal(regularizer(), expected)
    with pytest.raises(SpikingError, match="without a forward pass"):
        regularizer()
    with torch.no_grad():
        model.eval()(images(1))
        assert not regularizer().requires_grad


def test_inputs_of_zeros_nan_and_infinity_give_a_finite_loss():
    model = torch.nn.Sequential(HoyerSpike())
    regularizer = HoyerRegularizer(model, 1.0)
    for x in (
        torch.zeros(4),
        -torch.ones(4),
        torch.tensor([torch.nan, torch.inf, -torch.inf, 0.5]),
    ):
        x.requires_grad_()
        model(x)
        loss = regularizer()
        loss.backward()
        assert loss.isfinite()
        assert x.grad.isfinite().all()
        assert model[0].v_threshold.grad is None or model[0].v_threshold.grad.isfinite().all()


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_a_weight_without_meaning(weight):
    with pytest.raises(SpikingError, match="weight="):
        HoyerRegularizer(network(), weight)


def test_a_network_without_hoyer_spikes():
    with pytest.raises(SpikingError, match="no HoyerSpike in the Sequential"):
        HoyerRegularizer(torch.nn.Sequential(torch.nn.ReLU()), 1.0)


def test_thresholds_have_no_weight_decay():
    model = torch.nn.Sequential(
        torch.nn.Linear(3, 3),
        HoyerSpike(),
        SaturatedReLU(6.0),
        HoyerLeaky(0.5, num_steps=1, learn_threshold=True, learn_beta=True),
        snntorch.Leaky(0.5, learn_threshold=True),
    )
    snntorch.SpikingNeuron.instances.remove(model[4])
    decayed, kept = param_groups(model, 0.1)
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.1, 0.0)
    apart = [model[1].v_threshold, model[2].threshold, model[3].threshold, model[4].threshold]
    assert {id(p) for p in kept["params"]} == {id(p) for p in apart}
    both = [*decayed["params"], *kept["params"]]
    assert {id(p) for p in both} == {id(p) for p in model.parameters()}
    assert len(both) == len(list(model.parameters()))
    optimizer = torch.optim.SGD(param_groups(model, 0.1), lr=1.0)
    for parameter in both:
        parameter.grad = torch.zeros_like(parameter)
    before = [p.detach().clone() for p in both]
    optimizer.step()
    moved = [not torch.equal(p, b) for p, b in zip(both, before, strict=True)]
    assert any(moved[: len(decayed["params"])])
    assert not any(moved[len(decayed["params"]) :])


def test_without_thresholds_there_is_one_group():
    (group,) = param_groups(torch.nn.Linear(2, 2), 0.1)
    assert group["weight_decay"] == 0.1


def test_layers_called_by_keyword():
    class ByName(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.spike = HoyerSpike()

        def forward(self, x):
            return self.spike(x=x)

    model, x = ByName(), torch.rand(4, 3)
    regularizer = HoyerRegularizer(model, 1.0)
    model(x)
    with torch.no_grad():
        torch.testing.assert_close(regularizer(), hoyer_ratio(x))


def test_under_checkpoints():
    torch.manual_seed(0)
    model, x = torch.nn.Sequential(torch.nn.Linear(4, 6), HoyerSpike()), torch.randn(8, 4)
    regularizer = HoyerRegularizer(model, 1.0)
    model(x)
    (expected,) = torch.autograd.grad(regularizer(), model[0].weight)
    checkpoint(model, x, use_reentrant=False)
    (found,) = torch.autograd.grad(regularizer(), model[0].weight)
    torch.testing.assert_close(found, expected)
    checkpoint(model, x.requires_grad_(), use_reentrant=True)
    with pytest.raises(SpikingError, match=r"without gradients, .* use_reentrant=False"):
        regularizer()
    with torch.no_grad():
        model(x)
        regularizer()
