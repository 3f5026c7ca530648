"""Fixtures of the surgery tests."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session")
def models():
    """The module of small models beside this file."""
    spec = importlib.util.spec_from_file_location(
        "surgery_models", Path(__file__).with_name("models.py")
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # pickle looks classes up there
    spec.loader.exec_module(module)
    return module


class Snapshot:
    """Everything a model consists of, to be compared with what it is later."""

    def __init__(self, model):
        self._model = model
        self._state = self._take()

    def _take(self):
        modules = [(path, id(m)) for path, m in self._model.named_modules(remove_duplicate=False)]
        attributes = [
            [(key, _frozen(value)) for key, value in module.__dict__.items()]
            for module in self._model.modules()
        ]
        bits = {key: value.clone() for key, value in self._model.state_dict().items()}
        return modules, attributes, bits

    def assert_same(self):
        modules, attributes, bits = self._take()
        assert modules == self._state[0]
        assert attributes == self._state[1]
        assert list(bits) == list(self._state[2])
        for key, value in bits.items():
            raw = [tensor.reshape(-1).view(torch.uint8) for tensor in (value, self._state[2][key])]
            assert torch.equal(*raw), key


def _frozen(value):
    """What identifies an attribute: flags by value, tables by keys and identities, the rest by identity."""
    if isinstance(value, dict):
        return [(key, id(item)) for key, item in value.items()]
    if isinstance(value, list):
        return [id(item) for item in value]
    return value if isinstance(value, bool | int | str | None) else id(value)


@pytest.fixture
def snapshot():
    return Snapshot
