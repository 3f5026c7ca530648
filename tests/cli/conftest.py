import pytest

from clipact import faults
from clipact.faults._store import Identity, Store

FLIPS = (faults.BitFlip(rate=1e-6), faults.BitFlip(rate=1e-4))


@pytest.fixture
def stored(tmp_path):
    """A function: a store with some trials of a made-up campaign."""

    def write(name, numbers, *, trials=10, seed=0, worse=0.0):
        identity = Identity(
            weights="00",
            data="60 samples",
            faults=FLIPS,
            target="Weights()",
            format=faults.Native(),
            seed=seed,
            trials=trials,
            population=320,
            golden={"accuracy": 0.9, "sdc": 0.0, "due": 0.0},
            dtype="float32",
        )
        rows = [
            faults.Trial(number, flip, metrics(number + place, worse), 0.01, 1, f"{place}/{number}")
            for place, flip in enumerate(FLIPS)
            for number in numbers
        ]
        path = tmp_path / name
        with Store.open(path, identity) as store:
            store.add(rows)
        return path

    return write


def metrics(number, worse):
    sdc = min(1.0, (number % 5) / 10 + worse)
    return {"accuracy": 0.9 - 0.8 * sdc, "sdc": sdc, "due": 0.0}
