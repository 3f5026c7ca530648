import functools
import pickle
import sys

import pytest
import torch
from torch import nn

from clipact.errors import CampaignError
from clipact.faults._shipping import Shipped, ship


@pytest.mark.parametrize(
    ("place", "path"),
    [
        (
            lambda m, bad: m[0][0].register_forward_hook(bad),
            r"model\[0\]\[0\]\._forward_hooks\[\d+\]",
        ),
        (lambda m, bad: setattr(m[0], "spare", [1, bad]), r"model\[0\]\.spare\[1\]"),
        (lambda m, bad: setattr(m, "spare", functools.partial(bad)), r"model\.spare\.func"),
        (lambda m, bad: setattr(m, "spare", {"key": bad}), r"model\.spare\.key"),
    ],
)
def test_what_cannot_be_pickled_is_named(tmp_path, place, path):
    net = nn.Sequential(nn.Sequential(nn.Linear(2, 2)))
    place(net, lambda *arguments: None)
    message = rf"pickle refuses {path}: function .*<lambda> \(.*test_shipping_refusals.py:\d+\).*define it at module level"
    with pytest.raises(CampaignError, match=message):
        ship({"model": net, "evaluation": len}, tmp_path)


def test_a_class_inside_a_function_is_named(tmp_path):
    class Local(nn.Module):
        pass

    net = nn.Sequential(nn.ReLU(), Local())
    with pytest.raises(CampaignError, match=r"model\[1\]\.__class__: class .*Local.*define it at"):
        ship({"model": net}, tmp_path)


def test_an_open_file_and_a_generator_are_named(tmp_path):
    held = {"loader": (n for n in range(3)), "log": (tmp_path / "log").open("w")}
    with held["log"], pytest.raises(CampaignError) as raised:
        ship({"evaluation": held}, tmp_path)
    assert "evaluation.loader: a generator, evaluation.log: a TextIOWrapper" in str(raised.value)
    assert "run in process (executor=None)" in str(raised.value)


def test_only_what_was_written_is_read(tmp_path):
    shipped = ship(torch.ones(3), tmp_path)
    (tmp_path / "objects").write_bytes(pickle.dumps("something else"))
    with pytest.raises(CampaignError, match="is not as it was written"):
        shipped.load()


def test_a_folder_that_is_not_there_is_said_to_be_elsewhere(tmp_path):
    shipped = Shipped(tmp_path / "gone", "", ())
    with pytest.raises(CampaignError, match=r"cannot read .*gone.* a file system that all of them"):
        shipped.load()


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    with pytest.raises(CampaignError, match=r"could not be written to .*nowhere"):
        ship(torch.ones(3), tmp_path / "nowhere")


def test_a_class_of_the_program_is_not_found_elsewhere(tmp_path, monkeypatch):
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "Net", type("Net", (), {"__module__": "__main__"}), raising=False)
    shipped = ship({"model": main.Net()}, tmp_path)
    monkeypatch.delattr(main, "Net")
    with pytest.raises(CampaignError, match=r"cannot find Net, which the program's own file"):
        shipped.load()


def test_a_module_that_is_not_found_is_named(tmp_path, monkeypatch):
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "here_only.py").write_text("class Net: pass")
    monkeypatch.syspath_prepend(tmp_path / "nets")
    import here_only

    shipped = ship(here_only.Net(), tmp_path)
    monkeypatch.delitem(sys.modules, "here_only")
    monkeypatch.setattr(sys, "path", sys.path[1:])
    with pytest.raises(CampaignError, match=r"cannot find Net of here_only .* its PYTHONPATH"):
        shipped.load()
