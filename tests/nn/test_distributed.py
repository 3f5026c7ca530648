"""Thresholds train across processes, replicated or sharded, as they do in one."""

import os

import pytest
import torch
from torch import Tensor
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from clipact import nn


def activation() -> Tensor:
    return torch.randn((2, 3, 4, 5), generator=torch.Generator().manual_seed(0))


def network() -> torch.nn.Sequential:
    """Thresholds of a channel and of the layer, all of them trained."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3),
        nn.SaturatedReLU(torch.full((4, 1, 1), 0.5)),
        torch.nn.Flatten(),
        torch.nn.Linear(24, 16),
        nn.SaturatedReLU(0.2),
        torch.nn.Linear(16, 2),
    )
    return model.requires_grad_()


def join(rank: int, port: int) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)


def whole(tensor: Tensor) -> Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _train_replicated(rank: int, port: int, results: str) -> None:
    join(rank, port)
    layer = nn.SaturatedReLU(torch.full((3, 1, 1), 0.7)).requires_grad_()
    model = torch.nn.parallel.DistributedDataParallel(layer)
    model(activation()[rank : rank + 1]).square().mean().backward()
    torch.save(layer.threshold.grad, f"{results}/{rank}.pt")
    torch.distributed.barrier()  # a process that ends while the other still talks to it is aborted
    torch.distributed.destroy_process_group()


def _train_sharded(rank: int, port: int, results: str) -> None:
    join(rank, port)
    model = network()
    mesh = torch.distributed.init_device_mesh("cpu", (2,))
    for layer in model:
        if any(True for _ in layer.parameters()):
            fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(activation()[rank : rank + 1]).square().mean().backward()
    gradients = {name: whole(p.grad) for name, p in model.named_parameters()}
    optimizer.step()
    values = {name: whole(p.detach()) for name, p in model.named_parameters()}
    torch.save((gradients, values), f"{results}/{rank}.pt")
    torch.distributed.barrier()  # a process that ends while the other still talks to it is aborted
    torch.distributed.destroy_process_group()


def spawn(worker, tmp_path) -> list:
    port = 20000 + os.getpid() % 20000
    torch.multiprocessing.spawn(worker, args=(port, str(tmp_path)), nprocs=2)
    return [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.slow
def test_two_replicas_agree_with_one_process(tmp_path):
    layer = nn.SaturatedReLU(torch.full((3, 1, 1), 0.7)).requires_grad_()
    layer(activation()).square().mean().backward()
    for found in spawn(_train_replicated, tmp_path):
        torch.testing.assert_close(found, layer.threshold.grad)


@pytest.mark.slow
def test_two_shards_agree_with_one_process(tmp_path):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(activation()).square().mean().backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    assert all(gradients[name].abs().min() > 0 for name in ("1.threshold", "4.threshold"))
    optimizer.step()
    values = {name: p.detach() for name, p in model.named_parameters()}
    for found in spawn(_train_sharded, tmp_path):
        torch.testing.assert_close(found, (gradients, values))
