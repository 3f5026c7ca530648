from clipact.nn import HyReLU


def test_hardening_survives_a_threshold_below_zero():
    activation = HyReLU(1.0)
    activation.threshold.data.fill_(-2.4)
    assert activation.harden().threshold.item() == 0.0
