import pytest
import torch
from torch import nn

from clipact.errors import SelectionError, SurgeryError
from clipact.nn import HyReLU, RangeRestricted, SaturatedReLU, ZeroedReLU
from clipact.surgery import harden_, replace_activations, thresholds

X = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))


def test_hand_made_models_are_in_order_of_registration():
    model = nn.Sequential(
        SaturatedReLU(1.0), RangeRestricted(HyReLU(3.0), -1.0, 2.0), SaturatedReLU(4.0)
    )
    names = ["0.threshold", "1.low", "1.high", "1.activation.threshold", "2.threshold"]
    assert list(thresholds(model)) == names
    model[2].position = 0
    model[1].position = 1
    assert list(thresholds(model)) == ["2.threshold", *names[1:4], "0.threshold"]
    assert thresholds(model)["1.high"] is model[1].high


def test_no_thresholds():
    assert thresholds(nn.Linear(1, 1)) == {}


def test_harden_keeps_thresholds_positions_and_modes(models, snapshot):
    model = models.Shared().eval()
    limits = iter((1.0, 2.0, 3.0))
    replace_activations(model, lambda _: HyReLU(next(limits)), example=X)
    before = snapshot(model)
    receipt = harden_(model)
    assert [type(new) for _, new in receipt.changes] == [ZeroedReLU] * 3
    assert [site.name for site, _ in receipt.changes] == ["relu", "relu_2", "relu_3"]
    assert [value.item() for value in thresholds(model).values()] == [1.0, 2.0, 3.0]
    assert not model.relu_2.training
    receipt.restore()
    before.assert_same()


def test_harden_gives_one_module_for_one_module():
    smooth = HyReLU(1.0)
    model = nn.Sequential(smooth, nn.Linear(2, 2), smooth)
    harden_(model)
    assert model[0] is model[2]


def test_nothing_to_harden():
    with pytest.raises(SelectionError, match="hard already"):
        harden_(nn.Sequential(SaturatedReLU(1.0)))
    with pytest.raises(SurgeryError, match="the model itself"):
        harden_(HyReLU(1.0))
