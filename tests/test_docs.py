"""Every Python block of the README and of the guide runs, in order, as a reader would type it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import clipact

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "guide").glob("[!_]*.md"))]


def blocks(page, language="python"):
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    found = blocks(page)
    assert found, f"{page} has no Python block"
    for block in found:
        exec(compile(block, str(page), "exec"), namespace)


def test_the_readme_opens_with_ten_lines_at_most():
    first = blocks(ROOT / "README.md")[0]
    assert len(first.strip().splitlines()) <= 10


def test_the_readme_has_two_commands_and_ci_finds_the_one_for_tests():
    demo, tests = blocks(ROOT / "README.md", "bash")
    assert demo.strip().endswith("clipact demo")
    assert tests.strip().endswith("-m pytest")
    script = (ROOT / ".ci" / "run").read_text()
    extract = re.search(r"^command=\$\((sed .*)\)$", script, re.MULTILINE).group(1)
    found = subprocess.run(
        ["bash", "-c", extract], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert found.strip() == tests.strip()


def test_every_public_name_is_documented():
    for name in clipact.__all__:
        if name not in {"__version__", "ACTIVATIONS", "LAYERS"}:
            assert (getattr(clipact, name).__doc__ or "").strip(), name


def test_importing_clipact_is_light():
    code = (
        "import sys, clipact; heavy = {'torch._dynamo', 'torch._inductor', 'matplotlib', 'pandas', 'sklearn', 'nir', 'jinja2.environment'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert found.stdout.strip() == "[]"


def test_help_does_not_wait_for_torch():
    code = "import sys; from clipact.cli import main\ntry: main(['--help'])\nexcept SystemExit: print('torch' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert found.stdout.strip().endswith("False")


def test_every_public_name_is_there():
    assert dir(clipact) == sorted(clipact.__all__)
    for name in clipact.__all__:
        assert getattr(clipact, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'calibrated'"):
        _ = clipact.calibrated
