import numpy as np
import pytest
import torch

from clipact.calibration import QuantileSketch
from clipact.calibration._sketch import RELATIVE_ERROR

CPU = torch.device("cpu")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("q", [0.001, 0.1, 0.5, 0.9, 0.999])
def test_within_its_stated_error(seed, q):
    values = torch.randn(3, 20_000, generator=torch.Generator().manual_seed(seed)) * torch.tensor(
        [[0.01], [1.0], [100.0]]
    )
    sketch = QuantileSketch.empty(3, CPU)
    for part in values.split(777, dim=1):
        sketch.add(part)
    exact = np.quantile(values.numpy(), q, axis=1, method="lower")
    np.testing.assert_allclose(sketch.quantile(q).numpy(), exact, rtol=RELATIVE_ERROR)


def test_rectified_values_have_their_zeros():
    sketch = QuantileSketch.empty(1, CPU)
    sketch.add(torch.tensor([[0.0, 0.0, 0.0, -0.0, 4.0]]))
    assert sketch.quantile(0.5).item() == 0.0
    assert sketch.quantile(1.0).item() == pytest.approx(4.0, rel=RELATIVE_ERROR)


def test_beyond_its_range_values_are_kept_at_the_ends():
    sketch = QuantileSketch.empty(1, CPU)
    sketch.add(torch.tensor([[-1e30, 1e-30, 1e30]]))
    low, middle, high = (sketch.quantile(q).item() for q in (0.0, 0.5, 1.0))
    assert middle == 0.0
    assert low == -high
    assert 65_536 * (1 - 2 * RELATIVE_ERROR) <= high <= 65_536


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_takes_any_floating_point(dtype):
    sketch = QuantileSketch.empty(1, CPU)
    sketch.add(torch.arange(1, 101, dtype=dtype).unsqueeze(0))
    assert sketch.quantile(0.5).item() == pytest.approx(50.0, rel=0.03)


def test_takes_non_contiguous_rows():
    values = torch.rand(50, 4).t()
    sketch, copy = QuantileSketch.empty(4, CPU), QuantileSketch.empty(4, CPU)
    sketch.add(values)
    copy.add(values.contiguous())
    assert torch.equal(sketch.counts, copy.counts)
