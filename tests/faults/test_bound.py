import pytest
import torch
from torch import nn

from clipact.errors import FaultError
from clipact.faults import Biases, Buffers, FixedPoint, Native, Weights
from clipact.faults._memory._bound import bind


def test_spaces_and_bits(model):
    bound = bind((Weights() | Buffers()).tensors(model), Native())
    spaces = {space.name: space for space in bound.spaces}
    assert spaces["0.weight"].shape == (8, 3, 3, 3)
    assert spaces["1.num_batches_tracked"].width == 64
    assert bound.bits == sum(t.tensor.numel() * t.tensor.element_size() * 8 for t in bound.tensors)


def test_some_of_the_tensors(model):
    bound = bind((Weights() | Biases()).tensors(model), FixedPoint(bits=12, fraction=4))
    some = bound.at([2, 0])
    assert [item.name for item in some.tensors] == [bound.tensors[2].name, bound.tensors[0].name]
    assert [space.name for space in some.spaces] == [item.name for item in some.tensors]
    assert some.codecs == (bound.codecs[2], bound.codecs[0])
    assert some.words[1] is bound.words[0]


def test_nothing_is_copied(model):
    bound = bind(Weights().tensors(model), Native())
    for item, words in zip(bound.tensors, bound.words, strict=True):
        assert words.data_ptr() == item.tensor.data_ptr()


def test_names_are_those_without_wrappers(model):
    bound = bind(Weights().tensors(nn.DataParallel(model)), Native())
    assert [space.name for space in bound.spaces] == ["0.weight", "1.weight", "4.weight"]


def test_a_format_that_does_not_fit():
    model = nn.Module()
    model.register_buffer("held", torch.zeros(3, dtype=torch.int32))
    with pytest.raises(FaultError, match=r"not on torch\.int32"):
        bind(Buffers().tensors(model), FixedPoint())
