import pytest
import torch

from clipact import faults
from clipact.errors import FaultError
from clipact.faults import BitFlip, Campaign, FixedPoint, Weights, inject


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"fault": 1e-3}, r"fault=0\.001 is a float; give faults\.BitFlip"),
        ({"fault": BitFlip}, "fault is the class BitFlip"),
        (
            {"target": Weights},
            r"target is the class Weights; give an object, as faults\.Weights\(\)",
        ),
        ({"target": "weights"}, "target='weights' is a str"),
        ({"format": FixedPoint}, "format is the class FixedPoint"),
        ({"model": "resnet"}, "model='resnet' is a str"),
    ],
)
def test_the_wrong_kind_is_named(model, wrong, message):
    asked = {"model": model, "fault": BitFlip(count=1), "target": Weights(), **wrong}
    with pytest.raises(FaultError, match=message), inject(**asked):
        pytest.fail("never entered")
    with pytest.raises(FaultError, match=message):
        Campaign(evaluation=lambda _: 0.0, **asked)


def test_other_kinds(model):
    with pytest.raises(FaultError, match=r"Weights\(\) \| the class Biases: combine"):
        Weights() | faults.Biases
    for trials in (2.5, True, "3"):
        with pytest.raises(FaultError, match="give an integer"):
            Campaign(model, lambda _: 0.0, fault=BitFlip(count=1), target=Weights(), trials=trials)
    with pytest.raises(FaultError, match="fault is the class BitFlip"):
        Campaign(model, lambda _: 0.0, fault=[BitFlip(count=1), BitFlip], target=Weights())


@pytest.mark.parametrize("rate", [True, "0.1", torch.tensor(0.1)])
def test_rates_are_numbers(rate):
    with pytest.raises(FaultError, match="give a number"):
        BitFlip(rate=rate)


def test_rates_that_differ_print_differently():
    assert str(BitFlip(rate=1e-3)) == "BitFlip(rate=0.001)"
    assert str(BitFlip(rate=1.0000001e-3)) == "BitFlip(rate=0.0010000001)"
    assert isinstance(BitFlip(rate=1).rate, float)


@pytest.mark.parametrize("given", [{"bits": 16.0}, {"fraction": 8.5}, {"bits": True}])
def test_fixed_point_has_whole_bits(given):
    with pytest.raises(FaultError, match="give integers"):
        FixedPoint(**given)


def test_fixed_point_needs_a_sign():
    with pytest.raises(FaultError, match="e8m0"):
        FixedPoint().width(torch.float8_e8m0fnu)
