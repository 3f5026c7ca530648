import torch

from clipact.sparsity import MeasuredBreakEven
from clipact.sparsity._skipping import _break_even


class Costs:
    """A clock that moves by what each form costs; the forms themselves do nothing."""

    def __init__(self, monkeypatch, *, dense, look, fixed, each):
        self.now = 0.0
        self.dense, self.fixed, self.each = dense, fixed, each
        self.measured = 0
        monkeypatch.setattr(_break_even.F, "linear", lambda x, weight: self.spend(dense))
        monkeypatch.setattr(_break_even, "_look", lambda x: self.spend(look))
        monkeypatch.setattr(_break_even, "_skip", self.skip)

    def spend(self, seconds):
        self.measured += 1
        self.now += seconds

    def skip(self, x, weight):
        self.spend(self.fixed + self.each * int(torch.count_nonzero(x)))

    def __call__(self):
        return self.now


def weight(inputs=1000, outputs=4):
    return torch.zeros(inputs, outputs).t()


def test_the_crossing_of_two_lines(monkeypatch):
    costs = Costs(monkeypatch, dense=100.0, look=1.0, fixed=10.0, each=0.02)
    # 0.85 · 100 = 10 + 0.02 · n
    assert abs(MeasuredBreakEven(costs)(4, weight()) - 3750) <= 1
    costs = Costs(monkeypatch, dense=100.0, look=1.0, fixed=10.0, each=0.04)
    assert abs(MeasuredBreakEven(costs)(4, weight()) - 1875) <= 1


def test_never_where_skipping_costs_more(monkeypatch):
    costs = Costs(monkeypatch, dense=100.0, look=1.0, fixed=95.0, each=0.02)
    assert MeasuredBreakEven(costs)(4, weight()) == 0


def test_never_where_looking_costs_too_much(monkeypatch):
    costs = Costs(monkeypatch, dense=100.0, look=6.0, fixed=10.0, each=0.04)
    assert MeasuredBreakEven(costs)(4, weight()) == 0


def test_always_where_skipping_wins_without_zeros(monkeypatch):
    costs = Costs(monkeypatch, dense=100.0, look=60.0, fixed=10.0, each=0.001)
    assert MeasuredBreakEven(costs)(2, weight()) == 2000


def test_a_case_is_measured_once(monkeypatch):
    costs = Costs(monkeypatch, dense=100.0, look=1.0, fixed=10.0, each=0.02)
    break_even = MeasuredBreakEven(costs)
    first = break_even(4, weight())
    count = costs.measured
    assert [break_even(rows, weight()) for rows in (4, 5, 7)] == [first] * 3
    assert costs.measured == count
    break_even(8, weight())
    break_even(4, weight(outputs=5))
    break_even(4, weight().double())
    assert costs.measured == 4 * count
    assert len(break_even.measured) == 4


def test_large_and_empty_batches_are_not_measured(monkeypatch):
    costs = Costs(monkeypatch, dense=100.0, look=1.0, fixed=10.0, each=0.02)
    break_even = MeasuredBreakEven(costs)
    assert break_even(0, weight()) == break_even(256, weight()) == 0
    assert costs.measured == 0


def test_a_real_measurement_is_in_range_and_disturbs_nothing():
    break_even, layer = MeasuredBreakEven(), torch.randn(300, 200).t()
    before, rng = layer.clone(), torch.get_rng_state()
    assert 0 <= break_even(2, layer) <= 600
    assert torch.equal(layer, before)
    assert torch.equal(torch.get_rng_state(), rng)
    with torch.inference_mode():
        assert 0 <= break_even(16, layer.bfloat16()) <= 16 * 300
