"""The deep fully connected networks of ``depth.py``, and the images they read."""

import math
import warnings
from dataclasses import dataclass

import torch
from _data import CACHE, Data, Part, fashion_mnist
from torch import Tensor, nn

import clipact as ca
from clipact.errors import StabilityWarning


@dataclass(frozen=True)
class Method:
    """A network and how it is trained.

    Attributes:
        name: In tables.
        kind: The class of its activations; ``nn.ReLU`` is initialised as by He.
        sparsity: What the initialisation aims at.
        slope: Of the variance map; None for the default.
        q_star: Variance of what goes into each activation.
        residual: Weight of each layer's contribution, the stream being multiplied so that its variance stays; None for a
            plain network.
        normalise: Shift and scale what goes into each activation to mean 0 and variance ``q_star``, sample by sample.
        held: Move tau in training so that the sparsity stays.
        exact: Correct each layer's variance for finite width at the start, which the paper does not.
        adam: AdamW instead of plain SGD.
        rates: Learning rates to choose from.
    """

    name: str
    kind: type[nn.Module]
    sparsity: float = 0.5
    slope: float | None = None
    q_star: float = 1.0
    residual: float | None = None
    normalise: bool = False
    held: bool = False
    exact: bool = False
    adam: bool = False
    rates: tuple[float, ...] = (3e-3, 1e-2)

    def point(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StabilityWarning)
            if self.kind is nn.ReLU:
                return ca.sparsity.edge_of_chaos_of(nn.ReLU(), self.q_star)
            return ca.sparsity.edge_of_chaos(self.kind, self.sparsity, self.slope, self.q_star)

    def build(self, depth: int, width: int, seed: int, example: Tensor) -> "DeepNet":
        """So many activations, each behind a linear layer, and one linear layer more; at the edge of chaos."""
        point = self.point()
        layers: list[nn.Module] = []
        inputs = example.shape[1]
        for _ in range(depth):
            activation = nn.ReLU() if self.kind is nn.ReLU else point.activation()
            layers += [nn.Linear(inputs, width), activation]
            inputs = width
        chain = nn.Sequential(*layers, nn.Linear(inputs, 10))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StabilityWarning)  # some are to fail
            ca.sparsity.init_(chain, point, example=example, exact=self.exact, seed=seed)
        return DeepNet(chain, self)


class DeepNet(nn.Module):
    """A chain of linear layers and activations, plain or as a residual stream."""

    def __init__(self, chain: nn.Sequential, method: Method) -> None:
        super().__init__()
        self.chain = chain
        self.share = method.residual
        self.scale = math.sqrt(method.q_star) if method.normalise else None

    def forward(self, x: Tensor, watch=None) -> Tensor:
        """Logits; ``watch(h, a)`` sees what goes into each activation and what comes out."""
        first, *others = self.chain
        h = first(x)
        for activation, linear in zip(others[::2], others[1::2], strict=True):
            a = activation(self._normalised(h))
            if watch is not None:
                watch(h, a)
            y = linear(a)
            mixed = self.share is not None and linear is not others[-1]
            h = math.sqrt(1 - self.share**2) * h + self.share * y if mixed else y
        return h

    def _normalised(self, h: Tensor) -> Tensor:
        if self.scale is None:
            return h
        return self.scale * nn.functional.layer_norm(h, h.shape[1:])


def images(train: int, held_out: int, device: torch.device) -> Data:
    """Fashion-MNIST as vectors on a device, less the mean image, each of mean square 1."""
    path = CACHE / f"depth-images-{train}-{held_out}.pt"
    if not path.exists():
        CACHE.mkdir(exist_ok=True)
        torch.save(
            _prepared(fashion_mnist().smaller(train=train, validate=held_out, test=held_out)), path
        )
    parts = torch.load(path, weights_only=True)
    return Data("Fashion-MNIST", *((x.to(device), y.to(device)) for x, y in parts))


def _prepared(data: Data) -> list[Part]:
    mean = data.train[0].mean(0, keepdim=True)

    def prepared(part: Part) -> Part:
        flat = (part[0] - mean).flatten(1)
        return flat / flat.square().mean(1, keepdim=True).sqrt(), part[1].clone()

    return [prepared(part) for part in (data.train, data.validate, data.test)]


@torch.no_grad()
def signals(net: DeepNet, x: Tensor) -> tuple[list[float], list[float]]:
    """Mean square of what goes into each activation, and share of zeros of what comes out."""
    q: list[float] = []
    zeros: list[float] = []

    def watch(h: Tensor, a: Tensor) -> None:
        q.append(float(h.double().square().mean()))
        zeros.append(float((a == 0).double().mean()))

    net(x, watch)
    return q, zeros
