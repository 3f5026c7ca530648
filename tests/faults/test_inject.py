import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from clipact.faults import Biases, BitFlip, Buffers, FixedPoint, Thresholds, Weights, inject
from clipact.nn import SaturatedReLU
from clipact.where import named

ALL = Weights() | Biases() | Buffers()
DTYPES = [
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
]
DTYPES += [torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64, torch.bool]


def holder(tensor):
    model = nn.Module()
    model.register_buffer("held", tensor)
    return model


def integers(tensor):
    return np.frombuffer(
        tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes(),
        f"u{tensor.element_size()}",
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rate", [0.002, 0.2, 1.0])
def test_exactly_the_recorded_bits_change_and_come_back(dtype, rate):
    bytes_ = torch.randint(
        0, 2 if dtype is torch.bool else 256, (400 * dtype.itemsize,), dtype=torch.uint8
    )
    model = holder(bytes_.view(dtype).reshape(20, 20))
    before = integers(model.held).copy()
    with inject(model, BitFlip(rate=rate), Buffers()) as record:
        changed = integers(model.held) ^ before
        expected = np.zeros_like(before)
        for fault in record:
            expected[fault.index] |= np.array(1 << fault.bit, dtype=before.dtype)
        assert np.array_equal(changed, expected)
        assert len(record) == sum(int(word).bit_count() for word in changed)
        values = model.held.to(torch.float64).flatten()
        np.testing.assert_array_equal(record.after, values[torch.from_numpy(record.index)].numpy())
    assert len(record) > 0
    assert np.array_equal(integers(model.held), before)


@pytest.mark.parametrize(
    "layout",
    [
        lambda t: t.contiguous(memory_format=torch.channels_last),
        lambda t: t.transpose(0, 2),
        lambda t: t[:, 1:3],
        lambda t: t[::2, :, ::3],
        lambda t: t.permute(3, 1, 0, 2)[1:],
    ],
)
def test_the_index_is_logical_whatever_the_strides(layout):
    base = torch.randn(6, 4, 5, 3)
    view = layout(base)
    model = holder(view)
    around, dense = view.untyped_storage().tolist(), holder(view.contiguous())
    with (
        inject(model, BitFlip(rate=0.01), Buffers()) as record,
        inject(dense, BitFlip(rate=0.01), Buffers()) as other,
    ):
        assert str(list(record)) == str(list(other))  # NaN is not equal to itself
        assert np.array_equal(integers(model.held), integers(dense.held))
        assert model.held.stride() == view.stride()
        touched = sum(a != b for a, b in zip(around, view.untyped_storage().tolist(), strict=True))
        assert 0 < touched <= len(record)
    assert view.untyped_storage().tolist() == around


def test_the_same_trial_meets_the_same_faults(model):
    def faults(trial, seed=0):
        with inject(model, BitFlip(rate=0.01), ALL, seed=seed, trial=trial) as record:
            return str(list(record))

    assert faults(3) == faults(3)
    assert faults(3) != faults(4)
    assert faults(3) != faults(3, seed=1)


def test_two_models_meet_the_same_faults_on_shared_names(model):
    protected = nn.Sequential(*model[:2], SaturatedReLU(torch.ones(8, 1, 1)), *model[3:])
    with inject(model, BitFlip(rate=0.005), Weights(), trial=2) as a:
        plain = list(a)
    with inject(protected, BitFlip(rate=0.005), Weights() | Thresholds(), trial=2) as b:
        both = list(b)
    assert str(plain) == str([fault for fault in both if fault.tensor != "2.threshold"])
    assert {fault.tensor for fault in both} == {
        "0.weight",
        "1.weight",
        "2.threshold",
        "4.weight",
    } | {fault.tensor for fault in plain}


def test_parametrised_weights_change_through_their_originals(bits_of, same_bits):
    model = parametrizations.weight_norm(nn.Linear(20, 10))
    before, weight = bits_of(model), model.weight.detach().clone()
    with inject(model, BitFlip(count=30), Weights()) as record:
        assert not torch.equal(model.weight, weight)
        assert set(record.names) <= {f"parametrizations.weight.original{i}" for i in (0, 1)}
    assert same_bits(model, before)
    assert torch.equal(model.weight, weight)


def test_tied_weights_are_hit_once():
    model = nn.ModuleDict({"embed": nn.Embedding(50, 8), "head": nn.Linear(8, 50, bias=False)})
    model["head"].weight = model["embed"].weight
    with inject(model, BitFlip(rate=1.0), Weights()) as record:
        assert len(record) == 400 * 32
        assert torch.equal(
            model["head"].weight.view(torch.int32), model["embed"].weight.view(torch.int32)
        )
    # hit twice, every bit would be back in place
    assert len(set(zip(record.index.tolist(), record.bit.tolist(), strict=True))) == 400 * 32


def test_fixed_point_touches_only_words_that_are_hit(model):
    before = model[4].weight.detach().clone().flatten()
    q = FixedPoint(bits=16, fraction=8)
    with inject(model, BitFlip(rate=0.01), Weights(where=named("4.*")), format=q) as record:
        now = model[4].weight.detach().clone().flatten()
        hit = torch.zeros(now.numel(), dtype=torch.bool)
        hit[torch.from_numpy(record.index)] = True
        assert torch.equal(now[~hit], before[~hit])
        assert torch.equal(now[hit] * 256, (now[hit] * 256).round())
        assert record.bit.max() < 16
        for fault in record:
            others = {f.bit for f in record if f.index == fault.index}
            if len(others) == 1:
                code = round(fault.before * 256) & 0xFFFF ^ (1 << fault.bit)
                assert fault.after == (code - 65536 if code >= 32768 else code) / 256
    assert torch.equal(model[4].weight.detach().flatten(), before)


def test_values_become_nan_and_inf_as_the_hardware_would():
    model = holder(torch.full((4000,), 1.5))
    with inject(model, BitFlip(rate=0.05), Buffers()) as record:
        only_30 = [f for f in record if f.bit == 30 and sum(record.index == f.index) == 1]
        assert len(only_30) > 10
        assert all(np.isnan(fault.after) for fault in only_30)


def test_static_pattern_for_the_whole_block(model):
    model.eval()
    images = torch.randn(2, 3, 8, 8)
    with inject(model, BitFlip(count=20), Weights()):
        first = model(images)
        assert torch.equal(model(images).view(torch.int32), first.view(torch.int32))


def test_no_fault_at_all(model, bits_of, same_bits):
    before = bits_of(model)
    with inject(model, BitFlip(rate=0.0), ALL) as record:
        assert same_bits(model, before)
    assert len(record) == 0
    assert str(record) == "0 faults in 0 tensors"
