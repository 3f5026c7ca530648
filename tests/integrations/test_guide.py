"""The functions of the guide's page on schedules that need a framework, called as the page says."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import clipact as ca

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "schedules.md"


@pytest.fixture
def page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        exec(block, namespace)
    return namespace


# advice on the machine, the loader and loggers; a name of torch's trees that torch has deprecated
@pytest.mark.filterwarnings("ignore:.*workers")
@pytest.mark.filterwarnings("ignore:.*logging")
@pytest.mark.filterwarnings("ignore:.*tensorboard")
@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")
def test_lightning(page):
    lightning = pytest.importorskip("lightning")

    class Classifier(lightning.LightningModule):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def training_step(self, batch, _):
            return F.cross_entropy(self.network(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.AdamW(ca.thresholds(self).values(), lr=0.05)

    trainer = page["fit_lightning"](Classifier(page["model"]), page["loader"])
    assert trainer.current_epoch == 3


# its default is to pin memory, also where there is no device
@pytest.mark.filterwarnings("ignore:.*pin_memory")
def test_transformers(page):
    pytest.importorskip("transformers")

    class Classifier(nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, x, labels):
            return {"loss": F.cross_entropy(self.network(x), labels)}

    dataset = [{"x": image, "labels": label} for image, label in page["data"]]
    trainer = page["train_transformers"](Classifier(page["model"]), dataset, "out")
    assert trainer.state.epoch == 3


def test_accelerate(page):
    pytest.importorskip("accelerate")
    before = {name: each.detach().clone() for name, each in page["thresholds"].items()}
    optimizer = torch.optim.AdamW(page["model"].parameters(), lr=0.05)
    page["train_accelerate"](page["model"], optimizer, page["loader"])
    assert not any(torch.equal(before[name], each) for name, each in page["thresholds"].items())
