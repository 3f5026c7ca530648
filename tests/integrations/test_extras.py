"""Adapters are imported when they are used, and say which extra they need."""

import subprocess
import sys

import pytest

import clipact as ca
from clipact.errors import MissingExtraError


@pytest.mark.parametrize(
    ("adapter", "package", "extra"),
    [
        ("lightning", "lightning.pytorch", "lightning"),
        ("transformers", "transformers", "hf"),
        ("accelerate", "accelerate", "hf"),
    ],
)
def test_without_its_package_an_adapter_names_the_extra(monkeypatch, adapter, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"clipact.integrations.{adapter}", raising=False)
    monkeypatch.delitem(vars(ca.integrations), adapter, raising=False)
    with pytest.raises(MissingExtraError, match=rf"clipact\[{extra}\]"):
        getattr(ca.integrations, adapter)


def test_importing_the_package_imports_no_framework():
    code = (
        "import sys, clipact.integrations as found; print(dir(found));"
        "print({'lightning', 'transformers', 'accelerate'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split("\n")[:2] == ["['accelerate', 'lightning', 'transformers']", "set()"]


def test_another_name_is_no_adapter():
    with pytest.raises(AttributeError, match="no attribute 'keras'"):
        _ = ca.integrations.keras
