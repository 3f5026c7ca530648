"""The benchmark of a sparse network trains what it says, and goes on with the same bits where it was interrupted."""

import argparse

import pytest
import torch


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    import _fit

    monkeypatch.setattr(_fit, "CACHE", tmp_path)
    monkeypatch.setattr(_fit, "faster_in_bfloat16", lambda *_: False)


@pytest.fixture
def data():
    from _data import digits

    return digits().smaller(train=768, validate=50, test=100)


def options(epochs=4):
    return argparse.Namespace(epochs=epochs, width=4, sparsity=0.8, seeds=[0])


def test_thresholds_are_held_and_zeros_are_counted(data):
    import sparse_cnn

    net = sparse_cnn.train("held", 0, data, options())
    assert min(net.controller.sparsity.values()) > 0.65  # a running share, of a ReLU at first
    cells = sparse_cnn.row("held", data, options()).split("|")
    _, table = sparse_cnn.measure(net, data)
    assert cells[3].strip() == f"{100 * table.sparsity:.1f} %"
    assert len(table) == 7


def test_an_interrupted_training_goes_on_with_the_same_bits(data, monkeypatch):
    import sparse_cnn

    whole = sparse_cnn.train("held", 0, data, options())
    for path in sparse_cnn.fit.__globals__["CACHE"].glob("*.pt"):
        path.unlink()
    steps = iter(range(15))
    plain = sparse_cnn.F.cross_entropy

    def stopped(*args, **kwargs):
        if next(steps, None) is None:
            raise KeyboardInterrupt
        return plain(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(sparse_cnn.F, "cross_entropy", stopped)
        with pytest.raises(KeyboardInterrupt):
            sparse_cnn.train("held", 0, data, options())
    resumed = sparse_cnn.train("held", 0, data, options())
    pairs = zip(whole.parameters(), resumed.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
