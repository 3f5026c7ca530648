import pytest
import torch

from clipact.functional import zeroed_relu

INF, NAN = torch.inf, torch.nan
X = [-INF, -1.0, 0.0, 0.25, 2.0, 2.0000002, 3.0, INF, NAN]


@pytest.mark.parametrize("threshold", [2.0, torch.tensor([2.0]), torch.full((9,), 2.0)])
def test_golden(threshold):
    assert zeroed_relu(torch.tensor(X), threshold).tolist() == [0, 0, 0, 0.25, 2, 0, 0, 0, 0]


def test_an_infinite_threshold_passes_infinity_but_never_nan():
    assert zeroed_relu(torch.tensor(X), INF).tolist()[-2:] == [INF, 0]


def test_ties():
    x = torch.tensor(X, requires_grad=True)
    threshold = torch.full((1,), 2.0, requires_grad=True)
    zeroed_relu(x, threshold).backward(torch.ones(9))
    assert x.grad.tolist() == [0, 0, 0, 1, 1, 0, 0, 0, 0]
    assert threshold.grad is None
