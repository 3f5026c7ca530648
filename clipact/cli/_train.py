"""The demo's network and its training."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clipact._progress import track


def small_cnn(channels: int, classes: int, width: int) -> nn.Sequential:
    """A VGG-style network: two pairs of convolution, batch norm and ReLU, and two fully connected layers.

    Args:
        channels: Channels of the images ``(N, channels, H, W)``, ``H`` and ``W`` at least 4.
        classes: Number of classes.
        width: Channels of the first pair; later ones have twice as many.
    """
    layers: list[nn.Module] = []
    for inputs, outputs, pool in (
        (channels, width, False),
        (width, width, True),
        (width, 2 * width, False),
        (2 * width, 2 * width, True),
    ):
        layers += [
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        ]
        layers += [nn.MaxPool2d(2)] if pool else []
    head = [
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * width, 128),
        nn.ReLU(inplace=True),
        nn.Linear(128, classes),
    ]
    return nn.Sequential(*layers, *head)


def train(
    model: nn.Module,
    data: tuple[Tensor, Tensor],
    *,
    epochs: int,
    seed: int,
    crop: int,
    progress: bool,
) -> nn.Module:
    """Train in place with SGD and a one-cycle schedule; returns the model in eval mode.

    Args:
        model: The network.
        data: Images and labels.
        epochs: Passes over the data.
        seed: Of shuffling and augmentation.
        crop: Shift images by up to so many pixels.
        progress: Show a bar.
    """
    images, labels = data
    generator = torch.Generator().manual_seed(seed)
    batches = len(images) // 128
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.15, total_steps=epochs * batches
    )
    model.train()
    for _ in track(range(epochs), label="train", show=progress):
        order = torch.randperm(len(images), generator=generator)
        for batch in order[: batches * 128].split(128):
            logits = model(_shifted(images[batch], crop, generator))
            loss = F.cross_entropy(logits, labels[batch], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def _shifted(images: Tensor, crop: int, generator: torch.Generator) -> Tensor:
    if crop == 0:
        return images
    down, right = (
        int(offset) for offset in torch.randint(0, 2 * crop + 1, (2,), generator=generator)
    )
    height, width = images.shape[-2:]
    return F.pad(images, (crop,) * 4)[..., down : down + height, right : right + width]
