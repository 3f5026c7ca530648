"""The frozen prefix out of memory: the same bits as the whole model, on any architecture, within its budget."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

import clipact as ca
from clipact.training._frozen import frozen, training_only
from clipact.training._prefix import Memory, prefix_of

ROOM = 2**30


def sequential():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(),
        nn.Dropout(0.5), nn.Flatten(), nn.Linear(8 * 36, 10), nn.ReLU(), nn.Linear(10, 4),
    )  # fmt: skip


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 4, 4)
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, activation="relu")
        self.layers = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        tokens = self.stem(x).flatten(2).transpose(1, 2)
        return self.head(self.layers(tokens).mean(1))


def resnet():
    bottleneck = torchvision.models.resnet.Bottleneck
    return torchvision.models.ResNet(bottleneck, [1, 1, 1, 1], num_classes=4, width_per_group=4)


def densenet():
    return torchvision.models.densenet._densenet(4, (2, 2), 8, None, False)


MODELS = {
    "sequential": sequential,
    "resnet": resnet,
    "densenet": densenet,
    "transformer": Encoder,
}


def protected(make):
    torch.manual_seed(0)
    model = make().train()
    images = torch.randn(8, 3, 8, 8)
    with torch.no_grad():
        for _ in range(3):
            model(images)
    receipt = ca.replace_activations(
        model, lambda site: ca.nn.HyReLU(1.0), example=images[:2], kinds=(nn.ReLU,)
    )
    return model, receipt


def gradient(compute, threshold):
    with training_only([threshold]):
        output = compute()
        output.square().sum().backward()
        return output.detach().clone(), threshold.grad.clone()


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_same_bits_and_gradients_at_every_stage(make):
    model, _ = protected(make)
    batches = torch.randn(2, 4, 3, 8, 8)
    with frozen(model):
        for threshold in ca.thresholds(model).values():
            whole = [gradient(partial(model, b), threshold) for b in batches]
            with prefix_of(model, [threshold], ROOM) as prefix:
                run = Memory(prefix).run
                for _ in range(2):
                    for place, batch in enumerate(batches):
                        found = gradient(partial(run, place, batch), threshold)
                        assert torch.equal(found[0], whole[place][0])
                        assert torch.equal(found[1], whole[place][1])
                assert prefix.reason is None
                assert prefix.bytes > 0 or threshold is next(iter(ca.thresholds(model).values()))


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_what_comes_before_is_not_computed_again(make):
    model, _ = protected(make)
    name, threshold = list(ca.thresholds(model).items())[-1]
    batch = torch.randn(4, 3, 8, 8)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    with frozen(model), prefix_of(model, [threshold], ROOM) as prefix:
        memory = Memory(prefix)
        memory.run(0, batch)
        ran = []
        handles = [m.register_forward_hook(lambda *_: ran.append(1)) for m in convolutions[:1]]
        calls = []
        real = F.conv2d
        try:
            nn.functional.conv2d = lambda *a, **k: calls.append(1) or real(*a, **k)
            memory.run(0, batch)
        finally:
            nn.functional.conv2d = real
            for handle in handles:
                handle.remove()
    assert not calls, name


def test_only_what_is_looked_at_is_kept():
    model, _ = protected(sequential)
    threshold = list(ca.thresholds(model).values())[-1]
    batch = torch.randn(4, 3, 8, 8)
    with frozen(model), prefix_of(model, [threshold], ROOM) as prefix:
        Memory(prefix).run(0, batch)
        assert (
            prefix.bytes == 4 * 10 * 4
        )  # the output of the Linear before the last ReLU, and nothing else


class InPlace(nn.Module):
    """Overwrites what a layer returned, before the threshold and behind it."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.three = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.inner, self.relu = nn.ReLU(inplace=True), nn.ReLU()

    def forward(self, x):
        x = self.inner(self.one(x))
        y = self.two(x)
        y += x
        z = self.relu(y)
        x.mul_(2)
        return self.three(z) + x


def test_what_is_overwritten_is_handed_out_as_a_copy():
    torch.manual_seed(0)
    model = InPlace()
    model.relu = ca.nn.HyReLU(0.3)
    batches = torch.randn(2, 5, 4)
    with frozen(model):
        whole = [gradient(partial(model, batch), model.relu.threshold) for batch in batches]
        with prefix_of(model, [model.relu.threshold], ROOM) as prefix:
            memory = Memory(prefix)
            for _ in range(3):
                for place, batch in enumerate(batches):
                    found = gradient(partial(memory.run, place, batch), model.relu.threshold)
                    assert all(torch.equal(a, b) for a, b in zip(found, whole[place], strict=True))
            assert prefix.reason is None
            assert (
                prefix.bytes == 2 * 2 * 5 * 4 * 4
            )  # of two layers; what the first returned is not looked at


@pytest.mark.parametrize("spare", [0, 4])
def test_beyond_the_budget_everything_is_computed(spare):
    model, _ = protected(sequential)
    threshold = list(ca.thresholds(model).values())[1]
    batches = torch.randn(3, 4, 3, 8, 8)
    with frozen(model), torch.no_grad():
        whole = [model(batch) for batch in batches]
        one = 4 * 8 * 36 * 4
        with prefix_of(model, [threshold], 2 * one + spare) as prefix:
            memory = Memory(prefix)
            for _ in range(2):
                for place, batch in enumerate(batches):
                    assert torch.equal(memory.run(place, batch), whole[place])
            kept = [
                each.numel() * each.element_size()
                for tape in memory._tapes.values()
                if tape is not None
                for each in tape.tensors().values()
            ]
            assert sum(kept) == 2 * one
            assert prefix.bytes == 2 * one + spare  # nothing more is tried
            assert [tape is None for tape in memory._tapes.values()] == [False, False, True]


class Alternating(nn.Module):
    """Calls its layers in another order every other time."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.relu = nn.Linear(4, 4), nn.Linear(4, 4), nn.ReLU()
        self.turn = 0

    def forward(self, x):
        self.turn += 1
        one = self.first(x)
        two = self.second(x) if self.turn % 2 else one
        return self.relu(one + two)


class Random(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.relu = nn.Linear(4, 4), nn.ReLU()

    def forward(self, x):
        return self.relu(F.dropout(self.linear(x), 0.5, training=True))


class Odd(nn.Module):
    """Hands an object of its own from one module to the next."""

    class Box(nn.Module):
        def forward(self, x):
            return SimpleNamespace(tensor=x * 2)

    def __init__(self):
        super().__init__()
        self.box, self.relu = self.Box(), nn.ReLU()

    def forward(self, x):
        return self.relu(self.box(x).tensor)


@pytest.mark.parametrize("make", [Alternating, Random, Odd])
def test_a_model_that_cannot_be_run_from_the_middle_runs_in_full(make):
    torch.manual_seed(0)
    model = make()
    model.relu = ca.nn.HyReLU(1.0)
    threshold = model.relu.threshold
    batch = torch.randn(4, 4)
    with frozen(model), prefix_of(model, [threshold], ROOM) as prefix:
        output = Memory(prefix).run(0, batch)
        assert prefix.reason
        assert output.shape == (4, 4)
        assert prefix.bytes == 0


class Late(nn.Module):
    """Does something else from its tenth call on."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.relu = nn.Linear(4, 4), nn.Linear(4, 4), nn.ReLU()
        self.calls, self.odd = 0, False

    def forward(self, x):
        self.calls += 1
        one = self.first(x)
        if self.calls >= 10 and self.odd:
            return self.relu(SimpleNamespace(tensor=self.second(self.second(one))).tensor)
        return self.relu(one)


@pytest.mark.parametrize("place", [0, 1])
def test_a_model_that_changes_its_course_later_runs_in_full_from_then_on(place):
    torch.manual_seed(0)
    model = Late()
    model.relu = ca.nn.HyReLU(1.0)
    batch = torch.randn(4, 4)
    with frozen(model), prefix_of(model, [model.relu.threshold], ROOM) as prefix:
        memory = Memory(prefix)
        memory.run(0, batch)
        assert prefix.reason is None
        model.calls, model.odd = 10, True
        assert torch.equal(memory.run(place, batch), model(batch))
        assert memory._tapes[place] is None


class Choosing(nn.Module):
    """Looks at more of what its layers returned where the input is mostly positive."""

    class Both(nn.Module):
        def forward(self, x):
            return x, x * 2, x.argmax(1)

    def __init__(self):
        super().__init__()
        self.both, self.relu = self.Both(), nn.ReLU()

    def forward(self, x):
        one, two, place = self.both(x)
        y = self.relu(one)
        if x.mean() > 0:
            return y + two + one.gather(1, place[:, None])
        return y


def test_a_batch_for_which_other_values_are_looked_at_runs_in_full():
    torch.manual_seed(0)
    model = Choosing()
    model.relu = ca.nn.HyReLU(1.0)
    batches = [torch.randn(4, 4) - 3, torch.randn(4, 4) + 3, torch.randn(4, 4) - 3]
    with frozen(model), prefix_of(model, [model.relu.threshold], ROOM) as prefix:
        whole = [model(batch) for batch in batches]
        memory = Memory(prefix)
        for _ in range(3):
            for place, batch in enumerate(batches):
                assert torch.equal(memory.run(place, batch), whole[place])
        assert [tape is None for tape in memory._tapes.values()] == [False, True, False]


class Keeping(nn.Module):
    """Reads what a layer keeps to itself instead of what it returns."""

    class Layer(nn.Linear):
        def forward(self, x):
            self.kept = super().forward(x)
            return self.kept * 2

    def __init__(self):
        super().__init__()
        self.layer, self.relu = self.Layer(4, 4), nn.ReLU()

    def forward(self, x):
        return self.relu(self.layer(x)) + self.layer.kept


def test_a_model_that_hands_values_on_by_attributes_runs_in_full():
    torch.manual_seed(0)
    model = Keeping()
    model.relu = ca.nn.HyReLU(1.0)
    batches = torch.randn(2, 4, 4)
    with frozen(model), prefix_of(model, [model.relu.threshold], ROOM) as prefix:
        whole = [model(batch) for batch in batches]
        memory = Memory(prefix)
        for _ in range(2):
            for place, batch in enumerate(batches):
                assert torch.equal(memory.run(place, batch), whole[place])
        assert prefix.reason == "from the middle the model computes something else"


def test_replicas_are_left_alone():
    model, _ = protected(sequential)
    parallel = nn.DataParallel(model)
    threshold = list(ca.thresholds(model).values())[-1]
    batch = torch.randn(4, 3, 8, 8)
    with frozen(parallel), prefix_of(parallel, [threshold], ROOM) as prefix:
        assert "forward" not in model.__dict__
        assert torch.equal(Memory(prefix).run(0, batch), parallel(batch))
        assert prefix.reason


def test_the_model_is_as_it_was_also_after_an_exception():
    model, receipt = protected(resnet)
    before = [dict(module.__dict__) for module in model.modules()]
    with (
        pytest.raises(KeyboardInterrupt),
        prefix_of(model, list(ca.thresholds(model).values()), ROOM),
    ):
        raise KeyboardInterrupt
    assert [dict(module.__dict__) for module in model.modules()] == before
    receipt.restore()


def test_a_model_of_transformers_with_keyword_arguments():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=16, num_labels=3, hidden_act="relu",
    )  # fmt: skip
    model = transformers.BertForSequenceClassification(config).eval()
    batch = {
        "input_ids": torch.randint(0, 50, (4, 12)),
        "attention_mask": torch.ones(4, 12, dtype=torch.long),
    }
    ca.replace_activations(model, lambda site: ca.nn.HyReLU(0.05), example=batch, kinds=(nn.ReLU,))
    threshold = list(ca.thresholds(model).values())[-1]
    with frozen(model):
        whole = gradient(lambda: model(**batch).logits, threshold)
        with prefix_of(model, [threshold], ROOM) as prefix:
            memory = Memory(prefix)
            for _ in range(2):
                found = gradient(lambda: memory.run(0, batch).logits, threshold)
                assert all(torch.equal(a, b) for a, b in zip(found, whole, strict=True))
            assert prefix.reason is None
            assert prefix.bytes > 0
