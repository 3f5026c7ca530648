"""MRFI 2.1.0 by its own configuration, for `faults.py`.

Rates: its `RandomPositionByRate` draws a Poisson number of words of each tensor, with replacement, and flips one bit in each,
so no word has two faults, and draws anew in every forward: with two batches a memory fault would not be one. Single faults: it draws in
every tensor that is enabled, so the word is drawn here, uniform over all, and given by `FixPositions`; with fixed positions
the fault does stay over batches. A tensor is restored by its next forward while it is enabled and never when it is disabled; the one
hit before is therefore kept enabled for one forward with no position, which is the cheapest way that leaves no fault behind.
Activations: `per_instance` puts one fault into each sample of a batch, all in one layer.
"""

import statistics

from _injectors import RATE, convolutions, draw, share_changed, timed, weights
from mrfi import MRFI, EasyConfig
from torch import nn

FLIP = {"method": "FloatRandomBitFlip", "floattype": "float32"}


def configured(model, kind, selector, types):
    """The model under MRFI's hooks."""
    fault = {"type": kind, "selector": selector, "error_mode": dict(FLIP), "module_type": types}
    if kind == "weight":
        fault["name"] = ["weight"]
    return MRFI(model, EasyConfig({"faultinject": [fault]}))


def rate(model, images):
    selector = {"method": "RandomPositionByRate", "rate": 32 * RATE, "poisson": True}
    faulty = configured(model, "weight", selector, ["Conv2d", "BatchNorm2d", "Linear"])
    return timed(lambda _: faulty(images))


def weight(model, images):
    golden = model(images).argmax(1)
    sizes = [w.numel() for w in weights(model)]
    selector = {"method": "FixPositions", "positions": []}
    faulty = configured(model, "weight", selector, ["Conv2d", "BatchNorm2d", "Linear"])
    nodes = list(faulty.get_weights_configs())
    held = [
        module
        for module in model.modules()
        if isinstance(getattr(module, "weight", None), nn.Parameter)
    ]
    assert [module.weight.numel() for module in held] == sizes
    for node in nodes:
        node.enabled = False

    def run(trials):
        found, before = [], None
        for trial in range(trials):
            place, index, _ = draw(sizes, trial)
            nodes[place].enabled = True
            nodes[place].selector.args.positions = [index]
            found.append(share_changed(faulty(images), golden))
            if before not in (None, place):
                nodes[before].enabled = False
            nodes[place].selector.args.positions = []
            before = place
        faulty(images)
        nodes[before].enabled = False
        return statistics.mean(found)

    return run


def activation(model, images):
    golden = model(images).argmax(1)
    sizes = convolutions(model, images)[1]
    selector = {"method": "RandomPositionByNumber", "n": 1, "per_instance": True}
    faulty = configured(model, "activation_out", selector, ["Conv2d"])
    nodes = list(faulty.get_activation_configs(is_out=True))
    for node in nodes:
        node.enabled = False

    def run(trials):
        found = []
        for first in range(0, trials, len(images)):
            place, _, _ = draw(sizes, first)
            nodes[place].enabled = True
            found.append(share_changed(faulty(images), golden))
            nodes[place].enabled = False
        return statistics.mean(found)

    return run
