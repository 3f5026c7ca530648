"""Every test draws the same numbers in each run, whichever tests run beside it, and so do the parameters made at import."""

import random

import numpy as np
import pytest
import torch


def _seed():
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - tests of code that uses the global state
    torch.manual_seed(0)


def pytest_collectstart():
    _seed()


@pytest.fixture(autouse=True)
def seeded():
    _seed()
