import pytest
from torch import nn

from clipact.faults import Biases, BitFlip, Fault, Weights, inject


@pytest.fixture
def record():
    model = nn.Linear(10, 4)
    with inject(model, BitFlip(rate=0.1), Weights() | Biases()) as found:
        return found


def test_length_iteration_and_pandas_agree(record):
    faults = list(record)
    frame = record.to_pandas()
    assert len(record) == len(faults) == len(frame) > 20
    assert list(frame.columns) == ["tensor", "index", "bit", "kind", "before", "after"]
    assert isinstance(faults[0], Fault)
    rows = list(frame.itertuples(index=False, name=None))
    assert [(f.tensor, f.index, f.bit) for f in faults] == [row[:3] for row in rows]
    assert set(frame["kind"]) == {"flip"}


def test_sorted_by_tensor_index_and_bit(record):
    keys = [(record.names.index(f.tensor), f.index, f.bit) for f in record]
    assert keys == sorted(keys)


def test_prints_the_first_rows(record):
    lines = str(record).splitlines()
    assert lines[0] == f"{len(record)} faults in 2 tensors"
    assert lines[1].split() == ["tensor", "index", "bit", "kind", "before", "after"]
    assert lines[-1] == f"… and {len(record) - 20} more"
    assert len(lines) == 24
