"""The data sets of the demo, as tensors."""

import gzip
import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, cast, final

import numpy as np
import torch
from torch import Tensor

from clipact.errors import ClipactError, MissingExtraError

DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


class DatasetName(StrEnum):
    """What ``--dataset`` may be."""

    DIGITS = "digits"
    FASHION_MNIST = "fashion-mnist"
    CIFAR10 = "cifar10"


class DataError(ClipactError, OSError):
    """A data set is not on disk and cannot be downloaded."""


@final
@dataclass(frozen=True)
class Data:
    """Images ``(N, C, H, W)`` scaled to mean 0 and deviation 1, and labels ``(N,)``, in two disjoint parts.

    Attributes:
        name: What the data is and where it comes from.
        train: Training images and labels.
        test: Held-out images and labels.
    """

    name: str
    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]


def load(name: DatasetName, root: Path, *, test_images: int) -> Data:
    """Load a data set; digits come with scikit-learn, the others through torchvision.

    Args:
        name: Which one.
        root: Where torchvision keeps, or downloads, its files.
        test_images: Use at most so many held-out images.

    Raises:
        DataError: Not on disk, and the download failed.
        MissingExtraError: scikit-learn is not installed.
    """
    train, test = _digits() if name is DatasetName.DIGITS else _torchvision(name, root)
    title = "scikit-learn digits, 8x8" if name is DatasetName.DIGITS else f"{name} (torchvision)"
    mean, std = train[0].mean((0, 2, 3), keepdim=True), train[0].std((0, 2, 3), keepdim=True)
    images, labels = test
    return Data(
        title,
        ((train[0] - mean) / std, train[1]),
        ((images[:test_images] - mean) / std, labels[:test_images]),
    )


def batches(part: tuple[Tensor, Tensor], size: int) -> list[tuple[Tensor, Tensor]]:
    """Images and labels in a fixed order, ``size`` at a time."""
    images, labels = part
    return list(zip(images.split(size), labels.split(size), strict=True))


def _digits() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    try:
        from sklearn.datasets import load_digits  # noqa: PLC0415 - optional
    except ImportError:
        raise MissingExtraError(
            "the digits data set comes with scikit-learn, which is not installed: pip install 'clipact[demo]'"
        ) from None
    found = cast("Any", load_digits())
    order = torch.randperm(len(found.images), generator=torch.Generator().manual_seed(0))
    images = torch.tensor(found.images, dtype=torch.float32).unsqueeze(1)[order]
    labels = torch.tensor(found.target, dtype=torch.int64)[order]
    split = len(order) * 2 // 3
    return (images[:split], labels[:split]), (images[split:], labels[split:])


def _torchvision(
    name: DatasetName, root: Path
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    from torchvision import datasets  # noqa: PLC0415 - slow to import

    source = datasets.FashionMNIST if name is DatasetName.FASHION_MNIST else datasets.CIFAR10
    if name is DatasetName.FASHION_MNIST:
        _unpack_debian(root / "FashionMNIST" / "raw")
    try:
        parts = [source(str(root), train=train, download=True) for train in (True, False)]
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{name} is not under {root.resolve()} and could not be downloaded ({error}); put torchvision's files there, "
            "or use --dataset digits, which needs no download"
        ) from error
    train, test = ((_images(part.data), torch.as_tensor(part.targets)) for part in parts)
    return train, test


def _images(data: Tensor | np.ndarray) -> Tensor:
    """Bytes ``(N, H, W)`` or ``(N, H, W, C)`` as floats ``(N, C, H, W)`` in [0, 1]."""
    images = torch.as_tensor(data).to(torch.float32) / 255
    return images.unsqueeze(1) if images.dim() == 3 else images.permute(0, 3, 1, 2).contiguous()


def _unpack_debian(raw: Path) -> None:
    """Unpack the files of Debian's package ``dataset-fashion-mnist``, where it is installed and they are not there yet."""
    for packed in DEBIAN_FASHION_MNIST.glob("**/*ubyte.gz"):
        raw.mkdir(parents=True, exist_ok=True)
        target = raw / packed.stem
        if not target.exists():
            partial = target.with_suffix(".part")
            with gzip.open(packed) as source, partial.open("wb") as sink:
                shutil.copyfileobj(source, sink)
            partial.replace(target)
