import numpy as np
import pytest

from clipact.faults._hits import (
    NO_HITS,
    BitSpace,
    Hits,
    bit_hits,
    bits_hit,
    digest,
    hit_words,
    merged,
    places_among,
)


def hits(index, mask, payload=None):
    return Hits(
        np.array(index, dtype=np.int64),
        np.array(mask, dtype=np.uint64),
        None if payload is None else np.array(payload, dtype=np.float64),
    )


def shown(found):
    return [(one.index.tolist(), one.mask.tolist()) for one in found]


def test_bit_space():
    space = BitSpace("a", (3, 4), 8)
    assert (space.words, space.bits) == (12, 96)
    assert BitSpace("scalar", (), 16).bits == 16


@pytest.mark.parametrize(
    ("place", "sizes", "per_word", "positions", "expected"),
    [
        ([0, 3, 7, 8], [4], [8], None, [([0, 1], [0b10001001, 1])]),
        ([5, 5], [1, 1], [4, 4], None, [([1], [2]), ([1], [2])]),  # the same word of two tensors
        ([5, 5], [1, 1], [4, 2], None, [([1], [2]), ([2], [2])]),
        ([1], [0, 1, 0], [8, 8, 8], None, [([], []), ([0], [2]), ([], [])]),
        ([], [0, 0], [8, 8], None, [([], []), ([], [])]),
        ([0, 1, 3], [3], [2], [3, 7], [([0, 1], [0b10001000, 0b10000000])]),
        ([63], [1], [64], None, [([0], [2**63])]),
    ],
)
def test_bit_hits(place, sizes, per_word, positions, expected):
    chosen = None if positions is None else np.array(positions)
    found = bit_hits(np.array(place, dtype=np.int64), np.array(sizes), per_word, chosen)
    assert shown(found) == expected
    assert all(one.index.dtype == np.int64 and one.mask.dtype == np.uint64 for one in found)


def test_merged():
    found = merged(np.array([4, 1, 4, 0]), np.array([1, 2, 6, 1], dtype=np.uint64))
    assert shown([found]) == [([0, 1, 4], [1, 2, 7])]
    assert merged(np.empty(0, np.int64), np.empty(0, np.uint64)) is NO_HITS


def test_bits_hit():
    assert bits_hit([hits([0, 5], [0b101, 2**64 - 1]), NO_HITS, hits([0], [1])]) == 67
    assert bits_hit([]) == 0


def test_words_of_several_parts():
    one, two = hits([1, 4], [1, 1]), hits([0, 4, 9], [1, 1, 1])
    assert hit_words([one]) is one.index
    assert hit_words([one, two]).tolist() == [0, 1, 4, 9]
    words = [hit_words([one, two]), np.array([3])]
    assert places_among(words, [two, hits([3], [1])]).tolist() == [0, 2, 3, 4]


def test_digest():
    spaces = [BitSpace("a", (9,), 8), BitSpace("b", (9,), 8)]
    base = digest(spaces, [[hits([1], [2]), NO_HITS]])
    assert base == digest(spaces, [[hits([1], [2]), NO_HITS]])
    others = [
        [[hits([2], [2]), NO_HITS]],
        [[hits([1], [3]), NO_HITS]],
        [[NO_HITS, hits([1], [2])]],
        [[hits([1], [2], [0.0]), NO_HITS]],
        [[hits([1], [2], [1.0]), NO_HITS]],
        [[NO_HITS, NO_HITS], [hits([1], [2]), NO_HITS]],
        [[NO_HITS, NO_HITS]],
    ]
    found = [digest(spaces, other) for other in others]
    assert len({base, *found}) == len(others) + 1
