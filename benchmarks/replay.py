"""Single-bit weight faults on a ResNet-18 take 1/10.8 of a full inference each when golden values are replayed, 1/3.2 uniform over layers.

64 images of 64x64, one thread, processor time; every trial is run in full and replayed, and its outputs are compared bit
for bit. Run it as `python benchmarks/replay.py`.
"""

import argparse
import random
import statistics
import time

import torch
import torchvision
from _measure import machine
from torch import nn

from clipact.faults import Weights
from clipact.faults._memory._storage import storage_words
from clipact.faults._replay import Cause, record


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = (
            nn.GRU(64, 64, batch_first=True),
            nn.GRU(64, 128, batch_first=True),
            nn.GRU(128, 128, batch_first=True),
        )
        self.head = nn.Linear(128, 10)

    def forward(self, x):
        for layer in (self.first, self.second, self.third):
            x, _ = layer(x)
        return self.head(x[:, -1])


def resnet():
    return torchvision.models.resnet18(), torch.randn(64, 3, 64, 64)


def vit():
    model = torchvision.models.VisionTransformer(
        image_size=64, patch_size=8, num_layers=6, num_heads=3, hidden_dim=192, mlp_dim=768
    )
    nn.init.normal_(model.heads.head.weight, std=0.02)
    return model, torch.randn(16, 3, 64, 64)


def gru():
    return Recurrent(), torch.randn(64, 50, 64)


SUBJECTS = {"ResNet-18": resnet, "ViT, 6 blocks": vit, "GRU, 3 layers": gru}


class Trials:
    """A recorded model, and single-bit faults in its weights."""

    def __init__(self, make, *, dirty_only):
        torch.manual_seed(0)
        model, self.batch = make()
        self.model, self.output = model.eval(), torch.empty(0)
        self.tensors = Weights().tensors(self.model)
        self.sizes = [item.tensor.numel() for item in self.tensors]
        weights = {Cause(frozenset({n})): float(size) for n, size in enumerate(self.sizes)}
        self.run()
        clean = statistics.median(self.timed() for _ in range(5))
        start = time.process_time()
        self.recording = record(self.model, self.run, self.tensors, weights=weights)
        if dirty_only:
            self.recording.narrow(self.run)
        self.cost = (time.process_time() - start) / clean

    def run(self):
        with torch.no_grad():
            self.output = self.model(self.batch)

    def timed(self):
        start = time.process_time()
        self.run()
        return time.process_time() - start

    def flip(self, tensor, index, bit):
        with torch.no_grad():
            storage_words(self.tensors[tensor].tensor)[index] ^= (
                1 << bit if bit < 31 else -(1 << 31)
            )

    def trial(self, draw, uniform):
        """Seconds in full, seconds replayed, whether the outputs differ, whether the outcome was golden."""
        places = range(len(self.sizes))
        tensor = (
            draw.choices(places, self.sizes)[0] if uniform == "weights" else draw.choice(places)
        )
        index, bit = draw.randrange(self.sizes[tensor]), draw.randrange(32)
        row = index // max(1, self.tensors[tensor].tensor.shape[1:].numel())
        self.flip(tensor, index, bit)
        full, expected = self.timed(), self.output
        start = time.process_time()
        with self.recording.replaying([tensor], rows={tensor: [row]}) as replay:
            self.run()
        fast = time.process_time() - start
        self.flip(tensor, index, bit)
        same = torch.equal(expected.view(torch.int32), self.output.view(torch.int32))
        return full, fast, not (same and replay.valid), replay.golden


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--dirty-only", action="store_true", help="as run(dirty_only=True)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{machine(torch.device('cpu'))}, 1 thread, torch {torch.__version__}")
    for name, make in SUBJECTS.items():
        trials = Trials(make, dirty_only=arguments.dirty_only)
        memory = trials.recording.nbytes / 2**20
        print(f"{name}: recorded in {trials.cost:.1f} inferences, {memory:.0f} MiB")
        for uniform in ("weights", "layers"):
            draw = random.Random(0)
            rows = [trials.trial(draw, uniform) for _ in range(arguments.trials)]
            full, fast, differ, golden = (sum(column) for column in zip(*rows, strict=True))
            print(
                f"  uniform over {uniform}: {full / fast:.1f} times as fast, {differ} of {len(rows)} outputs differ,"
                f" {golden} golden"
            )


if __name__ == "__main__":
    main()
