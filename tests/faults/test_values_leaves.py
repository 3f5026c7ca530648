from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from clipact.faults._values._leaves import leaves, replaced

A, B, C = torch.zeros(1), torch.ones(2), torch.full((3,), 2.0)


class Pair(NamedTuple):
    first: torch.Tensor
    second: torch.Tensor


@dataclass(frozen=True)
class Fields:
    one: torch.Tensor
    two: object


@pytest.mark.parametrize(
    ("value", "paths"),
    [
        (A, [""]),
        ((A, (B, C)), ["[0]", "[1][0]", "[1][1]"]),
        ([A, None, 3, "x"], ["[0]"]),
        ({"out": A, 1: [B]}, ["['out']", "[1][0]"]),
        (Pair(A, B), ["[0]", "[1]"]),
        (Fields(A, {"x": B}), [".one", ".two['x']"]),
        (torch.max(torch.eye(2), 0), ["[0]", "[1]"]),
        (None, []),
    ],
)
def test_every_tensor_is_found_and_can_be_replaced(value, paths):
    assert [leaf.path for leaf in leaves(value)] == paths
    assert replaced(value, {}) is value
    for path in paths:
        other = torch.full((4,), 9.0)
        changed = replaced(value, {path: other})
        assert type(changed) is type(value) or path == ""
        assert [leaf.tensor is other for leaf in leaves(changed)] == [p == path for p in paths]
        assert all(leaf.tensor is not other for leaf in leaves(value))


def test_packed_sequences_keep_their_order():
    packed = pack_sequence([torch.randn(2, 4), torch.randn(3, 4)], enforce_sorted=False)
    (leaf,) = leaves(packed)
    assert (leaf.path, leaf.packed, leaf.tensor.shape) == ("", True, (5, 4))
    changed = replaced((packed, A), {"[0]": torch.zeros(5, 4)})
    assert torch.equal(changed[0].unsorted_indices, packed.unsorted_indices)
    assert not changed[0].data.any()
    assert packed.data.any()


def test_model_outputs_of_transformers():
    outputs = pytest.importorskip("transformers.modeling_outputs")
    value = outputs.SequenceClassifierOutput(logits=A, hidden_states=(B, C))
    paths = ["['logits']", "['hidden_states'][0]", "['hidden_states'][1]"]
    assert [leaf.path for leaf in leaves(value)] == paths
    changed = replaced(value, {"['hidden_states'][1]": A})
    assert type(changed) is type(value)
    assert changed.hidden_states[1] is changed["hidden_states"][1] is A
    assert value.hidden_states[1] is C
