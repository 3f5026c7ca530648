import numpy as np
import pytest
import torch
from torch import nn

from clipact.errors import FaultError
from clipact.faults import BitFlip, Buffers, Weights, inject
from clipact.faults._formats import Int8
from clipact.faults._memory._bound import bind

FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
FLOATS += [torch.float8_e4m3fn, torch.float8_e5m2]


def holder(tensor):
    model = nn.Module()
    model.register_buffer("held", tensor)
    return model


def round_trip(tensor, number_format):
    codec = number_format.bind(tensor)
    scale = codec.scale(np.arange(tensor.numel()))
    codes = number_format.encode(tensor.reshape(-1), scale)
    return codes, number_format.decode(codes, tensor.dtype, scale).reshape(tensor.shape)


def reference(tensor, axis):
    """In NumPy, from the definition."""
    w = tensor.double().numpy()
    others = tuple(a for a in range(w.ndim) if a != axis)
    s = abs(w).max(axis=None if axis is None else others, keepdims=True) / 127
    q = np.clip(np.round(w / s), -127, 127)
    return q.reshape(-1), s


@pytest.mark.parametrize("axis", [None, 0, 1, 2, -1, -3])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_codes_and_values_are_those_of_the_definition(axis, dtype):
    tensor = (torch.randn(5, 4, 3) * torch.logspace(-3, 3, 4)[:, None]).to(dtype)
    codes, values = round_trip(tensor, Int8(axis))
    q, s = reference(tensor, axis if axis is None else axis % 3)
    assert np.array_equal(codes.astype(np.uint8).view(np.int8), q)
    expected = torch.from_numpy(q.reshape(5, 4, 3) * s).to(dtype)
    assert torch.equal(values, expected)


def test_the_largest_value_is_127_and_nearly_itself():
    tensor = torch.tensor([-3.0, 1.0, 0.02])
    codes, values = round_trip(tensor, Int8())
    assert codes.tolist() == [129, 42, 1]
    assert values.tolist() == pytest.approx([-3.0, 42 * 3 / 127, 3 / 127])


@pytest.mark.parametrize(
    ("bit", "after"),
    [(7, (64 - 128) / 127), (6, 0.0), (0, 65 / 127)],
)
def test_flips(bit, after):
    model = holder(torch.tensor([1.0, 64 / 127, 0.9]))
    with inject(model, BitFlip(rate=1.0, bits=[bit]), Buffers(), format=Int8()) as record:
        assert model.held[1].item() == pytest.approx(after)
    assert set(record.widths) == {8}


def test_a_fault_can_make_minus_128():
    model = holder(torch.tensor([1.0, 0.0]))
    with inject(model, BitFlip(rate=1.0, bits=[7]), Buffers(), format=Int8()):
        assert model.held[1].item() == pytest.approx(-128 / 127)


def test_nan_and_infinities():
    nan, inf = float("nan"), float("inf")
    tensor = torch.tensor([nan, inf, -inf, 2.54, -1.26])
    codes, values = round_trip(tensor, Int8())
    assert codes.astype(np.uint8).view(np.int8).tolist() == [0, 127, -127, 127, -63]
    assert values.isfinite().all()
    codes, values = round_trip(torch.tensor([nan, inf]), Int8())
    assert torch.equal(values, torch.tensor([0.0, 127 * 2.0**-23]))


@pytest.mark.parametrize("axis", [None, 0])
def test_zeros_stay_small(axis):
    tensor = torch.zeros(2, 3)
    tensor[1] = 1.0 if axis == 0 else 0.0
    model = holder(tensor.clone())
    with inject(model, BitFlip(rate=1.0, bits=[7]), Buffers(), format=Int8(axis)):
        assert (model.held[0] == -128 * 2.0**-23).all()
        if axis == 0:
            assert torch.allclose(model.held[1], torch.tensor(-1 / 127))


@pytest.mark.parametrize("dtype", FLOATS)
def test_finite_in_every_dtype(dtype):
    tensor = torch.full((4,), torch.finfo(dtype).max, dtype=dtype)
    tensor[0] = 0.0
    model = holder(tensor)
    with inject(model, BitFlip(rate=1.0), Buffers(), format=Int8()):
        assert model.held.double().isfinite().all()


def test_words_that_are_not_hit_stay(bits_of, same_bits):
    model = nn.Linear(30, 10)
    before, golden = bits_of(model), model.weight.detach().clone().reshape(-1)
    with inject(model, BitFlip(count=20), Weights(), format=Int8(axis=0)) as record:
        now = model.weight.detach().clone().reshape(-1)
        rest = torch.ones(300, dtype=torch.bool)
        rest[torch.from_numpy(record.index)] = False
        assert torch.equal(now[rest], golden[rest])
        step = golden.reshape(10, 30).abs().amax(1).double() / 127
        for fault in record:
            if (record.index == fault.index).sum() == 1:
                q = round(fault.before / step[fault.index // 30].item())
                code = (q & 0xFF) ^ (1 << fault.bit)
                value = (code - 256 if code > 127 else code) * step[fault.index // 30].item()
                assert fault.after == pytest.approx(value, rel=1e-6)
    assert same_bits(model, before)


def test_scales_are_of_the_tensor_that_was_bound(model):
    """A scale is computed once: of the golden tensor, also after the largest word has changed."""
    tensors = Weights().tensors(model)
    bound = bind(tensors, Int8(axis=0))
    index = np.array([0])
    before = [codec.scale(index) for codec in bound.codecs]
    with torch.no_grad():
        model[0].weight.mul_(100.0)
    after = [codec.scale(index) for codec in bound.codecs]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_tensors_of_one_dimension_have_one_scale():
    codec = Int8(axis=0).bind(torch.tensor([1.0, 2.54]))
    assert codec.scale(np.array([0, 1])).tolist() == pytest.approx([0.02, 0.02])
    assert Int8(axis=0).bind(torch.tensor(1.27)).scale(np.array([0])).tolist() == pytest.approx(
        [0.01]
    )


def test_refuses():
    with pytest.raises(FaultError, match=r"Int8\(axis='channel'\): give the number of an axis"):
        Int8("channel")
    with pytest.raises(FaultError, match=r"asks for axis 2 of a tensor of shape \(3, 4\)"):
        Int8(axis=2).bind(torch.zeros(3, 4))
    with pytest.raises(FaultError, match=r"not on torch\.int8"):
        Int8().bind(torch.zeros(3, dtype=torch.int8))
    with pytest.raises(FaultError, match="without a scale"):
        Int8().encode(torch.zeros(3))
