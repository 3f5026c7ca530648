"""Models that are spread over processes have no bits of their own here: they are refused."""

import pytest
import torch
from torch import distributed as dist
from torch import nn

from clipact.errors import FaultError
from clipact.faults import Activations, BitFlip, Weights, inject
from clipact.faults._values import observe
from clipact.where import named

pytestmark = [
    pytest.mark.skipif(not dist.is_available(), reason="torch without distributed"),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture
def group():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_dtensors(group):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import distribute_tensor

    model = nn.Sequential(nn.Linear(4, 3))
    mesh = init_device_mesh("cpu", (1,))
    model[0].weight = nn.Parameter(distribute_tensor(torch.randn(3, 4), mesh))
    with pytest.raises(FaultError, match=r"0\.weight is spread over processes"):
        Weights().tensors(model)
    model[0].bias = nn.Parameter(distribute_tensor(torch.randn(3), mesh))
    x = distribute_tensor(torch.randn(2, 4), mesh)
    with pytest.raises(FaultError, match=r"0 is spread over processes"):
        observe(model, Activations(named("0")), lambda: model(x))


def test_fully_sharded_modules(group):
    from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard

    wrapped = FullyShardedDataParallel(nn.Linear(4, 3), device_id=torch.device("cpu"))
    sharded = fully_shard(nn.Linear(4, 3))
    for model in (wrapped, nn.Sequential(sharded)):
        with (
            pytest.raises(FaultError, match="FSDP, which spreads its weights"),
            inject(model, BitFlip(count=1), Weights()),
        ):
            pass


def test_replicas_are_whole(group):
    model = nn.parallel.DistributedDataParallel(nn.Linear(4, 3))
    with inject(model, BitFlip(count=3), Weights()) as record:
        assert len(record) == 3
