"""What stands for a fault model, number format or estimator that this program does not know."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn, final

import torch
from torch import Tensor

from clipact.errors import CampaignError, FaultError
from clipact.faults._formats import Format
from clipact.faults._hits import BitSpace, Codes, Numbers
from clipact.faults._models import FaultModel, Mechanism
from clipact.faults._numbers._statistics import Interval
from clipact.faults._results._kept import Integers
from clipact.faults._results._summary import Estimator
from clipact.faults._store._codec import Json, UnreadableError, decode, encode, show


@final
@dataclass(frozen=True, repr=False)
class StoredFaultModel(FaultModel):
    """A fault model by its text alone: it prints and compares, but draws nothing."""

    text: str
    source: Json = field(compare=False)

    @property
    def parts(self) -> tuple[Mechanism, ...]:
        """Refused."""
        _refuse(self.text)

    def expected(self, spaces: Sequence[BitSpace]) -> float:
        """Refused."""
        _refuse(self.text, spaces)

    def __repr__(self) -> str:
        return self.text


@final
@dataclass(frozen=True, repr=False)
class StoredFormat(Format):
    """A number format by its text alone."""

    text: str
    source: Json = field(compare=False)

    def width(self, dtype: torch.dtype) -> int:
        """Refused."""
        _refuse(self.text, dtype)

    def encode(self, values: Tensor, scale: Numbers | None = None) -> Codes:
        """Refused."""
        _refuse(self.text, values, scale)

    def decode(self, codes: Codes, dtype: torch.dtype, scale: Numbers | None = None) -> Tensor:
        """Refused."""
        _refuse(self.text, codes, dtype, scale)

    def __repr__(self) -> str:
        return self.text


@final
@dataclass(frozen=True, repr=False)
class StoredEstimator(Estimator):
    """An estimator by its text alone; without it the trials cannot be weighed."""

    text: str
    source: Json = field(compare=False)

    def estimate(self, trials: Integers, values: Numbers, confidence: float) -> Interval:
        """Refused."""
        del trials, values, confidence
        raise CampaignError(
            f"the trials are to be weighed by {self.text}, which this program does not have; import it, or use"
            " summary(estimators={}) to count all trials alike, which is biased"
        )

    def __repr__(self) -> str:
        return self.text


def write(value: object) -> Json:
    """JSON of a fault model, number format or estimator."""
    if isinstance(value, StoredFaultModel | StoredFormat | StoredEstimator):
        return value.source
    return encode(value)


def read_fault_model(source: Json) -> FaultModel:
    """The fault model, or what stands for it."""
    try:
        found = decode(source, [FaultModel])
    except UnreadableError:
        found = None
    return found if isinstance(found, FaultModel) else StoredFaultModel(show(source), source)


def read_format(source: Json) -> Format:
    """The number format, or what stands for it."""
    try:
        found = decode(source, [Format])
    except UnreadableError:
        found = None
    return found if isinstance(found, Format) else StoredFormat(show(source), source)


def read_estimator(source: Json) -> Estimator:
    """The estimator, or what stands for it."""
    try:
        found = decode(source, [Estimator])
    except UnreadableError:
        found = None
    if isinstance(found, Estimator) and not isinstance(found, StoredEstimator):
        return found
    return StoredEstimator(show(source), source)


def _refuse(text: str, *_: object) -> NoReturn:
    raise FaultError(
        f"{text} was read from a store and this program has no such class, so it can be shown but not used; import the"
        " module that defines it first"
    )
