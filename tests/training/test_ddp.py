"""Two processes that train thresholds together over gloo stay in step, bit for bit."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.slow  # two interpreters that import torch


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ddp")
    script = Path(__file__).with_name("ddp_rank.py")
    started = [
        subprocess.Popen(
            [sys.executable, script, str(rank), folder / "rendezvous", folder / f"{rank}.pt"],
            cwd=Path(__file__).parents[2],
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        for process in started:
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors
    finally:
        for process in started:
            process.kill()
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def bits(value):
    return value.contiguous().reshape(-1).view(torch.uint8).tolist()


@pytest.mark.parametrize("how", ["replicated", "sharded"])
def test_all_ranks_hold_the_same_bits_after_every_stage(ranks, how):
    first, second = (rank[how]["snapshots"] for rank in ranks)
    assert len(first) == 4
    for ours, theirs in zip(first, second, strict=True):
        assert {name: bits(value) for name, value in ours.items()} == {
            name: bits(value) for name, value in theirs.items()
        }


@pytest.mark.parametrize("how", ["replicated", "sharded"])
def test_exactly_one_stages_thresholds_move_with_weight_decay_for_all(ranks, how):
    names, snapshots = ranks[0][how]["names"], ranks[0][how]["snapshots"]
    assert names == [["6.threshold"], ["4.threshold"], ["2.threshold"]]
    for trained, (before, after) in zip(names, pairwise(snapshots), strict=True):
        moved = {name for name in before if bits(before[name]) != bits(after[name])}
        assert moved == set(trained)
