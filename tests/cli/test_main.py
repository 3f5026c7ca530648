import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from clipact.cli import _main, main
from clipact.errors import CampaignError

GUIDE = Path(__file__).parents[2] / "docs" / "guide"
COMMANDS = ("demo", "run", "plan", "report", "merge")


def documented():
    pages = sorted(GUIDE.glob("*.md"))
    lines = [line for page in pages for line in page.read_text().splitlines()]
    return [line.partition("#")[0] for line in lines if re.match(r"clipact (?!\\)\w", line)]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_how_it_is_used(command, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([command, "--help"])
    assert exit_.value.code == 0
    assert f"usage: clipact {command}" in capsys.readouterr().out


def test_what_the_guide_shows_is_understood():
    lines = documented()
    assert {line.split()[1] for line in lines} >= {"run", "plan", "report", "merge"}
    for line in lines:
        arguments = _main._parser().parse_args(shlex.split(line)[1:])
        assert callable(arguments.command), line


def test_no_help_waits_for_torch():
    code = (
        "import sys; from clipact.cli import main\n"
        f"for command in {COMMANDS}:\n"
        "    try: main([command, '--help'])\n"
        "    except SystemExit: pass\n"
        "print({'torch', 'numpy', 'matplotlib'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip().endswith("set()")


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (CampaignError("what is wrong"), 2, "clipact: what is wrong\n"),
        (OSError("no space"), 2, "clipact: no space\n"),
        (KeyboardInterrupt("after 3 trials"), 130, "clipact: after 3 trials\n"),
        (KeyboardInterrupt(), 130, "clipact: interrupted\n"),
    ],
)
def test_how_it_ends(error, status, said, monkeypatch, capsys):
    from clipact.cli import _command_merge

    def fail(arguments):
        raise error

    monkeypatch.setattr(_command_merge, "_run", fail)
    assert main(["merge", "out.sqlite", "in.sqlite"]) == status
    assert capsys.readouterr().err == said
