"""Hoyer statistics across processes: each its own, or one for all, by choice."""

import os
from functools import partial

import pytest
import torch

from clipact.functional import hoyer_extremum
from clipact.nn import HoyerSpike


def images(seed):
    return torch.randn((4, 3, 8, 8), generator=torch.Generator().manual_seed(seed)) + seed / 4


def train(layer, wrapped, batches):
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    for x in batches:
        optimizer.zero_grad()
        wrapped(x).square().mean().backward()
        optimizer.step()
    return {**layer.state_dict(), "grad": layer.v_threshold.grad}


def worker(rank, port, results, synchronize):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    layer = HoyerSpike(3, sync_statistics=synchronize)
    wrapped = torch.nn.parallel.DistributedDataParallel(layer, broadcast_buffers=False)
    state = train(layer, wrapped, [images(seed).chunk(2)[rank] for seed in range(3)])
    torch.save(state, f"{results}/{rank}.pt")
    torch.distributed.barrier()  # a process that ends while the other still talks to it is aborted
    torch.distributed.destroy_process_group()


def spawn(tmp_path, *, synchronize):
    port = 21000 + os.getpid() % 20000
    job = partial(worker, synchronize=synchronize)
    torch.multiprocessing.spawn(job, args=(port, str(tmp_path)), nprocs=2)
    return [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.slow
def test_synchronised_replicas_are_one_process(tmp_path):
    layer = HoyerSpike(3)
    expected = train(layer, layer, [images(seed) for seed in range(3)])
    for found in spawn(tmp_path, synchronize=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.slow
def test_local_replicas_share_gradients_but_not_statistics(tmp_path):
    first, second = spawn(tmp_path, synchronize=False)
    torch.testing.assert_close(first["grad"], second["grad"])
    torch.testing.assert_close(first["v_threshold"], second["v_threshold"])
    assert not torch.allclose(first["running_extremum"], second["running_extremum"])


def test_synchronising_needs_no_processes():
    x = images(0)
    layer = HoyerSpike(3, sync_statistics=True)
    layer(x)
    expected = hoyer_extremum(x, channel_dim=1).flatten()
    torch.testing.assert_close(layer.running_extremum, expected)
