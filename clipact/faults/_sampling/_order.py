"""Random orders of any length, of which any place can be known without the others."""

from typing import Final

import numpy as np

from clipact.faults._hits import Codes
from clipact.faults._results._kept import Integers
from clipact.faults._streams import Draw, Purpose, Streams

_ROUNDS: Final = 40
_ALL: Final = 2**64 - 1


def order_keys(name: str, seed: int) -> Codes:
    """The keys of one order."""
    stream = Streams(Draw(seed, 0)).start(name, Purpose.ORDER)
    return stream.bit_generator.random_raw(2 * _ROUNDS)


def shuffled(keys: Codes, length: int, places: Integers) -> Integers:
    """What stands at some places of a random order of the numbers from 0 to before ``length``.

    This is the swap-or-not shuffle (Hoang, Morris, Rogaway: "An enciphering scheme based on a card shuffle", CRYPTO
    2012): in every round each number has a partner, and a random bit of the pair says whether the two change places.
    The first swap moves a number to a uniform one, so that each place is uniform but for a probability of 2**-40.

    Args:
        keys: Of the order.
        length: How many numbers there are.
        places: At least 0 and below ``length``.
    """
    numbers = places.astype(np.uint64)
    size = np.uint64(length)
    for turn, choice in keys.reshape(-1, 2):
        partner = turn % size + size - numbers
        partner -= np.where(partner >= size, size, np.uint64(0))
        swap = _mixed(np.maximum(numbers, partner) ^ choice) & np.uint64(1)
        numbers = np.where(swap.astype(np.bool_), partner, numbers)
    return numbers.astype(np.int64)


def shuffled_one(keys: Codes, length: int, place: int) -> int:
    """The same for one place, ten times as fast."""
    number = place
    words: list[int] = keys.tolist()
    for turn, choice in zip(words[::2], words[1::2], strict=True):
        partner = (turn - number) % length
        if _mixed_one(max(number, partner) ^ choice) & 1:
            number = partner
    return number


def _mixed(words: Codes) -> Codes:
    """The finaliser of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def _mixed_one(word: int) -> int:
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 & _ALL
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB & _ALL
    return word ^ (word >> 31)
