"""Training for the benchmarks: one-cycle, crop and flip, a checkpoint an epoch, and the same weights from a resumed run."""

import copy
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from _data import CACHE, Data, Part, batches
from torch import Tensor, nn

from clipact.spiking import param_groups


@dataclass(frozen=True)
class Recipe:
    """How to train. The defaults are SGD with Nesterov momentum, as for the convolutional networks.

    Attributes:
        epochs: Passes over the training images.
        peak: Highest learning rate, of a one-cycle schedule.
        batch: Images a step.
        decay: Weight decay.
        smoothing: Of the labels.
        crop: Shift by up to so many pixels, each image by its own.
        flip: Mirror half of the images.
        adamw: AdamW instead of SGD.
        clip: Largest norm of the gradients.
    """

    epochs: int
    peak: float = 0.15
    batch: int = 128
    decay: float = 5e-4
    smoothing: float = 0.05
    crop: int = 4
    flip: bool = True
    adamw: bool = False
    clip: float = float("inf")


Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]


def fit(
    model: nn.Module,
    data: Data,
    recipe: Recipe,
    *,
    name: str,
    seed: int = 0,
    loss: Loss | None = None,
) -> nn.Module:
    """Train in place, or load what was trained before; go on where an interrupted training stopped.

    Build the model under ``torch.manual_seed(seed)``. Checkpoints are ``benchmarks/_cache/NAME-….pt``, one for each
    name, data, recipe and seed; the name must say what else was different (the network, the loss).

    Args:
        model: The network, freshly initialised, on any device.
        data: Trains on ``data.train`` and prints the accuracy on ``data.validate``.
        recipe: How.
        name: Of the checkpoint.
        seed: Of the order of the images and of their augmentation.
        loss: ``loss(model, images, labels)`` instead of the cross-entropy with smoothed labels.

    Returns:
        The model, in eval mode.
    """
    run = _Run(model, data, recipe, seed, loss or _cross_entropy(recipe))
    path = checkpoint(name, data, recipe, seed)
    run.load(path)
    while run.epoch < recipe.epochs:
        found = run.train_epoch()
        run.save(path)
        percent = 100 * accuracy(model, data.validate)
        print(f"{path.stem} epoch {run.epoch}/{recipe.epochs}: loss {found:.3f}, validation {percent:.2f} %, {run.seconds:.0f} s", flush=True)  # fmt: skip
    return model.eval()


def checkpoint(name: str, data: Data, recipe: Recipe, seed: int) -> Path:
    """Where it is, or will be."""
    key = f"{data.name} {len(data.train[1])} {recipe}"
    return CACHE / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:8]}-{seed}.pt"


def seconds(name: str, data: Data, recipe: Recipe, seed: int = 0) -> float:
    """How long a finished training took."""
    return float(torch.load(checkpoint(name, data, recipe, seed), weights_only=True)["seconds"])


@torch.no_grad()
def accuracy(model: nn.Module, part: Part, batch: int = 500) -> float:
    """Share of images whose label the model gives, in eval mode; the mode is put back."""
    device, was = next(model.parameters()).device, model.training
    model.eval()
    right = sum(int((model(x.to(device)).argmax(1) == y.to(device)).sum()) for x, y in batches(part, batch))  # fmt: skip
    model.train(was)
    return right / len(part[1])


def augmented(images: Tensor, crop: int, flip: bool, generator: torch.Generator) -> Tensor:
    """Each image shifted by up to ``crop`` pixels, mirrored at the border, and every other one flipped."""
    n, _, height, width = images.shape
    device = images.device
    down, right = (torch.randint(0, 2 * crop + 1, (n, 1), generator=generator).to(device) for _ in range(2))  # fmt: skip
    turned = torch.rand(n, 1, generator=generator).to(device) < 0.5 * flip
    rows = (down + torch.arange(height, device=device))[:, None, :, None]
    columns = right + torch.where(turned, torch.arange(width, device=device).flip(0), torch.arange(width, device=device))  # fmt: skip
    padded = F.pad(images, (crop,) * 4, mode="reflect") if crop else images
    sample = torch.arange(n, device=device)[:, None, None, None]
    channel = torch.arange(images.shape[1], device=device)[None, :, None, None]
    return padded[sample, channel, rows, columns[:, None, None, :]]


class _Run:
    """A training and all that it needs to go on."""

    def __init__(self, model: nn.Module, data: Data, recipe: Recipe, seed: int, loss: Loss) -> None:
        self.model, self.data, self.recipe, self.loss = model, data, recipe, loss
        self.device = next(model.parameters()).device
        self.steps = len(data.train[1]) // recipe.batch
        self.optimizer = _optimizer(model, recipe)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, recipe.peak, total_steps=recipe.epochs * self.steps
        )
        self.generator = torch.Generator().manual_seed(seed)
        self.epoch, self.seconds, self.bfloat16 = 0, 0.0, False

    def train_epoch(self) -> float:
        start, total = time.perf_counter(), 0.0
        self.model.train().to(memory_format=torch.channels_last)
        if self.epoch == 0:
            self.bfloat16 = faster_in_bfloat16(self.model, self._batch(torch.arange(self.recipe.batch)), self.loss)  # fmt: skip
        order = torch.randperm(len(self.data.train[1]), generator=self.generator)
        for picked in order[: self.steps * self.recipe.batch].split(self.recipe.batch):
            total += self._step(*self._batch(picked))
        self.epoch += 1
        self.seconds += time.perf_counter() - start
        return total / self.steps

    def _batch(self, picked: Tensor) -> Part:
        images, labels = (part[picked].to(self.device) for part in self.data.train)
        images = augmented(images, self.recipe.crop, self.recipe.flip, self.generator)
        return images.contiguous(memory_format=torch.channels_last), labels

    def _step(self, images: Tensor, labels: Tensor) -> float:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            loss = self.loss(self.model, images, labels)
        self.optimizer.zero_grad()
        loss.backward()
        if self.recipe.clip < float("inf"):
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.optimizer.step()
        self.schedule.step()
        return float(loss.detach())

    def save(self, path: Path) -> None:
        CACHE.mkdir(exist_ok=True)
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "generator": self.generator.get_state(),
            "epoch": self.epoch,
            "seconds": self.seconds,
            "bfloat16": self.bfloat16,
        }
        partial = path.with_suffix(".part")
        torch.save(state, partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        if path.exists():
            state = torch.load(path, weights_only=True)
            ended = state["epoch"] == self.recipe.epochs
            for name in ("model",) if ended else ("model", "optimizer", "schedule"):
                getattr(self, name).load_state_dict(state[name])
            self.generator.set_state(state["generator"])
            self.epoch, self.seconds, self.bfloat16 = state["epoch"], state["seconds"], state["bfloat16"]  # fmt: skip


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    groups = param_groups(model, recipe.decay)  # none for thresholds
    if recipe.adamw:
        return torch.optim.AdamW(groups)
    return torch.optim.SGD(groups, lr=recipe.peak, momentum=0.9, nesterov=True)


def _cross_entropy(recipe: Recipe) -> Loss:
    def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(model(images), labels, label_smoothing=recipe.smoothing)

    return loss


def faster_in_bfloat16(model: nn.Module, batch: Part, loss: Loss) -> bool:
    """Whether a step under autocast takes at most nine tenths of the time, tried on a copy; without hardware for it, no."""
    device = batch[0].device
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):  # noqa: SLF001 - torch has no public name for it
        return False
    trial = copy.deepcopy(model)

    def step(enabled: bool) -> float:
        start = time.process_time()
        with torch.autocast(device.type, torch.bfloat16, enabled=enabled):
            found = loss(trial, *batch)
        found.backward()
        return time.process_time() - start

    times = {enabled: min(step(enabled) for _ in range(3)) for enabled in (False, True)}
    return times[True] < 0.9 * times[False]
