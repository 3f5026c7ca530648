"""Tables of made-up results; the numbers in them were worked out by hand."""

import pytest
import torch
from torch import nn

from clipact.nn import HoyerSpike


@pytest.fixture
def results():
    """Accuracies by seed; the Leaky neuron lacks the first."""
    from _spiking_tables import Result

    return {
        "ReLU": {0: Result(90.0, 0.5, 3.0), 1: Result(92.0, 0.6, 5.0), 2: Result(94.0, 0.4, 4.0)},
        "Hoyer, 1 level": {0: Result(89.0, 0.2, 1.0), 1: Result(92.0, 0.3, 1.5), 2: Result(91.0, 0.1, 2.0)},
        "Leaky, T=1": {1: Result(88.0, 0.1, 0.5), 2: Result(90.0, 0.2, 1.0)},
    }  # fmt: skip


TIMES = {"ReLU": (0.4, 0.001), "Hoyer, 1 level": (0.5, 0.003), "Leaky, T=1": (0.6, 0.002)}


def test_differences_are_of_the_same_seeds_with_an_interval_from_three_on(results):
    from _spiking_tables import difference

    relu, hoyer, leaky = results.values()
    # -1, 0 and -3: mean -4/3, variance 7/3; Student's 97.5 % point at 2 degrees is 4.3027, times sqrt(7/9) is 3.79
    assert difference(hoyer, relu) == "-1.33 ± 3.79"
    assert difference(relu, hoyer) == "+1.33 ± 3.79"
    assert difference(hoyer, leaky) == "+2.50"  # of 4 and 1, not of the means over what each has
    assert difference({0: relu[0]}, hoyer) == "+1.00"
    assert difference({7: relu[0]}, hoyer) == ""


def test_one_row_a_method_and_one_a_pair_of_which_both_are_there(results):
    from _spiking_tables import section

    lines = list(section(results, TIMES, steps=20))
    assert lines[2:5] == [
        "| ReLU | 3 | 92.00 |  | 50.0 % | 4.00 | 8.0 | 1.00 |",
        "| Hoyer, 1 level | 3 | 90.67 | -1.33 ± 3.79 | 20.0 % | 1.50 | 10.0 | 3.00 |",
        "| Leaky, T=1 | 2 | 89.00 | -4.00 | 15.0 % | 0.75 | 12.0 | 2.00 |",
    ]
    assert lines[5:] == [
        "",
        "| difference | seeds | points | time of an inference |",
        "|---|---:|---:|---:|",
        "| Hoyer, 1 level, minus Leaky, T=1 | 2 | +2.50 | × 1.50 |",
        "",
    ]
    assert {line.count("|") for line in lines[:5]} == {9}


def test_without_a_pair_or_a_relu_there_is_nothing_to_subtract(results):
    from _spiking_tables import section

    lines = list(section({"Leaky, T=1": results["Leaky, T=1"]}, TIMES, steps=1))
    assert lines[2:] == ["| Leaky, T=1 | 2 | 89.00 |  | 15.0 % | 0.75 | 0.6 | 2.00 |", "", ""]


def test_activations_are_counted_over_all_layers_and_a_neuron_once_for_all_its_steps():
    from _spiking_tables import spike_rate

    model = nn.Sequential(nn.ReLU(), HoyerSpike()).eval()  # never trained: spikes at 1
    x = torch.tensor([[-1.0, 0.5, 2.0, 3.0]])
    assert spike_rate(model, x) == (3 + 2) / 8
    model[1].steps = 4  # as the Leaky neuron of the benchmark, whose steps lie one behind the other
    assert spike_rate(model, x) == (3 + 2) / (4 + 1)
    assert not model[0]._forward_hooks
