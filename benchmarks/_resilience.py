"""What a comparison of protections is made of: the protected networks, their campaigns, and the tables of these.

Everything that takes long is kept in ``benchmarks/_cache/resilience``: a protected network once its thresholds are set,
and every trial in a store of its network, number format, target, method and bit error rate.
"""

import copy
import dataclasses
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from _data import CACHE, Data, batches
from _fit import accuracy
from _subjects import trained
from torch import nn

import clipact as ca
from clipact import faults

Results = dict[float, faults.Result]
"""Of one method, by bit error rate."""


def short(rate: float) -> str:
    """As people write it: 3e-5."""
    return f"{rate:.0e}".replace("e-0", "e-")


@dataclass(frozen=True)
class Way:
    """A way to protect a network.

    Attributes:
        title: In a table.
        method: None leaves the network as it is.
        kinds: What counts as a site.
        validate: Held-out images at most, for a method that measures each of them under faults hundreds of times.
    """

    title: str
    method: ca.methods.Method | None
    kinds: tuple[type[nn.Module], ...] = ca.ACTIVATIONS
    validate: int | None = None


@dataclass(frozen=True)
class Scale:
    """How much is spent; everything may be raised.

    Attributes:
        images: Test images a trial.
        trials: Fewest and most trials a bit error rate.
        half_width: Of the intervals of mean accuracy, at which trials end.
        train: Images to profile and train thresholds on.
        validate: Held-out images to choose thresholds by.
        batch: Images a step of the training of thresholds.
        device: Where it runs.
        seed: Of networks, thresholds and faults.
    """

    images: int = 200
    trials: tuple[int, int] = (100, 200)
    half_width: float = 0.015
    train: int = 2_000
    validate: int = 500
    batch: int = 25
    device: str = "cpu"
    seed: int = 0

    @property
    def folder(self) -> Path:
        """Of whatever these numbers change."""
        numbers = (self.images, self.train, self.validate, self.batch, self.seed)
        return CACHE / "resilience" / "-".join(map(str, numbers))


@dataclass
class Protected:
    """A network with its thresholds set.

    Attributes:
        model: The network, in eval mode.
        clean: Accuracy on all test images without faults.
        thresholds: How many numbers are stored for its thresholds.
        seconds: Processor time to set them.
    """

    model: nn.Module
    clean: float
    thresholds: int
    seconds: float


@dataclass
class Bench:
    """One network with its data, and what was found of it so far."""

    net: str
    model: nn.Module
    data: Data
    scale: Scale
    protections: dict[str, Protected] = field(default_factory=dict)

    @classmethod
    def of(cls, net: str, scale: Scale) -> "Bench":
        """The trained network and as much of its data as is used, kept together so that the next start is quick."""
        path = scale.folder / net / "subject.pt"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            model, data = trained(net, scale.seed)
            torch.save((model, data.smaller(train=scale.train, validate=scale.validate)), path)
        model, data = torch.load(path, weights_only=False)  # a file of our own
        model.to(scale.device, memory_format=torch.channels_last)  # a third faster on a processor
        return cls(net, model, data, scale)

    def protected(self, key: str, way: Way) -> Protected:
        """The network protected this way; read from the disk if it was before."""
        if self.kept(key) is None:
            path = self._path(key)
            torch.save(self._protect(way, path), path)
        found = self.kept(key)
        assert found is not None
        return found

    def kept(self, key: str) -> Protected | None:
        """What was protected before."""
        if key not in self.protections and self._path(key).exists():
            found = torch.load(self._path(key), weights_only=False)  # a file of our own
            self.protections[key] = found
        return self.protections.get(key)

    def _path(self, key: str) -> Path:
        return self.scale.folder / self.net / f"{key}.pt"

    def _protect(self, way: Way, path: Path) -> Protected:
        model, data = copy.deepcopy(self.model), self.data
        if way.method is None:
            return Protected(model, accuracy(model, data.test), 0, 0.0)
        method, spent = _resumable(way.method, path), path.with_suffix(".seconds")
        before, start = float(spent.read_text()) if spent.exists() else 0.0, time.process_time()
        held_out = data.smaller(validate=way.validate).validate
        train, validate = batches(data.train, self.scale.batch), batches(held_out, 250)
        try:
            ca.protect(model, method, train, validate, kinds=way.kinds, progress=False)
        finally:  # also when interrupted: the next run goes on
            seconds = before + time.process_time() - start
            spent.write_text(str(seconds))
        count = sum(threshold.numel() for threshold in ca.thresholds(model).values())
        return Protected(model, accuracy(model, data.test), count, seconds)

    def campaign(
        self, key: str, way: Way, setting: "Setting", rate: float, seconds: float | None
    ) -> faults.Result | None:
        """Trials of one protection at one rate: those of the store, and more for ``seconds`` (None: until there are enough)."""
        store = self.scale.folder / self.net / str(setting) / f"{key}-{short(rate)}.sqlite"
        store.parent.mkdir(parents=True, exist_ok=True)
        if seconds == 0.0:
            found = faults.Store.read(store) if store.exists() else None
            return found and dataclasses.replace(found, trials_per_fault=self.scale.trials[1])
        part = self.data.smaller(test=self.scale.images).test
        fewest, most = self.scale.trials
        model = self.protected(key, way).model
        campaign = faults.Campaign(
            model,
            faults.Classification(batches(part, self.scale.images)),
            fault=faults.BitFlip(rate=rate),
            target=setting.target(model),
            trials=most,
            seed=self.scale.seed,
            format=setting.format,
        )
        enough = faults.Precision(
            metric="accuracy",
            half_width=self.scale.half_width,
            minimum=fewest // 2,
            every=fewest // 2,  # two looks in a row must agree, so the second is at ``fewest``
        )
        few = rate < 3e-6  # with many faults in every layer there is nothing to replay
        return campaign.run(store=store, stop=enough, seconds=seconds, replay=few, progress=False)


@dataclass(frozen=True)
class Setting:
    """A number format, and whether thresholds are hit too."""

    name: str
    format: faults.Format
    thresholds: bool

    def target(self, model: nn.Module) -> faults.Target:
        """Weights and biases, and the thresholds where they count and there are any."""
        memory = faults.Weights() | faults.Biases()
        hit = self.thresholds and ca.thresholds(model)
        return memory | faults.Thresholds() if hit else memory

    def __str__(self) -> str:
        return self.name + ("-thresholds" if self.thresholds else "")


def _resumable(method: ca.methods.Method, path: Path) -> ca.methods.Method:
    """The method, with a file to go on from if it can."""
    if not isinstance(method, ca.methods.FitAct | ca.methods.ProAct):
        return method
    return dataclasses.replace(method, checkpoint=path.with_suffix(".checkpoint"))
