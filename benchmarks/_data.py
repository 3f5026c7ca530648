"""The data sets of the benchmarks, as tensors in three disjoint parts.

CIFAR-10 is read from torchvision's files in ``data/`` where they are. Elsewhere, from two files of JPEG images,
``cifar10_train.npz`` and ``cifar10_test.npz``, in the folder that ``CIFAR10_JPEG`` names (``../shared/data`` by default);
results then say "CIFAR-10 (JPEG)", because a re-encoding is not quite the original. Fashion-MNIST and CIFAR-10 can
be fetched once by ``python benchmarks/_data.py --download``.
"""

import argparse
import dataclasses
import itertools
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from clipact.cli._data import DatasetName, load

HERE = Path(__file__).parent
CACHE = HERE / "_cache"
TORCHVISION = HERE.parent / "data"
JPEG = Path(os.environ.get("CIFAR10_JPEG", HERE.parents[1] / "shared" / "data"))

Part = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Data:
    """Images ``(N, C, H, W)``, each channel of mean 0 and deviation 1 in training, and labels ``(N,)``.

    Attributes:
        name: What to call it in a table.
        train: To train on, and to calibrate on.
        validate: Held out of the training images, to choose by.
        test: Looked at once, for the table.
    """

    name: str
    train: Part
    validate: Part
    test: Part

    @property
    def classes(self) -> int:
        return int(self.train[1].max()) + 1

    @property
    def channels(self) -> int:
        return self.train[0].shape[1]

    def smaller(self, *, train=None, validate=None, test=None) -> "Data":
        """The first so many images of each part; all where None. They are in random order, so these are a sample."""
        sizes = {"train": train, "validate": validate, "test": test}
        parts = {part: first(getattr(self, part), n) for part, n in sizes.items() if n is not None}
        return dataclasses.replace(self, **parts)


def cifar10(validation=5000) -> Data:
    """CIFAR-10: 45,000 training, 5,000 validation and 10,000 test images (5,000 of the JPEG version)."""
    if (TORCHVISION / "cifar-10-batches-py").is_dir():
        parts, name = _torchvision(DatasetName.CIFAR10), "CIFAR-10"
    elif JPEG.is_dir():
        parts, name = (_jpeg("train"), _jpeg("test")), "CIFAR-10 (JPEG)"
    else:
        raise FileNotFoundError(
            f"CIFAR-10 is neither in {TORCHVISION} nor in {JPEG}; run python benchmarks/_data.py --download"
        )
    return _split(name, *parts, validation)


def fashion_mnist(validation=5000) -> Data:
    """Fashion-MNIST: 55,000 training, 5,000 validation and 10,000 test images."""
    return _split("Fashion-MNIST", *_torchvision(DatasetName.FASHION_MNIST), validation)


def digits(validation=200) -> Data:
    """The 8x8 digits of scikit-learn: 998 training, 200 validation and 599 test images."""
    found = load(DatasetName.DIGITS, TORCHVISION, test_images=10_000)
    return _split("digits", found.train, found.test, validation)


def first(part: Part, n: int) -> Part:
    """The first ``n`` images and labels, in memory of their own."""
    return part[0][:n].clone(), part[1][:n].clone()


def batches(part: Part, size: int) -> list[Part]:
    """Images and labels in a fixed order, ``size`` at a time, as ``clipact.calibrate`` and evaluations take them."""
    return list(zip(part[0].split(size), part[1].split(size), strict=True))


def _torchvision(name: DatasetName) -> tuple[Part, Part]:
    found = load(name, TORCHVISION, test_images=10_000)
    return found.train, found.test


def _jpeg(part: str) -> Part:
    """Images in [0, 1]; decoded once, then read from the cache."""
    packed = np.load(JPEG / f"cifar10_{part}.npz")
    cached = CACHE / f"cifar10_jpeg_{part}.npy"
    if not cached.exists():
        CACHE.mkdir(exist_ok=True)
        partial = cached.with_suffix(f".{os.getpid()}.npy")
        np.save(partial, _decoded(packed["jpeg"], packed["offset"]))
        partial.replace(cached)
    images = torch.from_numpy(np.load(cached)).to(torch.float32).div_(255)
    return images, torch.from_numpy(packed["label"]).to(torch.int64)


def _decoded(jpeg: np.ndarray, offset: np.ndarray) -> np.ndarray:
    from torchvision.io import decode_jpeg  # noqa: PLC0415 - slow to import

    images = [
        decode_jpeg(torch.from_numpy(jpeg[start:end].copy()))
        for start, end in itertools.pairwise(offset)
    ]
    return torch.stack(images).numpy()


def _split(name: str, train: Part, test: Part, validation: int) -> Data:
    """Shuffle, hold out, and scale by the mean and deviation of what is left to train on."""
    images, labels = _shuffled(train, 1)
    held, rest = images[:validation], images[validation:]
    std, mean = torch.std_mean(rest[:20_000], (0, 2, 3), keepdim=True)
    scaled = [(part - mean) / std for part in (rest, held, _shuffled(test, 2)[0])]
    marks = (labels[validation:], labels[:validation], _shuffled(test, 2)[1])
    return Data(name, *zip(scaled, marks, strict=True))


def _shuffled(part: Part, seed: int) -> Part:
    order = torch.randperm(len(part[1]), generator=torch.Generator().manual_seed(seed))
    return part[0][order], part[1][order]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--download", action="store_true", help="fetch what is missing")
    if parser.parse_args().download:
        for name in (DatasetName.FASHION_MNIST, DatasetName.CIFAR10):
            _torchvision(name)
    for data in (digits(), fashion_mnist(), cifar10()):
        sizes = [len(part[1]) for part in (data.train, data.validate, data.test)]
        print(data.name, "train, validate, test:", *sizes, tuple(data.train[0].shape[1:]))


if __name__ == "__main__":
    main()
