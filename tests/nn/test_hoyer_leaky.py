import copy
import gc
import pickle
import weakref

import pytest
import snntorch
import torch
from snntorch import functional, surrogate, utils

from clipact.errors import SpikingError, ThresholdError
from clipact.functional import hoyer_extremum
from clipact.nn import HoyerLeaky, HoyerSpike
from clipact.nn._hoyer_leaky_listed import Listed


def inputs(steps=3, *shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((steps, *(shape or (6, 4))), generator=generator) + 0.5


def reference(xs, beta, reset, v=1.0, places=None):
    """The equations of snntorch's leaky neuron, with the Hoyer threshold in place of its own."""
    mem, level, records = torch.zeros_like(xs[0]), torch.zeros(1), []
    for step, x in enumerate(xs):
        fired = (mem >= level).float() * (step > 0)
        if reset == "zero":
            mem = mem * (1 - fired)
        mem = beta * mem + x
        if reset == "subtract":
            mem = mem - fired * level
        place = hoyer_extremum(mem, v) if places is None else places[step]
        level = v * place
        records.append(((mem >= level).float(), mem, place))
    return records


@pytest.mark.parametrize("reset", ["subtract", "zero", "none"])
@pytest.mark.parametrize("v", [1.0, 0.6])
def test_the_threshold_at_work_fires_and_resets(reset, v):
    layer = HoyerLeaky(0.8, num_steps=3, threshold=v, reset_mechanism=reset)
    mem = layer.reset_mem()
    expected = reference(inputs(), 0.8, reset, v)
    for x, (spikes, potential, _) in zip(inputs(), expected, strict=True):
        spk, mem = layer(x, mem)
        assert torch.equal(spk, spikes)
        torch.testing.assert_close(mem, potential)
    assert sum(spikes.sum() for spikes, _, _ in expected) > 5
    followed = torch.stack([place for _, _, place in expected])
    torch.testing.assert_close(layer.extrema.running, followed)
    torch.testing.assert_close(layer.effective_threshold, v * followed)


def test_evaluation_uses_what_was_followed_at_each_step():
    layer = HoyerLeaky(0.8, num_steps=3, init_hidden=True, output=True)
    for seed in range(2):
        layer.reset_mem()
        for x in inputs(seed=seed):
            layer(x)
    assert layer.extrema.batches_seen.flatten().tolist() == [2, 2, 2]
    assert len(layer.extrema.running.unique()) == 3
    layer.eval()
    layer.reset_mem()
    expected = reference(inputs(seed=5), 0.8, "subtract", places=layer.extrema.running)
    for x, (spikes, potential, _) in zip(inputs(seed=5), expected, strict=True):
        spk, mem = layer(x)
        assert torch.equal(spk, spikes)
        torch.testing.assert_close(mem, potential)


def test_without_a_delay_the_reset_follows_the_spike():
    layer = HoyerLeaky(1.0, num_steps=1, reset_delay=False, reset_mechanism="zero")
    spk, mem = layer(inputs(1)[0])
    assert spk.any()
    assert not mem[spk.bool()].any()
    layer = HoyerLeaky(1.0, num_steps=1, reset_delay=False)
    x = inputs(1)[0]
    spk, mem = layer(x)
    torch.testing.assert_close(mem, x - spk * hoyer_extremum(x))


@pytest.mark.parametrize("spike_grad", [None, surrogate.atan()])
@pytest.mark.parametrize("features", [None, 4])
def test_one_step_is_a_hoyer_spike(spike_grad, features):
    once = HoyerSpike(features, v_threshold=0.7, spike_grad=spike_grad)
    leaky = HoyerLeaky(
        0.5, features, num_steps=1, threshold=0.7, spike_grad=spike_grad, learn_threshold=True
    )
    grads = []
    for layer, v in ((once, once.v_threshold), (leaky, leaky.threshold)):
        x = inputs(1)[0].requires_grad_()
        y = layer(x) if layer is once else layer(x, torch.zeros_like(x))[0]
        y.square().sum().backward()
        grads.append((y.detach(), x.grad, v.grad))
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


def test_a_fixed_threshold_is_snntorchs_leaky():
    ours = HoyerLeaky(0.8, num_steps=4, spike_grad=surrogate.atan()).eval()  # never trained: 1
    theirs = snntorch.Leaky(0.8, spike_grad=surrogate.atan())
    mems = [ours.reset_mem(), theirs.reset_mem()]
    for x in inputs(4):
        (spk, mems[0]), (expected, mems[1]) = ours(x, mems[0]), theirs(x, mems[1])
        assert torch.equal(spk, expected)
        torch.testing.assert_close(*mems)


def test_conventions_of_what_is_returned():
    x = inputs(1)[0]
    assert len(HoyerLeaky(0.5, num_steps=1)(x)) == 2
    assert HoyerLeaky(0.5, num_steps=1, init_hidden=True)(x).shape == x.shape
    assert len(HoyerLeaky(0.5, num_steps=1, init_hidden=True, output=True)(x)) == 2
    graded = HoyerLeaky(0.5, num_steps=1, graded_spikes_factor=2.5, init_hidden=True)(x)
    assert set(graded.unique().tolist()) == {0.0, 2.5}
    with pytest.raises(TypeError, match="init_hidden=True"):
        HoyerLeaky(0.5, num_steps=1, init_hidden=True)(x, torch.zeros_like(x))


def test_only_the_highest_fires_under_inhibition():
    with pytest.warns(UserWarning, match="Inhibition"):
        layer = HoyerLeaky(0.5, num_steps=1, inhibition=True, init_hidden=True)
    x = inputs(1)[0]
    spk = layer(x)
    assert spk.sum(1).max() == 1
    assert torch.equal(spk.argmax(1)[spk.any(1)], x.argmax(1)[spk.any(1)])


def test_where_a_sequence_starts():
    layer = HoyerLeaky(0.5, num_steps=3)
    mem = None
    for _ in range(2):
        _, mem = layer(inputs(1)[0], mem)
    assert layer.extrema.step == 2
    layer(inputs(1)[0], mem.detach())  # truncated backpropagation goes on
    assert layer.extrema.step == 3
    layer(inputs(1)[0], torch.zeros(6, 4))  # another potential does not
    assert layer.extrema.step == 1
    layer(inputs(1, 3, 4)[0])  # nor another shape
    assert layer.extrema.step == 1
    layer.reset_mem()
    assert layer.extrema.step == 0
    assert not layer.mem.any()


def test_a_sequence_goes_on_where_it_was_saved():
    layer = HoyerLeaky(0.8, num_steps=3)
    for x in inputs(3):
        _, mem = layer(x)
    layer.reset_mem()
    layer.eval()
    first, second, third = (x + 0.5 for x in inputs(3))
    layer(first)
    _, mem = layer(second)
    loaded = HoyerLeaky(0.8, num_steps=3).eval()
    loaded.load_state_dict(layer.state_dict())
    mem = mem.detach().clone()
    loaded.begin(mem, step=2)
    for ours, theirs in zip(loaded(third, mem), layer(third), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_a_sequence_does_not_depend_on_the_one_before():
    layer = HoyerLeaky(0.8, num_steps=2).eval()
    layer.extrema.running[:, 0] = torch.tensor([0.9, 0.1])
    mem, x = torch.full((1, 3), 0.5), torch.zeros(1, 3)
    first = layer(x, mem)[1]
    layer(x)  # another extremum is at work now
    torch.testing.assert_close(layer(x, mem.clone())[1], first)


def test_steps_past_the_last_share_its_statistic():
    layer = HoyerLeaky(0.5, num_steps=2, init_hidden=True)
    for x in inputs(5):
        layer(x)
    assert layer.extrema.batches_seen.flatten().tolist() == [1, 4]


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(4, 8),
        HoyerLeaky(0.5, num_steps=3, init_hidden=True, learn_threshold=True, learn_beta=True),
        torch.nn.Linear(8, 3),
        HoyerLeaky(0.5, num_steps=3, init_hidden=True, output=True),
    )


def run(net, xs):
    utils.reset(net)
    return torch.stack([net(x)[0] for x in xs])


@pytest.mark.parametrize("loss", [functional.ce_rate_loss(), functional.mse_count_loss(), functional.ce_count_loss()])  # fmt: skip
def test_losses_and_resets_of_snntorch(loss):
    net, targets = network(), torch.tensor([0, 1, 2, 0, 1, 2])
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(2):  # each from a potential of 0, detached
        value = loss(run(net, inputs()), targets)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        assert all(parameter.grad is not None for parameter in net.parameters())
        assert net[1].extrema.step == 3
    utils.reset(net)
    assert net[1].extrema.step == 0
    assert not net[1].mem.any()
    net.eval()
    assert torch.equal(run(net, inputs()), run(net, inputs()))


def listed():
    """What snntorch lists, less what stands for neurons that are gone."""
    every = snntorch.SpikingNeuron.instances
    return [each for each in every if not (type(each) is Listed and each.is_gone)]


def test_a_reset_walks_past_neurons_that_are_gone():
    first, second = network(), network()
    run(second, inputs())
    every = len(snntorch.SpikingNeuron.instances)
    del first
    gc.collect()
    assert (
        len(snntorch.SpikingNeuron.instances) == every
    )  # not shorter under a reset that walks along it
    snntorch.Leaky.reset_hidden()
    assert not second[1].mem.any()
    third = network()
    gone = [each for each in snntorch.SpikingNeuron.instances if each not in listed()]
    assert not gone
    del third


def test_neurons_are_freed():
    gc.collect()
    before = len(listed())
    net = network()
    run(net, inputs()).sum().backward()
    seen = [weakref.ref(net[1]), weakref.ref(net[3])]
    assert len(listed()) == before + 2
    assert sum(isinstance(each, snntorch.Leaky) for each in snntorch.SpikingNeuron.instances) >= 2
    del net
    gc.collect()
    assert [each() for each in seen] == [None, None]
    assert len(listed()) == before


def test_other_networks_can_still_be_reset():
    theirs = snntorch.Leaky(0.5, init_hidden=True)
    ours = HoyerLeaky(0.5, num_steps=1, init_hidden=True)
    theirs(inputs(1)[0])
    del ours
    gc.collect()
    utils.reset(torch.nn.Sequential(theirs))
    assert not theirs.mem.any()
    snntorch.SpikingNeuron.instances.remove(theirs)


def test_copies_keep_their_statistics_and_are_reset_too(tmp_path):
    net = network()
    run(net, inputs())
    utils.reset(net)
    twin = copy.deepcopy(net)
    torch.save(net.state_dict(), tmp_path / "state.pt")
    other = network()
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    found = [run(each.eval(), inputs(seed=3)) for each in (net, twin, other)]
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
    utils.reset(net)
    assert twin[1].extrema.step == 0
    assert not twin[1].mem.any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype):
    layer = HoyerLeaky(0.5, num_steps=2).to(dtype)
    for x in inputs(2):
        spk, mem = layer(x.to(dtype))
        assert spk.dtype is mem.dtype is dtype


@pytest.mark.parametrize(("settings", "error"), [({"num_steps": 0}, SpikingError), ({"num_steps": 1.5}, SpikingError), ({"threshold": float("inf")}, ThresholdError), ({"num_features": 0}, SpikingError), ({"momentum": 0.0}, SpikingError), ({"threshold_scale": -1.0}, SpikingError), ({"threshold": 0.0}, ThresholdError), ({"reset_mechanism": "halve"}, ValueError), ({"spike_grad": "atan"}, SpikingError)])  # fmt: skip
def test_settings_without_meaning(settings, error):
    gc.collect()
    before = len(listed())
    with pytest.raises(error, match=next(iter(settings))):
        HoyerLeaky(0.5, **{"num_steps": 1, **settings})
    gc.collect()
    assert len(listed()) == before


def test_another_number_of_channels():
    with pytest.raises(SpikingError, match="HoyerLeaky with num_features=5"):
        HoyerLeaky(0.5, 5, num_steps=1)(inputs(1)[0])


@pytest.mark.parametrize("reset", ["zero", "none"])
def test_how_it_is_reset_can_be_changed(reset):
    changed = HoyerLeaky(0.8, num_steps=3)
    changed.reset_mechanism = reset
    made = HoyerLeaky(0.8, num_steps=3, reset_mechanism=reset)
    for x in inputs(3):
        for ours, theirs in zip(changed(x), made(x), strict=True):
            assert torch.equal(ours, theirs)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), torch.nn.Module._replicate_for_data_parallel])  # fmt: skip
def test_a_copy_works_on_its_own_potential(duplicate):
    layer = HoyerLeaky(0.8, num_steps=3, init_hidden=True)
    twin = duplicate(layer)
    twin._buffers = dict(twin._buffers)  # a shallow copy shares the dictionary
    first, second = inputs(2)
    layer(first)
    assert torch.equal(twin(second), HoyerLeaky(0.8, num_steps=3, init_hidden=True)(second))
    assert torch.equal(layer.mem, first)


class TwoSteps(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = HoyerLeaky(0.8, num_steps=2, learn_threshold=True)

    def forward(self, first, second):
        _, mem = self.layer(first, torch.zeros_like(first))  # not the potential returned last
        return self.layer(second, mem)[1].sum()


def test_functions_of_its_threshold_can_be_differentiated():
    model, xs = TwoSteps(), tuple(inputs(2))
    state = dict(model.named_buffers())

    def potential(threshold):
        return torch.func.functional_call(model, {**state, "layer.threshold": threshold}, xs)

    found = torch.func.grad(potential)(torch.ones(1))
    assert model.layer.extrema.batches_seen.tolist() == [[0], [0]]
    model(*xs).backward()
    assert found != 0
    torch.testing.assert_close(found, model.layer.threshold.grad)
