import random
from contextlib import ExitStack

import numpy as np
import pytest
import torch
from torch.utils import _pytree as pytree

from clipact.faults._memory._state import Buffers
from clipact.faults._memory._storage import storage_positions, storage_words
from clipact.faults._replay import Cause, _record, record
from clipact.faults._replay._standins import StandIn


def same(one, other):
    """Whether two nested values are alike to the last bit."""
    left, right = pytree.tree_leaves(one), pytree.tree_leaves(other)
    return len(left) == len(right) and all(map(_same, left, right))


def _same(a, b):
    if not isinstance(a, torch.Tensor):
        return type(a) is type(b) and a == b
    if (a.dtype, a.shape, a.stride()) != (b.dtype, b.shape, b.stride()):
        return False
    return torch.equal(*(t.contiguous().reshape(-1).view(torch.uint8) for t in (a, b)))


class Bench:
    """A model and its data: recorded once, then compared with and without replay, fault by fault."""

    def __init__(self, model, batches, *, target=None, around=(torch.no_grad,), evaluate=None):
        self.model, self.batches, self.around = model.eval(), list(batches), around
        self.tensors = [] if target is None else target.tensors(model)
        self.evaluate = evaluate or (lambda net, batch: net(batch.clone()))
        self.outputs = None

    def run(self):
        with ExitStack() as stack:
            for enter in self.around:
                stack.enter_context(enter())
            given = [self.evaluate(self.model, batch) for batch in self.batches]
            self.outputs = pytree.tree_map_only(torch.Tensor, torch.clone, given)

    def record(self, **options):
        options.setdefault(
            "weights", {Cause(frozenset({n})): 1.0 for n in range(len(self.tensors))}
        )
        buffers = Buffers(self.model)

        def run():
            with buffers.kept():
                self.run()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_record, "_LEAST", -1.0)  # small models take no time that could be saved
            self.recording = record(self.model, run, self.tensors, **options)
        return self.recording

    def measured(self):
        """What the model gives now, or how it fails; buffers are put back."""
        buffers = Buffers(self.model)
        try:
            with buffers.kept():
                self.run()
        except (RuntimeError, ValueError, IndexError, AssertionError) as error:
            return repr(error)
        return self.outputs

    def trial(self, hits, **options):
        """Outputs in full and replayed, for hits ``(tensor, index, bit)``, and what replay said."""
        rows = {}
        for tensor, index, _ in hits:
            shape = self.tensors[tensor].tensor.shape
            width = max(1, shape[1:].numel()) if shape else 1
            rows.setdefault(tensor, set()).add(index // width)
        options.setdefault("rows", rows)
        self._flip(hits)
        try:
            full = self.measured()
            with self.recording.replaying([hit[0] for hit in hits], **options) as replay:
                fast = self.measured()
        finally:
            self._flip(hits)
        return full, fast, replay

    def check(self, trials=30, seed=0):
        """Compare random trials, all tensors in turn; how many calls were skipped, masked and how many trials golden."""
        assert self.recording.reason is None
        draw = random.Random(seed)
        golden = self.measured()
        skipped = masked = unharmed = 0
        for number in range(trials):
            hits = [self._hit(draw, None) for _ in range(draw.choice([0, 0, 0, 1, 2]))]
            hits.append(self._hit(draw, number * max(1, len(self.tensors) // trials)))
            full, fast, replay = self.trial(list(dict.fromkeys(hits)))
            assert replay.valid
            assert replay.diverged is None
            assert same(full, fast), [(self.tensors[t].name, i, b) for t, i, b in hits]
            if replay.golden:
                assert same(full, golden)
            skipped, masked = skipped + replay.skipped, masked + replay.masked
            unharmed += replay.golden
        assert same(self.measured(), golden)
        assert not any(isinstance(m.__dict__.get("forward"), StandIn) for m in self.model.modules())
        return skipped, masked, unharmed

    def _hit(self, draw, tensor):
        tensor = draw.randrange(len(self.tensors)) if tensor is None else tensor % len(self.tensors)
        found = self.tensors[tensor].tensor
        return tensor, draw.randrange(found.numel()), draw.randrange(8 * found.element_size())

    def _flip(self, hits):
        for tensor, index, bit in hits:
            found = self.tensors[tensor].tensor
            words = storage_words(found)
            at = int(storage_positions(found, np.array([index]))[0])
            width = 8 * words.element_size()
            mask = 1 << bit
            if bit == width - 1 and words.dtype is not torch.uint8:
                mask -= 1 << width
            words[at] ^= mask
        torch.clear_autocast_cache()


@pytest.fixture
def bench():
    return Bench


@pytest.fixture
def identical():
    """A function: whether two nested values are alike to the last bit."""
    return same
