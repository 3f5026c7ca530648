"""One of two processes that train thresholds together; run by test_ddp.py.

Writes to a file every parameter and buffer after each stage, of a replicated and of a sharded model.
"""

import sys

import torch
from torch import nn
from torch.distributed import destroy_process_group, init_device_mesh, init_process_group
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

import clipact as ca


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(4, 8),
        nn.BatchNorm1d(8),
        ca.nn.HyReLU(torch.ones(8)),
        nn.Linear(8, 8),
        ca.nn.HyReLU(1.0),
        nn.Linear(8, 8),
        ca.nn.HyReLU(1.0),
        nn.Linear(8, 2),
    )


def replicated(model):
    progression = ca.training.progressive(ca.thresholds(model), model=model)
    return progression, DistributedDataParallel(model)


def sharded(model):
    fully_shard(model, mesh=init_device_mesh("cpu", (2,)))
    return ca.training.progressive(ca.thresholds(model), model=model), model


def train(rank, distribute):
    model = network()
    progression, distributed = distribute(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.1)
    generator = torch.Generator().manual_seed(rank)
    snapshots = [snapshot(model)]
    for stage in progression:
        with stage.gating(optimizer):
            for _ in range(4):
                optimizer.zero_grad()
                distributed(torch.randn(6, 4, generator=generator)).square().mean().backward()
                optimizer.step()
        snapshots.append(snapshot(model))
    return {"names": [stage.names for stage in progression.stages], "snapshots": snapshots}


def snapshot(model):
    return {
        name: (value.full_tensor() if isinstance(value, DTensor) else value).detach().clone()
        for name, value in model.state_dict().items()
    }


def main(rank, rendezvous, file):
    torch.set_num_threads(1)
    init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2)
    torch.save({each.__name__: train(rank, each) for each in (replicated, sharded)}, file)
    destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
