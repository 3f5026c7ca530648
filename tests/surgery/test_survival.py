"""A rewritten model is still a model: copies, files, compilers, replicas."""

import copy
import inspect
import io
import pickle

import pytest
import torch
from torch import nn

from clipact.errors import SurgeryError
from clipact.nn import SaturatedReLU
from clipact.surgery import replace_activations, thresholds

X = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model(models):
    torch.manual_seed(0)
    model = nn.Sequential(
        models.Shared(), models.Functional(), models.Optional(), models.Stored()
    ).eval()
    limits = iter(range(1, 20))
    replace_activations(model, lambda _: SaturatedReLU(next(limits) / 20), example=X)
    return model


def through_file(model):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), through_file]
)
def test_copies_run_on_themselves(duplicate, model):
    golden = model(X)
    other = duplicate(model)
    assert torch.equal(other(X), golden)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert torch.equal(model(X), golden)
    assert not torch.equal(other(X), golden)
    assert list(thresholds(other)) == list(thresholds(model))
    for theirs, ours in zip(other, model, strict=True):
        assert type(theirs) is type(ours)
        assert "forward" not in ours.__dict__ or theirs.forward.owner is theirs


def test_state_dict_round_trip(model):
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    model.load_state_dict(torch.load(file, weights_only=True))


def test_shallow_copy_gives_the_same_output(model):
    assert torch.equal(copy.copy(model)(X), model(X))


def replicate(model):
    """What torch.nn.parallel.replicate does for one device, without one."""
    modules = list(model.modules())
    replicas = {module: module._replicate_for_data_parallel() for module in modules}
    for module in modules:
        for key, child in module._modules.items():
            setattr(replicas[module], key, replicas[child])
        for key, parameter in module._parameters.items():
            setattr(replicas[module], key, parameter.detach() * 2)
    return replicas[model]


def test_replicas_run_on_themselves(models):
    model = models.Shared()
    replace_activations(model, lambda _: SaturatedReLU(1e6), example=X)
    doubled = models.Shared()
    doubled.load_state_dict({key: model.state_dict()[key] * 2 for key in doubled.state_dict()})
    replica = replicate(model)
    assert torch.equal(replica(X), doubled(X))
    again = replica._replicate_for_data_parallel()
    assert again.forward.owner is again


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_compile_without_graph_breaks(model):
    golden = model(X)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    assert torch.equal(compiled(X), golden)
    model.train()
    compiled(X)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_export(strict, model):
    exported = torch.export.export(model, (X,), strict=strict)
    assert torch.equal(exported.module()(X), model(X))


@pytest.mark.filterwarnings("ignore")
def test_jit_trace(model):
    assert torch.equal(torch.jit.trace(model, X)(X), model(X))


def test_functional_call_and_vmap(model):
    parameters = dict(model.named_parameters())
    assert torch.equal(torch.func.functional_call(model, parameters, (X,)), model(X))
    torch.testing.assert_close(torch.func.vmap(model)(X[:, None])[:, 0], model(X))


def test_moves_with_the_model(model):
    golden = model(X)
    torch.testing.assert_close(model.double()(X.double()).float(), golden)
    assert next(iter(thresholds(model).values())).dtype == torch.float64


def test_signature_is_kept(model, models):
    assert inspect.signature(model[2].forward) == inspect.signature(models.Optional().forward)


def test_refuses_another_argument_when_compiled(model):
    compiled = torch.compile(model[2], backend="eager")
    with pytest.raises(SurgeryError, match="mask was None"):
        compiled(X, X)
