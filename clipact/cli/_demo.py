"""The main job on real data: train, protect by each method, inject, compare."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import torch
from torch import Tensor, nn

from clipact import faults, methods
from clipact.cli._data import Data, DatasetName, batches, load
from clipact.cli._train import small_cnn, train

CALIBRATION = 1000  # training images that set the thresholds
VALIDATION = 250  # images held out of the training, to choose thresholds by
RATES = (1e-6, 3e-6, 1e-5, 3e-5, 1e-4)
METHODS: Mapping[str, methods.Method | None] = {
    "unprotected": None,
    "Ranger": methods.Ranger(),
    "ClipToZero": methods.ClipToZero(),
    "ClipToZero + output guard": methods.ClipToZero(output_guard=True),
    "FTClipAct": methods.FTClipAct(),
    "FitAct": methods.FitAct(),
    "ProAct": methods.ProAct(),
    "BudgetedPercentile + output guard": methods.BudgetedPercentile(
        granularity="channel", output_guard=True, budget=0.01
    ),
}
BASELINE = "ClipToZero"
FORMATS: Mapping[str, faults.Format] = {
    "Q15.16": faults.FixedPoint(bits=32, fraction=16),
    "fp32": faults.Native(),
}


@final
@dataclass(frozen=True)
class Plan:
    """What the demo is to do.

    Attributes:
        dataset: Which data.
        root: Where torchvision keeps its files.
        trials: Trials for each method, format and rate.
        seed: Of weights, training and faults.
        epochs: Passes over the training data; None for what suits the data set.
        test_images: Evaluate on at most so many held-out images.
        progress: Show bars.
    """

    dataset: DatasetName
    root: Path
    trials: int
    seed: int
    epochs: int | None
    test_images: int
    progress: bool


@final
@dataclass(frozen=True)
class Outcome:
    """What the demo found.

    Attributes:
        data: The data set.
        parameters: Size of the network.
        accuracy: Golden accuracy of the unprotected network.
        results: By number format, then by method.
        seconds: Wall time of training and of everything.
    """

    data: Data
    parameters: int
    accuracy: float
    results: Mapping[str, Mapping[str, faults.Result]]
    seconds: tuple[float, float]

    def comparisons(self) -> dict[str, faults.Comparison]:
        """Paired differences from the simplest method that zeroes, by number format."""
        return {
            name: faults.compare(found, baseline=BASELINE) for name, found in self.results.items()
        }


def run(plan: Plan, say: Callable[[str], None]) -> Outcome:
    """Train one network and measure it with every method, protecting and restoring it in turn."""
    start = time.perf_counter()
    data, held_out = _held_out(load(plan.dataset, plan.root, test_images=plan.test_images))
    model = _trained(plan, data)
    trained = time.perf_counter() - start
    say(f"trained on {data.name}: {len(data.train[0]):,} images in {trained:.0f} s")
    images, labels = data.train
    calibration = batches((images[:CALIBRATION], labels[:CALIBRATION]), 50)
    validate = batches(held_out, VALIDATION)
    evaluation = faults.Classification(batches(data.test, 1000))
    results: dict[str, dict[str, faults.Result]] = {name: {} for name in FORMATS}
    for method_name, method in METHODS.items():
        receipt = None
        if method:
            say(f"setting thresholds: {method_name}")
            receipt = methods.protect(model, method, calibration, validate, progress=plan.progress)
        for format_name, number_format in FORMATS.items():
            say(f"flipping bits: {method_name}, {format_name}")
            results[format_name][method_name] = _campaign(plan, model, evaluation, number_format)
        if receipt:
            receipt.restore()
    golden = results["Q15.16"]["unprotected"].golden["accuracy"]
    size = sum(parameter.numel() for parameter in model.parameters())
    return Outcome(data, size, golden, results, (trained, time.perf_counter() - start))


def _held_out(data: Data) -> tuple[Data, tuple[Tensor, Tensor]]:
    """Without the last training images, and these."""
    images, labels = data.train
    rest = images[:-VALIDATION], labels[:-VALIDATION]
    return replace(data, train=rest), (images[-VALIDATION:], labels[-VALIDATION:])


def _trained(plan: Plan, data: Data) -> nn.Module:
    digits = plan.dataset is DatasetName.DIGITS
    epochs = plan.epochs or (15 if digits else 2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        model = small_cnn(data.train[0].shape[1], 10, 24).to(memory_format=torch.channels_last)
    crop = 1 if digits else 2
    return train(
        model, data.train, epochs=epochs, seed=plan.seed, crop=crop, progress=plan.progress
    )


def _campaign(
    plan: Plan, model: nn.Module, evaluation: faults.Classification, number_format: faults.Format
) -> faults.Result:
    campaign = faults.Campaign(
        model, evaluation, fault=[faults.BitFlip(rate=rate) for rate in RATES],
        target=faults.Weights() | faults.Biases(), trials=plan.trials, seed=plan.seed, format=number_format,
    )  # fmt: skip
    return campaign.run(progress=plan.progress)
