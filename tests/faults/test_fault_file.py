import csv
from dataclasses import fields

import numpy as np
import pytest
import torch
from torch import nn

from clipact.errors import FaultError
from clipact.faults import Biases, BitFlip, Buffers, Weights, inject
from clipact.faults._models import RandomValue, StuckAt
from clipact.faults._records._load import load

HEADER = "tensor,width,index,part,kind,bit,before,after,code\n"


def same(a, b):
    for field in fields(a):
        one, two = getattr(a, field.name), getattr(b, field.name)
        if isinstance(one, np.ndarray):
            assert one.dtype == two.dtype
            np.testing.assert_array_equal(one, two)
        else:
            assert one == two


@pytest.fixture
def record():
    model = nn.Sequential(nn.Linear(10, 4), nn.Linear(4, 3).to(torch.bfloat16))
    fault = BitFlip(rate=0.1) + RandomValue(-1.0, 1.0, rate=0.2) + StuckAt(0, rate=0.05)
    with inject(model, fault, Weights() | Biases()) as found:
        return found


def test_everything_comes_back_exactly(record, tmp_path):
    record.save(tmp_path / "faults.csv")
    same(load(tmp_path / "faults.csv"), record)
    record.save(str(tmp_path / "faults.csv"))  # a file that is there is replaced
    same(load(str(tmp_path / "faults.csv")), record)
    assert [path.name for path in tmp_path.iterdir()] == ["faults.csv"]


def test_no_faults(tmp_path):
    with inject(nn.Linear(3, 2), BitFlip(count=0), Weights()) as record:
        pass
    record.save(tmp_path / "none.csv")
    assert (tmp_path / "none.csv").read_text() == HEADER
    assert len(load(tmp_path / "none.csv")) == 0


def test_values_that_csv_must_not_lose(tmp_path):
    model = nn.Module()
    model.register_buffer(
        "a", torch.tensor([float("nan"), float("inf"), -0.0, 0.1, 5e-324], dtype=torch.float64)
    )
    model.register_buffer("b", torch.tensor([2**63 - 1, -1]))
    with inject(model, BitFlip(rate=1.0), Buffers()) as record:
        pass
    record.save(tmp_path / "faults.csv")
    again = load(tmp_path / "faults.csv")
    same(again, record)
    assert np.array_equal(np.signbit(again.before), np.signbit(record.before))
    assert max(again.code.tolist()) > 2**63


def test_a_file_that_people_and_other_programs_read(record, tmp_path):
    record.save(tmp_path / "faults.csv")
    with (tmp_path / "faults.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    first = next(iter(record))
    assert rows[0]["tensor"] == first.tensor
    assert (int(rows[0]["index"]), int(rows[0]["bit"])) == (first.index, first.bit)
    assert rows[0]["code"].startswith("0x")
    assert {row["bit"] for row in rows if row["kind"] == "random"} == {"-1"}
    assert len(rows) == len(record)


def test_names_with_commas_and_letters_of_the_world(tmp_path):
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer('größe, "breit"', torch.zeros(3))

    with inject(Named(), BitFlip(count=3), Buffers()) as record:
        pass
    record.save(tmp_path / "faults.csv")
    same(load(tmp_path / "faults.csv"), record)


def test_parts_that_hit_nothing_are_not_kept(tmp_path):
    with inject(nn.Linear(4, 3), StuckAt(1, rate=0.0) + BitFlip(count=2), Weights()) as record:
        pass
    record.save(tmp_path / "faults.csv")
    again = load(tmp_path / "faults.csv")
    assert (record.kinds, again.kinds) == (("stuck-at-1", "flip"), ("flip",))
    assert str(list(again)) == str(list(record))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "starts with ''"),
        ("a,b\n1,2\n", "starts with 'a,b'"),
        (HEADER + "w,32,0,0,flip,3,0,1\n", "line 2: 'w,32,0,0,flip,3,0,1' is not a fault"),
        (HEADER + "w,32,x,0,flip,3,0,1,0x0\n", "line 2: .* is not a fault"),
        (HEADER + "\n", "line 2: '' is not a fault"),
        (HEADER + "w,32,0,0,flip,32,0,1,0x0\n", "line 2: a word of 32 bits has no bit 32"),
        (HEADER + "w,32,0,0,flip,-2,0,1,0x0\n", "has no bit -2"),
        (HEADER + "w,65,0,0,flip,0,0,1,0x0\n", "a word of w cannot have 65 bits"),
        (HEADER + "w,8,-1,0,flip,0,0,1,0x0\n", "index -1 or part 0 is negative"),
        (HEADER + "w,8,0,-1,flip,0,0,1,0x0\n", "index 0 or part -1 is negative"),
        (HEADER + "w,8,0,0,zero,-1,0,1,0x100\n", "code 0x100 has more than 8 bits"),
        (
            HEADER + "w,8,0,0,flip,0,0,1,0x0\nw,16,1,0,flip,0,0,1,0x0\n",
            "tensor w is given with 8 and with 16",
        ),
        (
            HEADER + "w,8,0,0,flip,0,0,1,0x0\nw,8,1,0,zero,-1,0,1,0x0\n",
            "part 0 is given with flip and with zero",
        ),
    ],
)
def test_refuses_what_is_no_file_of_faults(text, message, tmp_path):
    path = tmp_path / "wrong.csv"
    path.write_text(text)
    with pytest.raises(FaultError, match=message):
        load(path)


def test_other_files(tmp_path):
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    with pytest.raises(FaultError, match="is not a file of faults"):
        load(tmp_path / "picture.png")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing.csv")
