import pytest

from clipact.errors import ThresholdError
from clipact.methods import AbsoluteSlope, History, RelativeSlope
from clipact.nn import HyReLU, RelativeHyReLU


def test_a_table_and_a_frame():
    history = History([{"stage": "a", "accepted": True, "drop": 0.015}, {"stage": "b", "accepted": False, "drop": None}])  # fmt: skip
    lines = str(history).splitlines()
    assert lines[0].split() == ["stage", "accepted", "drop"]
    assert lines[2].split() == ["a", "yes", "0.015"]
    assert lines[3].split() == ["b", "no"]
    assert history.to_pandas().shape == (2, 3)


def test_slopes_anneal_by_the_same_factor_each_epoch():
    slope = RelativeSlope(start=10, end=1000)
    activations = [slope.activation(2.0), HyReLU(1.0)]
    assert activations[0].slope == 1000
    for done, expected in ((0.0, 10), (0.5, 100), (1.0, 1000)):
        slope.anneal(activations, done)
        assert activations[0].slope == pytest.approx(expected)
    assert activations[1].slope == 20
    assert isinstance(activations[0], RelativeHyReLU)


def test_an_absolute_slope_stays():
    slope = AbsoluteSlope(7.0)
    activation = slope.activation(2.0)
    slope.anneal([activation], 0.5)
    assert activation.slope == 7.0


@pytest.mark.parametrize(
    "make", [lambda: RelativeSlope(0.5, 2), lambda: RelativeSlope(20, 10), lambda: AbsoluteSlope(0)]
)
def test_slopes_that_make_no_sense(make):
    with pytest.raises(ThresholdError, match="asked for"):
        make()
