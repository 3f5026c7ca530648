"""The pacer in a loop with the real Accelerate, on a small network."""

import pytest
import torch
from torch import nn

import clipact as ca
from clipact.errors import TrainingError

accelerate = pytest.importorskip("accelerate")


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(4, 8),
        nn.BatchNorm1d(8),
        ca.nn.HyReLU(0.5, slope=4.0),
        nn.Linear(8, 8),
        ca.nn.HyReLU(torch.full((8,), 0.5), slope=4.0),
        nn.Linear(8, 2),
    )


def bits(model):
    return {
        name: value.detach().contiguous().reshape(-1).view(torch.uint8).tolist()
        for name, value in model.state_dict().items()
    }


def batches():
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(16, 4, generator=generator)
    labels = torch.randint(2, (16,), generator=generator)
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images, labels), batch_size=4)


class Run:
    """A prepared model with its optimizer, loader and pacer."""

    def __init__(self, accumulate=1, *, prepared=True):
        self.accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=accumulate)
        model = network()
        progression = ca.training.progressive(ca.thresholds(model), model=model)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.1)
        self.model, self.optimizer, self.loader = self.accelerator.prepare(
            model, optimizer, batches()
        )
        self.pacer = ca.integrations.accelerate.attach(
            ca.training.Pacer(progression, steps=3),
            self.accelerator,
            self.optimizer if prepared else optimizer,
        )
        self.moves = []

    def epoch(self):
        for images, labels in self.loader:
            before = bits(self.model)
            with self.accelerator.accumulate(self.model):
                loss = nn.functional.cross_entropy(self.model(images), labels)
                self.accelerator.backward(loss)
                self.optimizer.step()
                self.optimizer.zero_grad()
            now = bits(self.model)
            self.moves.append({name for name in before if before[name] != now[name]})


LAST, FIRST = {"4.threshold"}, {"2.threshold"}


@pytest.mark.parametrize("prepared", [False, True])
def test_stages_train_one_by_one(prepared):
    run = Run(prepared=prepared)
    run.epoch()
    run.epoch()
    assert run.moves == [LAST] * 3 + [FIRST] * 3 + [set()] * 2
    assert run.pacer.done


def test_updates_that_accumulation_skips_do_not_count():
    run = Run(accumulate=2)
    for _ in range(4):
        run.epoch()
    assert run.moves == [set(), LAST] * 3 + [set(), FIRST] * 3 + [set()] * 4


def test_resumed_is_uninterrupted(tmp_path):
    whole = Run()
    whole.epoch()
    whole.epoch()
    first = Run()
    first.epoch()
    first.accelerator.save_state(str(tmp_path))
    second = Run()
    second.accelerator.load_state(str(tmp_path))
    assert second.pacer.progression.stage.index == 1
    second.epoch()
    assert bits(second.model) == bits(whole.model)


def test_an_optimizer_without_thresholds_is_refused():
    model = network()
    pacer = ca.training.Pacer(ca.training.progressive(ca.thresholds(model)), epochs=1)
    with pytest.raises(TrainingError, match=r"the optimizer lacks 4\.threshold"):
        ca.integrations.accelerate.attach(
            pacer, accelerate.Accelerator(cpu=True), torch.optim.SGD(model[0].parameters())
        )
