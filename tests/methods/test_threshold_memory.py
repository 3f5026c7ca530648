"""How many thresholds each method puts into the networks of the papers: the published counts."""

import pytest
import torch
import torchvision
from torch import nn

import clipact as ca

Descent = ca.training.Descent

NEURON = ca.methods.FitAct(descent=Descent(1e-3, epochs=0))
HYBRID = ca.methods.ProAct(decays=(), tolerance=0.5)


def vgg16():
    """VGG-16 for 32×32 images: 13 convolutions with a ReLU each, and one fully connected layer."""
    layers, channels = [], 3
    for width in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):
        if width:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        else:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, 10))


def resnet50():
    """ResNet-50 for 32×32 images: a 3×3 convolution of stride 1 for a stem, and no pooling behind it."""
    model = torchvision.models.resnet50(num_classes=10)
    model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    model.maxpool = nn.Identity()
    return model


PUBLISHED = {
    vgg16: {NEURON: 276_480, ca.methods.ClipToZero("channel"): 4_224, HYBRID: 2_060, ca.methods.ClipToZero(): 13},
    resnet50: {NEURON: 2_875_392, ca.methods.ClipToZero("channel"): 22_656, HYBRID: 32_815, ca.methods.ClipToZero(): 48},
}  # fmt: skip


@pytest.mark.parametrize("make", [vgg16, pytest.param(resnet50, marks=pytest.mark.slow)])
def test_published_counts(make):
    torch.manual_seed(0)
    model = make().eval()
    images = [torch.randn(2, 3, 32, 32) for _ in range(2)]
    with torch.no_grad():
        data = [[(each, model(each).argmax(1))] for each in images]
    stem = ca.where.named(
        "relu"
    )  # the published counts of ResNet-50 leave the ReLU of the stem out
    where = ~stem if make is resnet50 else None
    for method, count in PUBLISHED[make].items():
        receipt = ca.protect(model, method, *data, where=where, progress=False)
        assert sum(each.numel() for each in ca.thresholds(model).values()) == count
        receipt.restore()
