"""The networks of the benchmarks, small enough to train on two cores."""

import torch
from torch import Tensor, nn


def conv_bn_relu(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU()]


def vgg(channels: int, size: int, classes: int, width: int = 32) -> nn.Sequential:
    """VGG style: conv w, pool, 2 conv 2w, pool, 2 conv 4w, pool, two fully connected; .54 M at 32x32, .43 M at 28x28."""
    layers = [*conv_bn_relu(channels, width), nn.MaxPool2d(2)]
    for inputs, outputs in ((width, 2 * width), (2 * width, 4 * width)):
        layers += conv_bn_relu(inputs, outputs) + conv_bn_relu(outputs, outputs)
        layers += [nn.MaxPool2d(2)]
    features = 4 * width * (size // 8) ** 2
    head = [nn.Flatten(), nn.Linear(features, 4 * width), nn.ReLU(), nn.Linear(4 * width, classes)]
    return nn.Sequential(*layers, *head)


class Residual(nn.Module):
    """Two convolutions around which the input passes; as in torchvision, one ReLU is called twice."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            conv = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


def resnet(channels: int, classes: int, width: int = 16) -> nn.Sequential:
    """Three residual blocks behind one convolution, .15 M at width 16."""
    return nn.Sequential(
        *conv_bn_relu(channels, width),
        Residual(width, 2 * width, stride=2),
        Residual(2 * width, 4 * width, stride=2),
        Residual(4 * width, 4 * width, stride=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * width, classes),
    )


class Attention(nn.Module):
    """Multi-head self-attention of two Linear layers and plain tensor operations."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, dim = x.shape
        parts = self.qkv(x).view(n, tokens, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        y = nn.functional.scaled_dot_product_attention(parts[0], parts[1], parts[2])
        return self.proj(y.transpose(1, 2).reshape(n, tokens, dim))


class Block(nn.Module):
    """A pre-norm transformer block with a GELU."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = Attention(dim, heads)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    """Patches of 4x4, learned positions, pre-norm blocks, the mean over patches, one Linear layer."""

    def __init__(
        self, channels: int, size: int, classes: int, dim: int = 96, depth: int = 4
    ) -> None:
        super().__init__()
        self.patches = nn.Conv2d(channels, dim, 4, stride=4)
        self.position = nn.Parameter(0.02 * torch.randn(1, (size // 4) ** 2, dim))
        self.blocks = nn.Sequential(*[Block(dim, dim // 32) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2) + self.position
        return self.head(self.norm(self.blocks(x)).mean(1))
