import pytest
import torch
from torch import nn

from clipact.errors import FaultError, SelectionError
from clipact.faults import BitFlip, OptimizerState, Weights, inject
from clipact.where import named, of_type


def trained(make):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    optimizer = make(model.parameters())
    model(torch.randn(5, 3)).square().sum().backward()
    optimizer.step()
    return model, optimizer


def names(target, model):
    return [each.name for each in target.tensors(model)]


def test_every_tensor_of_the_state_under_the_parameters_name():
    model, optimizer = trained(lambda p: torch.optim.SGD(p, 0.1, momentum=0.9))
    target = OptimizerState(optimizer)
    expected = [f"{name}.momentum_buffer" for name, _ in model.named_parameters()]
    assert names(target, model) == expected
    picked = OptimizerState(optimizer, of_type(nn.BatchNorm1d))
    assert names(picked, model) == ["1.weight.momentum_buffer", "1.bias.momentum_buffer"]
    picked = OptimizerState(optimizer, where=named("*.bias.*"))
    assert len(names(picked, model)) == 3
    assert str(target | Weights()) == "OptimizerState(SGD) | Weights()"


def test_faults_are_put_into_the_state_and_taken_back():
    model, optimizer = trained(lambda p: torch.optim.AdamW(p, 0.1))
    before = {
        (id(p), key): value.clone()
        for p, state in optimizer.state.items()
        for key, value in state.items()
    }

    def changed():
        return [
            key
            for p, state in optimizer.state.items()
            for key, value in state.items()
            if not torch.equal(value, before[id(p), key])
        ]

    target = OptimizerState(optimizer, named("*.exp_avg_sq"))
    with inject(model, BitFlip(count=40), target) as record:
        assert set(changed()) == {"exp_avg_sq"}
        assert {fault.tensor.rpartition(".")[2] for fault in record} == {"exp_avg_sq"}
    assert changed() == []


def test_state_in_lists():
    model = nn.Linear(2, 1)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=3)

    def closure():
        optimizer.zero_grad()
        loss = model(torch.ones(1, 2)).square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    found = names(OptimizerState(optimizer), model)
    assert "weight.old_dirs[0]" in found
    assert "weight.d" in found


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_an_empty_state(momentum):
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=momentum)
    with pytest.raises(FaultError, match=r"SGD keeps nothing .*take a step"):
        OptimizerState(optimizer).tensors(model)


def test_nothing_picked():
    model, optimizer = trained(torch.optim.Adam)
    with pytest.raises(SelectionError, match="nope"):
        OptimizerState(optimizer, named("nope")).tensors(model)
