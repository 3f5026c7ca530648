"""The callback under the real Trainer of Transformers, on a small network."""

from itertools import pairwise

import pytest
import torch
from torch import nn

import clipact as ca
from clipact.errors import TrainingError

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")


class Network(nn.Module):
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

    def forward(self, x, labels):
        logits = self.body(x)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


class Moves(transformers.TrainerCallback):
    """Which parameters and buffers each update moved."""

    def __init__(self, model):
        self.every = [bits(model)]

    def on_step_end(self, args, state, control, model, **_):
        self.every.append(bits(model))

    def seen(self):
        return [
            {name for name in before if before[name] != after[name]}
            for before, after in pairwise(self.every)
        ]


def bits(model):
    return {
        name: value.detach().contiguous().reshape(-1).view(torch.uint8).tolist()
        for name, value in model.state_dict().items()
    }


def data():
    generator = torch.Generator().manual_seed(1)
    return [{"x": torch.randn(4, generator=generator), "labels": index % 2} for index in range(12)]


def callback(model, **length):
    progression = ca.training.progressive(ca.thresholds(model), model=model)
    return ca.integrations.transformers.ProgressiveThresholds(
        ca.training.Pacer(progression, **length)
    )


def trainer(folder, model, *callbacks, **arguments):
    return transformers.Trainer(
        model=model,
        args=transformers.TrainingArguments(
            output_dir=str(folder),
            per_device_train_batch_size=4,
            learning_rate=0.05,
            weight_decay=0.1,
            max_grad_norm=0.0,
            use_cpu=True,
            report_to=[],
            disable_tqdm=True,
            **{"num_train_epochs": 10, "save_strategy": "no", "logging_strategy": "no"} | arguments,
        ),
        train_dataset=data(),
        callbacks=list(callbacks),
    )


LAST, FIRST = {"body.4.threshold"}, {"body.2.threshold"}


@pytest.mark.parametrize(
    ("length", "expected"),
    [({"epochs": 2}, [LAST] * 6 + [FIRST] * 6), ({"steps": 2}, [LAST] * 2 + [FIRST] * 2)],
)
def test_stages_train_one_by_one_and_stop_the_trainer(tmp_path, length, expected):
    model = Network()
    moves = Moves(model)
    trainer(tmp_path, model, callback(model, **length), moves).train()
    assert moves.seen() == expected
    assert not any(each.requires_grad for each in ca.thresholds(model).values())
    assert not any(module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("restore", [False, True])
def test_resumed_is_uninterrupted(tmp_path, restore):
    whole = Network()
    trainer(tmp_path / "whole", whole, callback(whole, epochs=2)).train()
    model = Network()

    class Stop(transformers.TrainerCallback):
        def on_epoch_end(self, args, state, control, **_):
            control.should_training_stop = state.epoch >= 3

    trainer(tmp_path, model, callback(model, epochs=2), Stop(), save_strategy="epoch").train()
    model = Network()
    moves = Moves(model)
    again = trainer(
        tmp_path,
        model,
        callback(model, epochs=2),
        moves,
        restore_callback_states_from_checkpoint=restore,
    )
    again.train(resume_from_checkpoint=True)
    assert len(moves.seen()) == 3
    assert bits(model) == bits(whole)


def test_an_optimizer_without_thresholds_is_refused(tmp_path):
    model = Network()
    task = trainer(tmp_path, model, callback(model, epochs=1))
    task.optimizer = torch.optim.SGD(model.body[0].parameters(), lr=0.1)
    with pytest.raises(TrainingError, match=r"the optimizer lacks body\.4\.threshold"):
        task.train()
