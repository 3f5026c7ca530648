"""Which form of a kernel runs when, and what it keeps."""

import io

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import clipact.functional as F

SHAPE = (2, 3, 4, 5)
GRANULARITIES = [(1,), (3, 1, 1), (3, 4, 5)]
FUNCTIONS = [F.saturated_relu, F.zeroed_relu, F.hyrelu, F.shifted_relu, F.soft_threshold]
each_function = pytest.mark.parametrize(
    "function", FUNCTIONS, ids=lambda function: function.__name__
)


class Operations(TorchDispatchMode):
    """Names of the tensor operations that ran."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def kept_for_backward(function, *inputs: Tensor) -> set[int]:
    """Addresses of the activation-sized storages that autograd keeps."""
    kept = set()

    def pack(tensor):
        if tensor.shape == inputs[0].shape:
            kept.add(tensor.data_ptr())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = function(*inputs)
    return {
        "output"
        if address == y.data_ptr()
        else "input"
        if address == inputs[0].data_ptr()
        else "more"
        for address in kept
    }


def activation() -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("granularity", GRANULARITIES[:2])
@pytest.mark.parametrize(
    ("function", "kept"),
    [
        (F.saturated_relu, {"output"}),
        (F.zeroed_relu, {"output"}),
        (F.hyrelu, {"input"}),
        (lambda x, t: F.range_restricted(x, -t, t), {"output"}),
        (lambda x, t: F.range_restricted(x, -t, t, zero=True), {"input"}),
        (F.shifted_relu, {"output"}),
        (F.soft_threshold, {"output"}),
        (lambda x, t: F.crelu(x, t, t), {"output"}),
        (lambda x, t: F.cst(x, t, t), {"output"}),
    ],
)
def test_one_tensor_is_kept_for_the_backward_pass(function, kept, granularity):
    assert (
        kept_for_backward(
            function, activation().requires_grad_(), torch.ones(granularity).requires_grad_()
        )
        == kept
    )


@pytest.mark.parametrize("threshold", [1.0, torch.ones(1), torch.ones(1, requires_grad=True)])
def test_saturating_at_one_value_is_one_clamp_in_inference(threshold):
    x = activation()
    with torch.no_grad(), Operations() as operations:
        F.saturated_relu(x, threshold)
    passes = [
        name for name in operations.names if name not in {"_local_scalar_dense", "detach", "view"}
    ]
    assert passes == ["clamp"]


def test_a_range_is_one_clamp_and_a_soft_threshold_one_shrinkage_in_inference():
    x = activation()
    with Operations() as operations:
        F.range_restricted(x, -1.0, 1.0)
        F.soft_threshold(x, 1.0)
    assert operations.names == ["clamp", "softshrink"]


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_a_frozen_threshold_costs_no_sum(granularity):
    x = activation().requires_grad_()
    y = F.saturated_relu(x, torch.ones(granularity))
    with Operations() as operations:
        y.backward(torch.ones_like(y))
    assert "sum" not in operations.names


@each_function
def test_only_the_threshold_needs_a_gradient(function):
    threshold = torch.ones(1, requires_grad=True)
    y = function(activation() * 3, threshold)
    assert y.requires_grad == (function is not F.zeroed_relu)
    if y.requires_grad:
        y.sum().backward()
        assert threshold.grad.item() != 0


def test_half_precision_gradients_are_summed_in_single_precision():
    x = torch.full((100_000,), 2.0, dtype=torch.float16, requires_grad=True)
    threshold = torch.ones(1, requires_grad=True)
    F.saturated_relu(x, threshold).backward(torch.ones_like(x))
    assert threshold.grad.item() == 100_000  # more than float16 can hold


@each_function
def test_a_tensor_subclass_is_composed(function):
    class Tagged(Tensor):
        pass

    y = function(activation().as_subclass(Tagged), torch.ones(1))
    assert type(y) is Tagged
    assert torch.equal(y.as_subclass(Tensor), function(activation(), torch.ones(1)))


@each_function
def test_meta_tensors_and_inference_mode(function):
    assert (
        function(torch.empty(SHAPE, device="meta"), torch.empty((3, 1, 1), device="meta")).shape
        == SHAPE
    )
    with torch.inference_mode():
        assert function(activation(), torch.ones(3, 1, 1)).shape == SHAPE


class Layer(torch.nn.Module):
    def __init__(self, function, threshold):
        super().__init__()
        self.function = function
        self.threshold = torch.nn.Parameter(threshold, requires_grad=False)

    def forward(self, x):
        return self.function(x, self.threshold)


@pytest.mark.parametrize("granularity", GRANULARITIES)
@each_function
def test_exports(function, granularity):
    layer = Layer(function, torch.full(granularity, 0.7)).eval()
    exported = torch.export.export(layer, (activation(),)).module()
    torch.testing.assert_close(exported(activation()), layer(activation()))


@pytest.mark.slow
@pytest.mark.parametrize("granularity", GRANULARITIES[:2])
@pytest.mark.parametrize(("function", "operators"), [(F.saturated_relu, {"Min", "Clip"}), (F.zeroed_relu, {"Where"}), (F.hyrelu, {"Sigmoid"}), (F.shifted_relu, {"Relu"}), (F.soft_threshold, {"Sign"}), (lambda x, t: F.crelu(x, t, t), {"Min"}), (lambda x, t: F.cst(x, t, t), {"Sign"})])  # fmt: skip
def test_onnx_runs_with_the_same_results(function, operators, granularity):
    layer = Layer(function, torch.full(granularity, 0.7)).eval()
    program = torch.onnx.export(layer, (activation(),), dynamo=True, verbose=False)
    assert operators & {node.op_type for node in program.model.graph}
    buffer = io.BytesIO()
    program.save(buffer)
    session = onnxruntime.InferenceSession(buffer.getvalue(), providers=["CPUExecutionProvider"])
    x = activation()
    x[0, 0, 0, :3] = torch.tensor([torch.inf, -torch.inf, torch.nan])
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    np.testing.assert_allclose(found, layer(x).numpy(), rtol=1e-5, atol=1e-6)
