import itertools

import numpy as np
import pytest
import torch
from torch import nn

from clipact.faults import Buffers, Native, inject
from clipact.faults._hits import BitSpace, hit_words
from clipact.faults._memory._corrupt import corrupted
from clipact.faults._models import draw_parts
from clipact.faults._streams import Draw


@pytest.fixture
def draw():
    """A function: the hits of a fault model, of each part in each space."""

    def drawn(fault, spaces, seed=0, trial=0):
        return draw_parts(fault, spaces, Draw(seed, trial))

    return drawn


@pytest.fixture
def held():
    """A function: a model that holds this tensor."""

    def holder(tensor):
        model = nn.Module()
        model.register_buffer("held", tensor)
        return model

    return holder


@pytest.fixture
def faulty(held):
    """A function: a tensor with faults, and their record."""

    def inside(tensor, fault, **kwargs):
        model = held(tensor)
        with inject(model, fault, Buffers(), **kwargs) as record:
            return model.held.clone(), record

    return inside


@pytest.fixture
def purely():
    """A function: a tensor with faults, by the pure function."""

    def changed(tensor, fault, number_format=None, seed=0, trial=0):
        codec = (number_format or Native()).bind(tensor)
        space = BitSpace("held", tuple(tensor.shape), codec.width)
        hits = [part[0] for part in draw_parts(fault, [space], Draw(seed, trial))]
        flat = tensor.reshape(-1).clone()
        where = torch.from_numpy(hit_words(hits))
        flat[where] = corrupted(flat[where], hits, fault, codec)
        return flat.reshape(tensor.shape)

    return changed


@pytest.fixture
def chi_square_limit():
    """A function: the 99.99 % quantile of chi-square, by Wilson and Hilferty."""

    def limit(freedom):
        return freedom * (1 - 2 / (9 * freedom) + 3.719 * (2 / (9 * freedom)) ** 0.5) ** 3

    return limit


@pytest.fixture
def is_binomial(chi_square_limit):
    """A function: whether counts are those of a binomial distribution, by chi-square."""

    def agrees(counts, n, p):
        k = np.arange(n + 1)
        logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
        pmf = np.exp(logs[n] - logs[k] - logs[n - k] + k * np.log(p) + (n - k) * np.log1p(-p))
        cuts = np.unique(np.searchsorted(np.cumsum(pmf), np.linspace(0.02, 0.98, 13)) + 1)
        edges = [0, *cuts, n + 1]
        expected = len(counts) * np.array([pmf[a:b].sum() for a, b in itertools.pairwise(edges)])
        observed = np.histogram(counts, bins=edges)[0].astype(float)
        big = expected >= 5
        assert big.sum() >= 2
        statistic = ((observed - expected) ** 2 / expected)[big].sum()
        return statistic < chi_square_limit(big.sum() - 1)

    return agrees


@pytest.fixture
def bits_in():
    """A function: of hits in one space, a matrix with a one for every bit that is hit."""

    def matrix(hits, space):
        found = np.zeros((space.words, space.width), dtype=np.int64)
        columns = np.arange(space.width, dtype=np.uint64)
        found[hits.index] = (hits.mask[:, None] >> columns) & np.uint64(1)
        return found

    return matrix
