"""What other fault injectors do to the model while they are at work and leave behind, each as a test."""

import copy
import random
import tracemalloc

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from clipact.faults import (
    Biases,
    BitFlip,
    Buffers,
    Campaign,
    Classification,
    Weights,
    inject,
    population,
)
from clipact.where import named

ALL = Weights() | Biases() | Buffers()


def words(tensor):
    return tensor.detach().clone().view(torch.int32)


def batches(count, size=6):
    return [(torch.randn(size, 3, 8, 8), torch.randint(0, 5, (size,))) for _ in range(count)]


# MRFI draws weight faults anew in every batch.
def test_a_weight_fault_is_the_same_in_every_batch_of_a_trial(model):
    golden, patterns = words(model[4].weight), []

    def evaluate(net):
        seen = []
        for images, _ in batches(3):
            net(images)
            seen.append(words(net[4].weight) ^ golden)
        patterns.append(seen)
        return 0.0

    target = Weights(where=named("4.*"))
    Campaign(model, evaluate, fault=BitFlip(count=5), target=target, trials=4).run(progress=False)
    faulty = [seen for seen in patterns if seen[0].any()]
    assert len(faulty) == 4
    for seen in faulty:
        assert sum(int(word).bit_count() for word in seen[0].numpy().view("u4").flatten()) == 5
        assert all(torch.equal(batch, seen[0]) for batch in seen)
    assert len({seen[0].numpy().tobytes() for seen in faulty}) == 4


# MRFI leaves weights corrupted when it is switched off.
def test_weights_are_clean_afterwards(model, bits_of, same_bits):
    before = bits_of(model)
    with inject(model, BitFlip(rate=0.01), ALL):
        assert not same_bits(model, before)
    assert same_bits(model, before)
    evaluation = Classification(batches(2))
    Campaign(model, evaluation, fault=BitFlip(rate=0.01), target=ALL, trials=3).run(progress=False)
    assert same_bits(model, before)


# MRFI writes its first copy of the weights back over what training made of them since.
def test_training_between_runs_survives(model, bits_of, same_bits):
    data = batches(1)
    campaign = Campaign(
        model, Classification(data), fault=BitFlip(rate=0.01), target=Weights(), trials=2
    )
    first, untrained = campaign.run(progress=False), bits_of(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(20):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(data[0][0]), data[0][1]).backward()
        optimizer.step()
    trained = bits_of(model)
    assert not same_bits(model, untrained)
    second = campaign.run(progress=False)
    assert same_bits(model, trained)
    assert second.golden["accuracy"] == 1.0 > first.golden["accuracy"]
    with inject(model, BitFlip(count=3), Weights()) as record:
        pass
    held = dict(model.named_parameters())
    assert all(f.before == held[f.tensor].detach().flatten()[f.index].item() for f in record)


# MRFI needs torch's and SciPy's global seeds; both move.
def test_one_seed_is_enough_and_global_generators_stay(model):
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - the global state is what must not matter
        random.seed(seed)
        states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002 - as above
        with inject(model, BitFlip(rate=0.01), ALL, seed=7) as record:
            found.append(str(list(record)))
        assert torch.equal(torch.get_rng_state(), states[0])
        assert np.array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002 - as above
        assert random.getstate() == states[2]
    assert found[0] == found[1] != "[]"


# PyTorchFI runs the model as it finds it while it is built, and moves the statistics of a model in train mode.
def test_batch_norm_statistics_stay_also_in_train_mode(model, bits_of, same_bits):
    model.train()
    model[2].eval()
    before, modes = bits_of(model), [module.training for module in model.modules()]
    population(model, Weights())
    with inject(model, BitFlip(count=2), Weights()):
        pass
    assert same_bits(model, before)
    campaign = Campaign(
        model, Classification(batches(2)), fault=BitFlip(count=2), target=Weights(), trials=2
    )
    assert same_bits(model, before)
    campaign.run(progress=False)
    assert same_bits(model, before)
    assert modes == [module.training for module in model.modules()]


class Allocated(TorchDispatchMode):
    """Bytes of memory that operations inside the block make."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        held = {t.untyped_storage().data_ptr() for t in args if isinstance(t, torch.Tensor)}
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else [made]:
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                self.bytes += storage.nbytes() * (storage.data_ptr() not in held)
        return made


# PyTorchFI copies the whole model for every fault; so do injectors that keep a clean copy beside.
def test_no_copy_of_the_model_is_made(monkeypatch):
    model, seen = nn.Sequential(nn.Linear(1000, 1000), nn.ReLU()), []
    held = [(id(p), p.data_ptr()) for p in model.parameters()]

    def evaluate(net):
        seen.append([(id(p), p.data_ptr()) for p in net.parameters()])
        return 0.0

    monkeypatch.setattr(copy, "deepcopy", lambda *_: pytest.fail("copied"))
    campaign = Campaign(model, evaluate, fault=BitFlip(count=1), target=Weights(), trials=5)
    campaign.run(progress=False)
    assert len(seen) > 5
    assert all(each == held for each in seen)


def test_memory_grows_with_the_faults_and_not_with_the_model():
    model = nn.Linear(1000, 1000)
    tracemalloc.start()  # NumPy's memory; torch's is not in it
    try:
        with Allocated() as allocated, inject(model, BitFlip(rate=1e-5), Weights()) as record:
            pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(record) > 200
    assert allocated.bytes < 40_000  # of four million
    assert peak < 400_000
