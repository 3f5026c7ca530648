import numpy as np
import pytest
import torch

from clipact.faults import BitFlip, FixedPoint, Native
from clipact.faults._formats import Int8
from clipact.faults._hits import NO_HITS, Hits, hit_words
from clipact.faults._memory._corrupt import corrupted, corrupted_codes
from clipact.faults._models import StuckAt, Zero


def hits(index, mask):
    return Hits(np.array(index, dtype=np.int64), np.array(mask, dtype=np.uint64))


def at(tensor, parts):
    return tensor.reshape(-1)[torch.from_numpy(hit_words(parts))]


def test_nothing_that_is_given_changes():
    tensor, parts = torch.arange(6.0), [hits([1, 4], [1 << 31, 1 << 31])]
    values, codec = at(tensor, parts), Native().bind(tensor)
    new = corrupted(values, parts, BitFlip(count=2), codec)
    assert new.tolist() == [-1.0, -4.0]
    assert values.tolist() == [1.0, 4.0]
    assert parts[0].mask.tolist() == [1 << 31, 1 << 31]


def test_parts_of_a_sum_hit_different_words():
    tensor = torch.tensor([3, 3, 3, 3], dtype=torch.uint8)
    parts = [hits([0, 2], [0b100, 0b100]), hits([2, 3], [255, 255]), NO_HITS]
    fault = StuckAt(1, count=1) + Zero(count=1) + BitFlip(count=1)
    new = corrupted(at(tensor, parts), parts, fault, Native().bind(tensor))
    assert new.tolist() == [7, 0, 0]


def test_a_fixed_point_word_is_rounded_once():
    tensor, q = torch.tensor([0.3]), FixedPoint(bits=8, fraction=2)
    parts = [hits([0], [0b1000])] * 3
    fault = BitFlip(count=1) + BitFlip(count=1) + BitFlip(count=1)
    assert corrupted(tensor, parts, fault, q.bind(tensor)).tolist() == [0.25 + 2.0]


def test_each_word_has_the_scale_of_its_own_channel():
    tensor = torch.tensor([[1.27, 0.0], [12.7, 0.0]])
    parts = [hits([1, 3], [1, 1])]
    new = corrupted(at(tensor, parts), parts, BitFlip(count=1), Int8(axis=0).bind(tensor))
    assert new.tolist() == pytest.approx([0.01, 0.1])


def test_tensors_of_one_type_together_as_alone():
    tensors = [torch.randn(5), torch.randn(2, 3) * 10]
    parts = [[hits([0, 4], [3, 1])], [hits([2, 3, 5], [1, 2, 4])]]
    fault = BitFlip(count=1)
    for number_format in (Native(), FixedPoint(), Int8()):
        codecs = [number_format.bind(tensor) for tensor in tensors]
        values = torch.cat([at(t, p) for t, p in zip(tensors, parts, strict=True)])
        codes = corrupted_codes(values, parts, fault, codecs)
        alone = [
            corrupted_codes(at(t, p), [p], fault, [c])
            for t, p, c in zip(tensors, parts, codecs, strict=True)
        ]
        assert len(codes) == 2
        for place in range(2):
            assert codes[place].tolist() == np.concatenate([a[place] for a in alone]).tolist()
