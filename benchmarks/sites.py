"""Sites found in every classification model of torchvision, against calls counted independently.

    python benchmarks/sites.py [MODEL ...]

For each model: the sites that ``find_sites`` finds on the meta device, the activation calls that a
``TorchFunctionMode`` counts in the same forward, and whether the model's output on real tensors (random weights) is
bit-equal after every site was replaced by an activation of infinite range, and again after ``restore()``.

RESULT
"""

import sys
import time

import torch
import torchvision
from torch import nn
from torch.overrides import TorchFunctionMode

from clipact.nn import RangeRestricted
from clipact.surgery import evaluating, find_sites, replace_activations

COUNTED = {"relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish", "hardtanh"}


class Count(TorchFunctionMode):
    """Counts calls of activation functions, from modules or not."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.calls += func.__name__.rstrip("_") in COUNTED
        return func(*args, **(kwargs or {}))


def build(name):
    """The model with random weights; no scipy-slow initialisation, which the two Inceptions would do."""
    slow = name in {"googlenet", "inception_v3"}
    return torchvision.models.get_model(name, weights=None, **({"init_weights": False} if slow else {}))


def image(name, *, small):
    """The smallest square image that the model takes, or the usual one."""
    fixed = name.startswith(("vit", "swin", "maxvit"))
    side = (299 if name == "inception_v3" else 224) if fixed or not small else 96
    return torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))


def is_bit_equal(model, picture):
    """Whether replacing every site by an activation of infinite range changes no bit, nor restoring."""
    outputs = []
    with evaluating(model):
        outputs.append(model(picture))
        with replace_activations(model, unlimited, example=picture):
            outputs.append(model(picture))
        outputs.append(model(picture))
    first = outputs[0].view(torch.int32)
    return all(torch.equal(first, other.view(torch.int32)) for other in outputs[1:])


def count(model, picture):
    """Sites found, calls counted; the model's weights are gone afterwards."""
    model.to("meta")
    with evaluating(model), Count() as counter:
        model(picture.to("meta"))
    return len(find_sites(model, picture.to("meta"))), counter.calls


def unlimited(site) -> nn.Module:
    """The same activation within a range that holds everything."""
    return RangeRestricted(site.activation, -torch.inf, torch.inf)


def main(names):
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}, CPU")
    print(f"{'model':22} {'sites':>6} {'calls':>6}  bit-equal  seconds")
    wrong = []
    for name in names or torchvision.models.list_models(module=torchvision.models):
        start = time.perf_counter()
        torch.manual_seed(0)
        model = build(name)
        equal = is_bit_equal(model, image(name, small=True))
        sites, calls = count(model, image(name, small=False))
        print(f"{name:22} {sites:6} {calls:6}  {'yes' if equal else 'NO':9}  {time.perf_counter() - start:7.1f}", flush=True)
        if sites != calls or not equal:
            wrong.append(name)
    print(f"wrong: {', '.join(wrong)}" if wrong else "all models agree")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
