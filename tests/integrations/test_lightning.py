"""The callback under the real Lightning trainer, on a small network."""

from itertools import pairwise

import pytest
import torch
from torch import nn

import clipact as ca
from clipact.errors import TrainingError

lightning = pytest.importorskip("lightning.pytorch")

pytestmark = [
    # advice on the machine that depends on it
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:GPU available but not used"),
    # it uses a name of torch's trees that torch has deprecated
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
]


class Network(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Linear(4, 8),
            nn.BatchNorm1d(8),
            ca.nn.HyReLU(0.5, slope=4.0),
            nn.Linear(8, 8),
            ca.nn.HyReLU(torch.full((8,), 0.5), slope=4.0),
            nn.Linear(8, 2),
        )
        self.history = []

    def training_step(self, batch, index):
        return nn.functional.cross_entropy(self.body(batch[0]), batch[1])

    def on_train_batch_end(self, *_):
        self.history.append(bits(self))

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=0.05, weight_decay=0.1)


def bits(model):
    return {
        name: value.detach().contiguous().reshape(-1).view(torch.uint8).tolist()
        for name, value in model.state_dict().items()
    }


def loader():
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(12, 4, generator=generator)
    labels = torch.randint(2, (12,), generator=generator)
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images, labels), batch_size=4)


def callback(model, **length):
    progression = ca.training.progressive(ca.thresholds(model), model=model)
    return ca.integrations.lightning.ProgressiveThresholds(ca.training.Pacer(progression, **length))


def trainer(folder, *callbacks, epochs=10, clip=None):
    return lightning.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        gradient_clip_val=clip,
    )


def moves(model, start):
    every = [start, *model.history]
    return [
        {name for name in before if before[name] != after[name]}
        for before, after in pairwise(every)
    ]


LAST, FIRST = {"body.4.threshold"}, {"body.2.threshold"}


@pytest.mark.parametrize(
    ("length", "expected"),
    [({"epochs": 2}, [LAST] * 6 + [FIRST] * 6), ({"steps": 2}, [LAST] * 2 + [FIRST] * 2)],
)
def test_stages_train_one_by_one_and_stop_the_trainer(tmp_path, length, expected):
    model = Network()
    start = bits(model)
    fit = trainer(tmp_path, callback(model, **length))
    fit.fit(model, loader())
    assert moves(model, start) == expected
    assert not any(each.requires_grad for each in ca.thresholds(model).values())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_clipping_counts_the_stage_alone(tmp_path):
    seen = []

    class Norms(lightning.Callback):
        def on_before_zero_grad(self, trainer, pl_module, optimizer):
            grads = [each.grad for each in pl_module.parameters() if each.grad is not None]
            seen.extend(
                torch.stack([each.norm() for each in grads]).norm().tolist() for _ in grads[:1]
            )

    model = Network()
    trainer(tmp_path, callback(model, steps=2), Norms(), clip=1e-4).fit(model, loader())
    assert seen
    assert seen == pytest.approx([1e-4] * len(seen), rel=1e-2)


def test_resumed_is_uninterrupted(tmp_path):
    whole = Network()
    trainer(tmp_path, callback(whole, epochs=2)).fit(whole, loader())
    first = Network()
    half = trainer(tmp_path, callback(first, epochs=2), epochs=3)
    half.fit(first, loader())
    half.save_checkpoint(tmp_path / "half.ckpt")
    second = Network()
    with torch.no_grad():
        second.body[0].weight.zero_()
    trainer(tmp_path, callback(second, epochs=2)).fit(
        second, loader(), ckpt_path=tmp_path / "half.ckpt", weights_only=True
    )
    assert len(second.history) == 3
    assert bits(second) == bits(whole)


def test_an_optimizer_without_thresholds_is_refused_and_flags_are_put_back(tmp_path):
    model = Network()
    model.configure_optimizers = lambda: torch.optim.SGD(model.body[0].parameters(), lr=0.1)
    with pytest.raises(TrainingError, match=r"the optimizer lacks body\.4\.threshold"):
        trainer(tmp_path, callback(model, epochs=1)).fit(model, loader())
    assert not any(each.requires_grad for each in ca.thresholds(model).values())
