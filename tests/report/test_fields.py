import numpy as np
import pytest
import torch

from clipact import faults
from clipact.report._fields import fields
from clipact.report._singles import single_faults

from .campaigns import classified, flip, result_of

COUNT = faults.BitFlip(count=1)


def singles(kept, number_format=None):
    trials = [classified(n, COUNT, kept=[fault]) for n, fault in enumerate(kept)]
    return single_faults(result_of(trials, [COUNT], number_format=number_format), "sdc")


def flips(dtype, width, name="w"):
    values = np.random.default_rng(0).normal(size=width)
    return [flip(bit, float(value), name, dtype=dtype) for bit, value in enumerate(values)]


@pytest.mark.parametrize(
    ("dtype", "width", "mantissa"),
    [
        (torch.float32, 32, 23),
        (torch.float64, 64, 52),
        (torch.float16, 16, 10),
        (torch.bfloat16, 16, 7),
    ],
)
def test_floats_are_told_by_their_values(dtype, width, mantissa):
    found = fields(faults.Native(), singles(flips(dtype, width)))
    assert [tuple(field) for field in found] == [
        ("sign", width - 1, width - 1),
        ("exponent", mantissa, width - 2),
        ("mantissa", 0, mantissa - 1),
    ]


def test_what_is_not_sure_is_not_said():
    whole = [flip(bit, 3, dtype=torch.int32) for bit in range(32)]
    assert fields(faults.Native(), singles(whole)) == []
    mixed = [*flips(torch.float32, 32), *flips(torch.float16, 16, "half")]
    assert fields(faults.Native(), singles(mixed)) == []
    both = [flip(15, 1.5, dtype=torch.float16)]  # or a bfloat16
    assert fields(faults.Native(), singles(both)) == []


def test_a_tensor_with_few_faults_does_not_hide_the_fields():
    few = [flip(3, 0.1, "bias"), flip(9, 0.2, "bias")]
    assert len(fields(faults.Native(), singles([*flips(torch.float32, 32), *few]))) == 3


def test_fixed_point_without_a_fraction():
    q = faults.FixedPoint(8, 0)
    kept = [flip(bit, 1.5, number_format=q) for bit in range(8)]
    assert [f.name for f in fields(q, singles(kept, q))] == ["sign", "integer"]
