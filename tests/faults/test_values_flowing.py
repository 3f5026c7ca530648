import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from clipact.errors import FaultError
from clipact.faults import Activations, BitFlip, FixedPoint, Inputs, Native
from clipact.faults._hits import Hits
from clipact.faults._models import draw_parts
from clipact.faults._streams import Draw
from clipact.faults._values import flowing, observe
from clipact.where import named, of_type

FLIP = BitFlip(count=1)
NATIVE = Native()
SIGN = 31


def hit(index, bit=SIGN):
    mask = np.full(len(index), 1 << bit, dtype=np.uint64)
    return [Hits(np.array(index, dtype=np.int64), mask)]


class Hit:
    """A plan that hits these words of one sample, or of all, at one place."""

    def __init__(self, name, index, sample=None, bit=SIGN, forward=None):
        self.name, self.sample, self.forward = name, sample, forward
        self.hits = hit(index, bit)
        self.calls = []

    def __call__(self, forward, place, rows):
        self.calls.append((forward, place.name, rows))
        if place.name != self.name or self.forward not in (None, forward):
            return {}
        return dict.fromkeys(range(rows) if self.sample is None else [self.sample], self.hits)


def run(model, target, plan, *batches, bits=NATIVE):
    """Outputs with faults, and what landed."""
    with torch.no_grad():
        flow = observe(model, target, lambda: [model(batch) for batch in batches])
        landed = []
        with flowing(model, flow.places, plan, FLIP, format=bits, on_landing=landed.append):
            outputs = [model(batch) for batch in batches]
    return outputs, landed


def negated(tensor, *at):
    other = tensor.clone()
    other[at] = -other[at]
    return other


def test_one_word_of_one_sample():
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 4))
    x = torch.randn(3, 6)
    plan = Hit("1", [2], sample=1)
    (out,), (landing,) = run(model, Activations(), plan, x)
    with torch.no_grad():
        value = model[1](model[0](x))
        assert torch.equal(out, model[2](negated(value, 1, 2)))
    assert plan.calls == [(0, "1", 3)]
    assert (landing.forward, landing.place.name, landing.samples) == (0, "1", [1])
    assert torch.equal(landing.before, value[1, 2:3])
    (fault,) = landing.record(FLIP)
    assert (fault.tensor, fault.index, fault.bit, fault.after) == ("1", 2, 31, -fault.before)


def test_functional_sites_and_executions():
    class Model(nn.Module):
        def forward(self, x):
            for _ in range(2):
                x = x + F.relu(x)
            return F.relu(x)

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.part = Model()

        def forward(self, x):
            return torch.stack([self.part(x), self.part(x)])

    x = torch.arange(1.0, 5.0).reshape(2, 2)
    (out,), _ = run(Twice(), Activations(), Hit("part.relu_2@2", [1]), x)
    first = x + x
    assert torch.equal(out[0], first + first)
    assert torch.equal(out[1], (first + negated(first, ..., 1)).relu())


def test_where_and_how_often():
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU())
    batches = [torch.randn(2, 6), torch.randn(2, 6), torch.randn(1, 6)]
    plan = Hit("1", [0], forward=1)
    outputs, landed = run(model, Activations(), plan, *batches)
    assert [rows for _, _, rows in plan.calls] == [2, 2, 1]
    assert [landing.forward for landing in landed] == [1]
    with torch.no_grad():
        assert torch.equal(outputs[0], model(batches[0]))
        assert torch.equal(outputs[1], negated(model(batches[1]), ..., 0))


@pytest.mark.parametrize(
    "dtype",
    [
        torch.float64,
        torch.float32,
        torch.bfloat16,
        torch.float16,
        torch.float8_e4m3fn,
        torch.float8_e5m2,
    ],
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last, "part", "wide"])
def test_every_floating_type_and_layout(dtype, layout):
    class Lays(nn.Module):
        def forward(self, x):
            if layout == "part":
                return x.repeat(2, 2, 2, 2)[1:3, :3, ::2, 1:6].detach()
            if layout == "wide":
                return x[:, :1].expand(2, 3, 4, 5)
            return x.contiguous(memory_format=layout)

    model = nn.Sequential(Lays())
    x = torch.randn(2, 3, 4, 5).to(dtype)
    clean = model(x)
    bit = 8 * dtype.itemsize - 1
    at = np.ravel_multi_index((2, 1, 3), clean.shape[1:])
    (out,), (landing,) = run(model, Activations(named("0")), Hit("0", [at], 1, bit), x)
    assert out.dtype is dtype
    if layout != "wide":
        assert out.stride() == clean.stride()
    changed = out.double() != clean.double()
    assert changed.nonzero().tolist() == [[1, 2, 1, 3]]
    assert out[1, 2, 1, 3].double() == -clean[1, 2, 1, 3].double()
    assert landing.width == 8 * dtype.itemsize


@pytest.mark.parametrize(
    ("dtype", "bit"),
    [(torch.int64, 63), (torch.int32, 3), (torch.uint8, 7), (torch.int16, 0), (torch.bool, 0)],
)
def test_inputs_of_every_type_are_changed_in_a_copy(dtype, bit):
    class Takes(nn.Module):
        def forward(self, *, ids):
            return ids.clone()

    model = Takes()
    ids = torch.tensor([[1, 0, 1], [0, 1, 1]]).to(dtype)
    given = ids.clone()
    flow = observe(model, Inputs(), lambda: model(ids=ids))
    with flowing(model, flow.places, Hit("input['ids']", [2], 0, bit), FLIP):
        out = model(ids=ids)
    flipped = (
        0
        if dtype is torch.bool
        else int(np.int64(1) ^ np.int64(1 << bit if bit < 63 else -(2**63)))
    )
    assert int(out[0, 2]) == flipped
    assert torch.equal(ids, given)
    out[0, 2] = given[0, 2]
    assert torch.equal(out, given)


@pytest.mark.parametrize(
    "layer",
    [nn.Identity(), nn.Dropout().eval(), nn.ReLU(inplace=True), nn.Flatten()],
)
def test_outputs_that_are_the_inputs_leave_them_alone(layer):
    model = nn.Sequential(layer)
    x = torch.rand(2, 3)
    given = x.clone()
    (out,), landed = run(model, Activations(named("0")), Hit("0", [1], 1), x)
    assert torch.equal(out, negated(given, 1, 1))
    assert len(landed) == 1
    assert torch.equal(x, given)


def test_a_layer_that_returns_a_parameter_leaves_it_alone(bits_of, same_bits):
    class Token(nn.Module):
        def __init__(self):
            super().__init__()
            self.token = nn.Parameter(torch.ones(1, 4))

        def forward(self, x):
            return self.token

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.token = Token()

        def forward(self, x):
            return x + self.token(x)

    model = Model()
    before = bits_of(model)
    (out,), _ = run(model, Activations(named("token")), Hit("token", [3]), torch.zeros(1, 4))
    assert out.tolist() == [[1, 1, 1, -1]]
    assert same_bits(model, before)


class Overwrites(nn.Module):
    """Throws the result of an in-place call away."""

    def __init__(self, call):
        super().__init__()
        self.call = call
        if call == "module":
            self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        y = x * 1
        if self.call == "module":
            self.relu(y)
        elif self.call == "method":
            y.relu_()
        else:
            F.relu(y, inplace=True)
        return y


@pytest.mark.parametrize("call", ["module", "method", "function"])
def test_a_result_that_is_thrown_away_is_hit_where_the_model_goes_on(call):
    x = torch.rand(2, 3)
    (out,), _ = run(Overwrites(call), Activations(), Hit("relu", [1], 1), x)
    assert torch.equal(out, negated(x, 1, 1))


def test_in_place_calls_on_the_callers_tensor_and_on_buffers():
    class OnInput(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("state", torch.ones(2, 3))

        def forward(self, x):
            return x.relu_(), self.state.relu_()

    model = OnInput()
    x = torch.rand(2, 3)
    given = x.clone()
    (out,), _ = run(model, Activations(), Hit("relu", [1], 1), x)
    assert torch.equal(out[0], negated(given, 1, 1))
    assert torch.equal(x, given)
    (out,), _ = run(model, Activations(), Hit("relu_2", [1], 1), x)
    assert torch.equal(out[1], negated(torch.ones(2, 3), 1, 1))
    assert torch.equal(model.state, torch.ones(2, 3))


def test_gradients_pass_a_fault():
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True), nn.Linear(3, 1))
    x = torch.randn(4, 3)
    flow = observe(model, Activations(), lambda: model(x))
    with flowing(model, flow.places, Hit("1", [0]), FLIP):
        model(x).sum().backward()
    assert all(bool(parameter.grad.isfinite().all()) for parameter in model.parameters())
    hidden = torch.relu(model[0](x))
    signs = torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(model[2].weight.grad, (hidden * signs).sum(0, keepdim=True))


@pytest.mark.parametrize("path", ["[0]", "[1][0]"])
def test_tuples_and_packed_sequences(path):
    model = nn.Sequential(nn.LSTM(3, 4))
    steps = pack_sequence([torch.randn(3, 3), torch.randn(2, 3)])
    with torch.no_grad():
        clean = model(steps)
    (out,), (landing,) = run(model, Activations(of_type(nn.LSTM)), Hit(f"0{path}", [5]), steps)
    values = {"[0]": (clean[0].data, out[0].data), "[1][0]": (clean[1][0], out[1][0])}
    for name, (before, after) in values.items():
        changed = (before != after).reshape(-1).nonzero().tolist()
        assert changed == ([[5]] if name == path else [])
    assert landing.place.shape == tuple(values[path][0].shape)


def test_stacked_samples():
    class Windows(nn.Module):
        def forward(self, x):
            return F.relu(x.reshape(-1, 2, 3))

    x = torch.rand(2, 6, 3)
    (out,), _ = run(Windows(), Activations(), Hit("relu", [7], 1), x)
    assert torch.equal(out, negated(x.reshape(6, 2, 3), 4, 0, 1))


def test_samples_along_another_axis():
    model = nn.Sequential(nn.GRU(3, 4))
    x = torch.randn(5, 2, 3)
    with torch.no_grad():
        clean, _ = model(x)
    target = Activations(of_type(nn.GRU), batch_dim=1)
    (out,), _ = run(model, target, Hit("0[0]", [9], 1), x)
    assert torch.equal(out[0], negated(clean, 2, 1, 1))


def test_words_that_a_shorter_sequence_lacks_are_not_hit():
    long, short = torch.rand(2, 5, 4), torch.rand(2, 2, 3)
    plan = Hit("output", [0, 6, 7, 17], 1)
    (first, second), landed = run(nn.ReLU(), Activations(), plan, long, short)
    assert (first != long).nonzero().tolist() == [[1, 0, 0], [1, 1, 2], [1, 1, 3], [1, 4, 1]]
    assert (second != short).nonzero().tolist() == [[1, 0, 0], [1, 1, 2]]
    assert landed[1].hits[0][0].index.tolist() == [0, 5]


def test_formats_apply_to_values():
    q = FixedPoint(bits=16, fraction=8)
    x = torch.tensor([[1.5, 2.3]])
    (out,), (landing,) = run(nn.ReLU(), Activations(), Hit("output", [1], bit=8), x, bits=q)
    assert out.tolist() == [[1.5, 3.30078125]]
    assert landing.width == 16


def test_packed_trials_are_those_run_alone(model):
    model.eval()
    batch = torch.randn(1, 3, 8, 8).expand(16, 3, 8, 8).contiguous()
    with torch.no_grad():
        flow = observe(model, Activations(named("*")) | Inputs(), lambda: model(batch))
        spaces = flow.spaces(Native())
        by_place = {}
        for row in range(16):
            (drawn,) = draw_parts(FLIP, spaces, Draw(0, row))
            for place, hits in zip(flow.places, drawn, strict=True):
                if hits.index.size:
                    by_place.setdefault(place.name, {})[row] = [hits]
        assert len(by_place) > 2

        def outputs(chosen):
            def plan(forward, place, rows):
                return {r: p for r, p in by_place.get(place.name, {}).items() if r in chosen}

            with flowing(model, flow.places, plan, FLIP):
                return model(batch).view(torch.int32)

        packed = outputs(range(16))
        for row in range(16):
            assert torch.equal(outputs([row])[row], packed[row])


def test_nothing_is_installed_where_nothing_is_hit(model):
    before = [len(part._forward_hooks) for part in model.modules()]
    with flowing(model, [], Hit("2", [0]), FLIP):
        assert [len(part._forward_hooks) for part in model.modules()] == before
        model(torch.randn(2, 3, 8, 8))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_behind(model, error, bits_of, same_bits):
    model.eval()
    before = bits_of(model)
    attributes = [dict(part.__dict__) for part in model.modules()]
    hooks = [len(part._forward_hooks) for part in model.modules()]
    x = torch.randn(2, 3, 8, 8)
    given = x.clone()
    flow = observe(model, Activations() | Inputs(), lambda: model(x))

    def plan(forward, place, rows):
        if place.name == "2":
            raise error
        return dict.fromkeys(range(rows), hit([0]))

    with pytest.raises(error), flowing(model, flow.places, plan, FLIP):
        model(x)
    assert same_bits(model, before)
    assert [dict(part.__dict__) for part in model.modules()] == attributes
    assert [len(part._forward_hooks) for part in model.modules()] == hooks
    assert torch.equal(x, given)


def test_another_model_than_was_observed():
    model = nn.Sequential(nn.ReLU())
    flow = observe(model, Activations(), lambda: model(torch.ones(2, 3)))
    with (
        pytest.raises(FaultError, match="observe the model again"),
        flowing(model, flow.places, Hit("0", [0]), FLIP),
    ):
        model(torch.ones(2, 3).half())
    with pytest.raises(FaultError, match="which has 2 samples"):
        run(model, Activations(), Hit("0", [0], sample=2), torch.ones(2, 3))


def test_fused_attention_does_not_bypass_faults():
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True).eval()
    x = torch.randn(2, 5, 16)
    with torch.inference_mode():
        clean = layer(x)
    (out,), landed = run(layer, Activations(), Hit("activation", [0], bit=30), x)
    assert len(landed) == 1
    assert not torch.equal(out, clean)
    with torch.inference_mode():
        assert torch.equal(layer(x), clean)


def test_inside_inference_mode():
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True), nn.Identity())
    x = torch.randn(2, 3)
    with torch.inference_mode():
        clean = model(x)
        flow = observe(model, Activations(), lambda: model(x))
        with flowing(model, flow.places, Hit("1", [0]), FLIP):
            assert torch.equal(model(x), negated(clean, ..., 0))
