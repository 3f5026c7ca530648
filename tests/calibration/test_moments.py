import torch

from clipact.calibration import Moments


def streamed(samples, size):
    parts = [Moments.of(part) for part in samples.split(size)]
    total = parts[0]
    for part in parts[1:]:
        total = total | part
    return total


def test_streaming_equals_one_pass():
    samples = torch.randn(103, 4, 5, dtype=torch.float64) * 3 + 100
    found = streamed(samples, 10)
    assert found.count == 103
    assert torch.equal(found.largest, samples.amax(0))
    assert torch.equal(found.smallest, samples.amin(0))
    torch.testing.assert_close(found.mean, samples.mean(0), rtol=1e-12, atol=0)
    torch.testing.assert_close(
        found.deviation / found.count, samples.var(0, correction=0), rtol=1e-10, atol=0
    )


def test_low_precision_is_accumulated_in_float32():
    samples = torch.full((4096, 2), 1.001, dtype=torch.bfloat16)
    found = streamed(samples, 64)
    assert found.mean.dtype == torch.float32
    torch.testing.assert_close(found.mean, samples[0].float())


def test_channels_pool_every_other_axis():
    samples = torch.randn(20, 3, 4, 5, dtype=torch.float64)
    found = Moments.of(samples).to_channels(1)
    flat = samples.movedim(1, 0).flatten(1)
    assert found.count == 20 * 4 * 5
    assert torch.equal(found.largest, flat.amax(1))
    torch.testing.assert_close(found.mean, flat.mean(1), rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(
        found.deviation / found.count, flat.var(1, correction=0), rtol=1e-12, atol=0
    )


def test_one_sample_has_no_deviation():
    found = Moments.of(torch.randn(1, 3))
    assert torch.equal(found.deviation, torch.zeros(3))
