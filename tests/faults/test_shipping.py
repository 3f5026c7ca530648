import functools
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import clipact as ca
from clipact.faults._shipping import ship

DTYPES = [
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
    torch.int8,
    torch.uint16,
    torch.int64,
    torch.bool,
    torch.complex64,
]


@pytest.fixture
def there_and_back(tmp_path):
    """A function: an object as another process would see it."""

    def trip(objects):
        shipped = pickle.loads(pickle.dumps(ship(objects, tmp_path)))
        return shipped.load().objects

    return trip


def raw(tensor):
    return bytes(tensor.detach().untyped_storage())


def assert_same(a, b):
    assert (type(a), a.dtype, a.shape, a.stride()) == (type(b), b.dtype, b.shape, b.stride())
    assert (a.requires_grad, a.storage_offset()) == (b.requires_grad, b.storage_offset())
    assert raw(a) == raw(b)


def scaled(module, inputs, output):
    return output * 2


def count_rows(model, images):
    return float(len(model(images)))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_tensors_come_back_bit_for_bit(there_and_back, dtype):
    words = torch.arange(24).reshape(4, 6).to(dtype)
    found = there_and_back([words, words.t(), words[1:, ::2], words[0].expand(3, 6)])
    for a, b in zip([words, words.t(), words[1:, ::2], words[0].expand(3, 6)], found, strict=True):
        assert_same(a, b)
    assert len({tensor.untyped_storage().data_ptr() for tensor in found}) == 1


def test_nans_keep_their_bits(there_and_back):
    words = torch.tensor([0x7FC00001, 0x7F800001 - 2**32, 0x80000000 - 2**32], dtype=torch.int64)
    floats = words.to(torch.int32).view(torch.float32)
    assert there_and_back(floats).view(torch.int32).tolist() == floats.view(torch.int32).tolist()


@pytest.mark.filterwarnings("ignore:torch.quantize_per:UserWarning")
def test_quantised_and_sparse_tensors_come_back(there_and_back):
    torch.manual_seed(0)
    plain = torch.randn(4, 4)
    scales, zeros = torch.rand(4), torch.zeros(4)
    per_tensor = torch.quantize_per_tensor(plain, 0.1, 0, torch.qint8)
    per_channel = torch.quantize_per_channel(plain, scales, zeros, 0, torch.quint8)
    found = there_and_back([per_tensor, per_channel, torch.eye(3).to_sparse()])
    assert torch.equal(found[0], per_tensor)
    assert torch.equal(found[1], per_channel)
    assert torch.equal(found[2].to_dense(), torch.eye(3))


def test_tensors_that_share_memory_still_do(there_and_back):
    weight = nn.Parameter(torch.zeros(4, 4))
    tied = nn.ModuleList([nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)])
    tied[0].weight = tied[1].weight = weight
    found, view, integers = there_and_back(
        [tied, weight.detach()[1], weight.detach().view(torch.int32)]
    )
    assert found[0].weight is found[1].weight
    with torch.no_grad():
        found[0].weight[1, 2] = 1.0
    assert view.tolist() == [0.0, 0.0, 1.0, 0.0]
    assert integers[1, 2] == 0x3F800000


def test_tensors_without_words_do_not_share_any(there_and_back):
    a, b = there_and_back([torch.empty(0), torch.empty(0)])
    assert a.untyped_storage().data_ptr() == 0
    assert a.untyped_storage() is not b.untyped_storage()


def test_large_arrays_are_outside_the_pickle(there_and_back, tmp_path):
    array, fixed = np.arange(20_000), np.asfortranarray(np.ones((100, 100)))
    fixed.flags.writeable = False
    found, other, small = there_and_back([array, fixed, np.arange(3)])
    assert (tmp_path / "objects").stat().st_size < 1_000
    assert np.array_equal(found, array)
    assert other.flags.f_contiguous
    assert not other.flags.writeable
    assert small.tolist() == [0, 1, 2]
    found[0] = 7  # in memory of its own


def test_a_module_comes_back_whole(there_and_back, model, bits_of):
    model.eval()
    model[0].train()
    model.to(memory_format=torch.channels_last)
    model[4].bias.requires_grad_(False)
    model.register_forward_hook(scaled)
    found = there_and_back({"model": model})["model"]
    images = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(found.eval()(images), model.eval()(images))
    assert [m.training for m in found.modules()] == [m.training for m in model.modules()]
    state, before = found.state_dict(keep_vars=True), model.state_dict(keep_vars=True)
    assert list(state) == list(before)
    for name in state:
        assert_same(state[name], before[name])


def test_a_model_with_replaced_activations_comes_back(there_and_back):
    net = nn.Sequential(Residual(), Residual()).eval()
    images = torch.randn(2, 3, 8, 8)
    ca.replace_activations(net, lambda site: ca.nn.SaturatedReLU(0.5), example=images)
    found = there_and_back(net)
    assert torch.equal(found(images), net(images))
    assert found[0].forward.owner is found[0]


class Residual(nn.Module):
    """Calls one activation twice, so that replacing it puts a forward into the instance."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(x + self.relu(self.conv(x)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: parametrizations.weight_norm(nn.Linear(4, 4)),
        lambda: parametrizations.spectral_norm(nn.Conv2d(3, 3, 3)).eval(),
        lambda: parametrizations.orthogonal(nn.Linear(4, 4)),
    ],
    ids=["weight_norm", "spectral_norm", "orthogonal"],
)
def test_parametrised_modules_come_back(there_and_back, make):
    module = make()
    module.register_forward_hook(scaled)
    found = there_and_back(module)
    assert list(found.state_dict()) == list(module.state_dict())
    assert torch.equal(found.weight, module.weight)
    assert type(found).__mro__[1] is type(module).__mro__[1]
    original = found.parametrizations.weight
    with torch.no_grad():
        next(original.parameters()).fill_(float("nan"))
    assert found.weight.isnan().any()
    assert not module.weight.isnan().any()


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.GRU(3, 4),
        lambda: nn.MultiheadAttention(4, 2),
        lambda: torch.fx.symbolic_trace(nn.Sequential(nn.Linear(3, 3))),
    ],
    ids=["gru", "attention", "graph"],
)
def test_modules_of_many_kinds_come_back(there_and_back, make):
    module = make()
    found = there_and_back(module)
    before = module.state_dict()
    assert {n: raw(t) for n, t in found.state_dict().items()} == {
        n: raw(t) for n, t in before.items()
    }


def test_an_evaluation_and_its_data_come_back(there_and_back):
    images = torch.randn(5, 2)
    found = there_and_back({"evaluation": functools.partial(count_rows, images=images)})
    assert found["evaluation"](nn.Identity()) == 5.0


def test_the_empty_model_can_be_shipped(there_and_back):
    assert there_and_back({"model": nn.Identity()})["model"](3) == 3
