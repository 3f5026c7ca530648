"""What a campaign measured: two runs with the same identity continue each other, two with another never mix."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast, final

import torch

from clipact._version import __version__
from clipact.errors import CampaignError
from clipact.faults._formats import Format
from clipact.faults._models import FaultModel
from clipact.faults._results._summary import Estimator
from clipact.faults._store._codec import Json, show
from clipact.faults._store._unknown import read_estimator, read_fault_model, read_format, write

_NAMES = {
    "weights": "SHA-256 of the weights",
    "faults": "fault models",
    "format": "number format",
    "population": "bits of the target",
    "estimators": "weights of the trials",
    "clipact": "version of clipact",
    "torch": "version of torch",
}


@final
@dataclass(frozen=True, kw_only=True)
class Identity:
    """What was measured, and how.

    Attributes:
        weights: SHA-256 of the model's state.
        data: What was evaluated, in words, with a hash of it.
        faults: The fault models, in order.
        target: Where faults may fall, in words.
        format: Number format whose bits are changed.
        seed: Of the campaign.
        trials: Trials of each fault model; more can be asked for later, all else must stay.
        population: Number of bits of the target.
        golden: Metrics of the fault-free run.
        dtype: Of the model, in words.
        lifetime: How long a fault stays, in words.
        sampling: How trials are chosen, in words.
        tensors: Names of what faults may fall on, in the model's order.
        estimators: What weighs the trials of each fault model; empty if all count alike.
        clipact: Version of clipact.
        torch: Version of torch.
    """

    weights: str
    data: str
    faults: tuple[FaultModel, ...]
    target: str
    format: Format
    seed: int
    trials: int
    population: int
    golden: Mapping[str, float]
    dtype: str
    lifetime: str = "static"
    sampling: str = "uniform"
    tensors: tuple[str, ...] = ()
    estimators: tuple[Estimator, ...] = ()
    clipact: str = __version__
    torch: str = field(default_factory=lambda: str(torch.__version__))


def to_json(identity: Identity) -> dict[str, str]:
    """JSON text of each field, by its name."""
    plain: dict[str, Json] = {
        name: cast("Json", getattr(identity, name))
        for name in (
            "weights",
            "data",
            "target",
            "dtype",
            "lifetime",
            "sampling",
            "clipact",
            "torch",
        )
    }
    plain |= {name: int(getattr(identity, name)) for name in ("seed", "trials", "population")}
    plain["faults"] = [write(fault) for fault in identity.faults]
    plain["format"] = write(identity.format)
    plain["tensors"] = list(identity.tensors)
    plain["estimators"] = [write(estimator) for estimator in identity.estimators]
    plain["golden"] = {name: write(float(value)) for name, value in identity.golden.items()}
    return {name: json.dumps(value, allow_nan=False) for name, value in plain.items()}


def from_json(held: Mapping[str, str]) -> Identity:
    """The identity of what :func:`to_json` made; classes that are not there come back as their text.

    Raises:
        CampaignError: It is something else.
    """
    try:
        return _from_json(held)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CampaignError(
            f"the store is damaged: what it measured cannot be read ({error!r}); bring a copy back, or run the campaign again"
            " with another path"
        ) from error


def _from_json(held: Mapping[str, str]) -> Identity:
    plain: dict[str, Any] = {name: json.loads(text) for name, text in held.items()}
    plain["faults"] = tuple(map(read_fault_model, plain["faults"]))
    plain["format"] = read_format(plain["format"])
    plain["tensors"] = tuple(plain.get("tensors", ()))
    plain["estimators"] = tuple(map(read_estimator, plain["estimators"]))
    plain["golden"] = {name: float(show(value)) for name, value in plain["golden"].items()}
    return Identity(**plain)


def differences(one: Mapping[str, str], two: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """In what two identities differ: a name, and the text of either. The number of trials may."""
    for name in dict.fromkeys((*one, *two)):
        a, b = (json.loads(held.get(name, "null")) for held in (one, two))
        if name == "golden":
            yield from _golden_differences(a, b)
        elif name != "trials" and a != b:
            shown, other = show(a), show(b)
            if shown == other:  # what prints alike differs in a field that is not printed
                shown, other = json.dumps(a), json.dumps(b)
            yield _NAMES.get(name, name), shown, other


def _golden_differences(
    one: Mapping[str, Json], two: Mapping[str, Json]
) -> Iterator[tuple[str, str, str]]:
    for metric in dict.fromkeys((*one, *two)):
        a, b = (show(held[metric]) if metric in held else "nothing" for held in (one, two))
        if a != b:
            yield f"golden {metric}", a, b
