import pytest
import torch

from clipact.errors import ThresholdError
from clipact.functional import saturated_relu, zeroed_relu
from clipact.functional._threshold import as_number, as_tensor, fit, varies_in_memory

X = torch.zeros(2, 3, 4, 5)


@pytest.mark.parametrize(
    "shape", [(), (1,), (5,), (4, 1), (3, 1, 1), (3, 4, 5), (1, 3, 1, 1), (2, 1, 1, 1)]
)
def test_a_threshold_that_broadcasts_gets_the_dimensions_of_the_input(shape):
    fitted = fit(X, torch.ones(shape), "threshold")
    assert fitted.dim() == X.dim()
    assert (X + fitted).shape == X.shape


def test_one_value_fits_a_scalar():
    assert fit(torch.tensor(1.0), torch.ones(1), "threshold").shape == ()


def test_the_error_names_the_threshold_and_both_shapes():
    with pytest.raises(
        ThresholdError, match=r"low of shape \(4,\) .* input of shape \(2, 3, 4, 5\)"
    ):
        fit(X, torch.ones(4), "low")


def test_a_number_is_rounded_like_the_input():
    assert as_number(X, 0.1) == 0.1
    assert as_number(X.bfloat16(), torch.tensor([0.1])) == torch.tensor(0.1).bfloat16().item()


def test_only_one_value_on_the_cpu_is_read():
    assert as_number(X, torch.ones(2)) is None
    assert as_number(X, torch.ones(1, device="meta")) is None


def test_a_number_becomes_a_tensor_of_the_dtype_of_the_input():
    assert as_tensor(X.half(), 2.0).dtype is torch.float16
    assert as_tensor(X, 2.0).shape == (1, 1, 1, 1)


@pytest.mark.parametrize(
    ("shape", "layout", "varies"),
    [
        ((1, 1, 1, 1), torch.contiguous_format, False),
        ((1, 3, 1, 1), torch.contiguous_format, False),
        ((1, 3, 4, 5), torch.contiguous_format, True),
        ((1, 3, 1, 1), torch.channels_last, True),
    ],
)
def test_whether_neighbours_in_memory_share_a_threshold(shape, layout, varies):
    assert varies_in_memory(X.to(memory_format=layout), torch.ones(shape)) == varies


@pytest.mark.parametrize("threshold", [1e5, torch.tensor([1e5])])
def test_a_finite_threshold_stays_finite_in_half_precision(threshold):
    x = torch.tensor([1.0, float("inf")], dtype=torch.float16)
    assert zeroed_relu(x, threshold).tolist() == [1.0, 0.0]
    assert saturated_relu(x, threshold).tolist() == [1.0, 65504.0]
    assert saturated_relu(x, float("inf")).tolist() == [1.0, float("inf")]
