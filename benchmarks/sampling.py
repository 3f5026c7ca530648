"""How many uniform trials a stratified one is worth, and whether its intervals hold, on a CNN whose every bit is known.

A small CNN is trained on scikit-learn's digits; then each bit of its weights is flipped by itself, which gives the truth.
Campaigns are drawn from that: no model runs any more, so that hundreds of them take a minute. For each way of sampling it prints

- worth: variance of the mean of uniform trials over the mean squared error of the estimate, both with equally many trials;
- bias: mean error over its standard deviation; the standard error of that is 1 / sqrt(campaigns);
- covered: how many of the 95 % intervals hold the truth.

    python benchmarks/sampling.py

Takes two to three minutes of one CPU core.
"""

import argparse

import numpy as np
import torch
from _measure import machine
from sklearn.datasets import load_digits
from torch import nn

from clipact import faults
from clipact.faults._hits import BitSpace

FALL = 0.02  # of accuracy, past which a fault is critical
CPU = torch.device("cpu")


def data():
    found = load_digits()
    order = torch.randperm(len(found.images), generator=torch.Generator().manual_seed(0))
    images = torch.tensor(found.images, dtype=torch.float32).unsqueeze(1)[order] / 8 - 1
    labels = torch.tensor(found.target)[order]
    return (images[:1200], labels[:1200]), (images[1200:1400], labels[1200:1400])


def trained(images, labels):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(20):
        for batch in torch.randperm(len(images)).split(100):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()
    return model.eval()


@torch.no_grad()
def truth(model, images, labels):
    """Of every bit of every weight, whether its flip is critical and the share of silent data corruptions."""

    def run():
        output = model(images)
        return output.argmax(1).masked_fill(output.isnan().any(1), -1)

    golden = run()
    accuracy = (golden == labels).float().mean().item()
    spaces, found = [], []
    for name, parameter in model.named_parameters():
        if "bias" in name:
            continue
        words = parameter.view(-1).view(torch.int32)
        outcomes = np.zeros((words.numel(), 32, 2))
        for index in range(words.numel()):
            before = words[index].clone()
            for bit in range(32):
                words[index] = before ^ torch.tensor(
                    -(2**31) if bit == 31 else 2**bit, dtype=torch.int32
                )
                top1 = run()
                fall = accuracy - (top1 == labels).float().mean().item()
                outcomes[index, bit] = fall > FALL, (top1 != golden).float().mean().item()
            words[index] = before
        spaces.append(BitSpace(name, tuple(parameter.shape), 32))
        found.append(outcomes)
    return accuracy, spaces, found


def outcomes_of(sampler, trials, table):
    values = np.empty(trials.size)
    for place, trial in enumerate(trials.tolist()):
        (hits,) = sampler.hits(trial)
        space = next(s for s, hit in enumerate(hits) if hit.index.size)
        values[place] = table[space][
            hits[space].index[0], int(hits[space].mask[0]).bit_length() - 1
        ]
    return values


def campaign(sampling, spaces, table, trials, seed):
    """The interval of one campaign."""
    sampler = sampling.prepare(faults.BitFlip(count=1), spaces, seed, trials)
    planned, values = np.empty(0, np.int64), np.empty(0)
    while (wanted := sampler.plan(planned, values)).size > planned.size:
        fresh = wanted[planned.size :]
        values = np.concatenate([values, outcomes_of(sampler, fresh, table)])
        planned = wanted
    return sampler.estimate(planned, values)


def measured(sampling, spaces, table, trials, campaigns):
    """Worth, bias and coverage."""
    every = np.concatenate([part.ravel() for part in table])
    known = every.mean()
    found = [campaign(sampling, spaces, table, trials, seed) for seed in range(campaigns)]
    errors = np.array([one.estimate for one in found]) - known
    worth = every.var() / trials / (errors**2).mean()
    covered = sum(one.low <= known <= one.high for one in found) / campaigns
    return worth, errors.mean() / errors.std(), covered


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000, help="of each campaign")
    parser.add_argument("--campaigns", type=int, default=200)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    train, test = data()
    accuracy, spaces, found = truth(trained(*train), *test)
    bits = sum(space.bits for space in spaces)
    print(f"{machine(CPU)}, torch {torch.__version__}")
    print(
        f"digits CNN, accuracy {100 * accuracy:.1f} %, {bits:,} single-bit faults, all of them known"
    )
    samplings = {
        "uniform": faults.Uniform(),
        "stratified": faults.Stratified(),
        "stratified, Neyman": faults.Stratified(allocation=faults.Allocation.NEYMAN),
    }
    for place, metric in enumerate((f"critical (accuracy falls by more than {FALL:g})", "SDC")):
        table = [part[..., place] for part in found]
        by_bit = sum(part.sum(0) for part in table)
        print(
            f"\n{metric}: {100 * sum(p.sum() for p in table) / bits:.2f} % of the faults, {100 * by_bit[30] / by_bit.sum():.0f} % of"
            f" it in bit 30, {100 * by_bit[:23].sum() / by_bit.sum():.1f} % in the mantissa;"
            f" {arguments.campaigns} campaigns of {arguments.trials:,} trials"
        )
        print(f"{'':20}{'worth':>7}{'bias':>8}{'covered':>9}")
        for name, sampling in samplings.items():
            worth, bias, covered = measured(
                sampling, spaces, table, arguments.trials, arguments.campaigns
            )
            print(f"{name:20}{worth:7.1f}{bias:+8.2f}{100 * covered:7.1f} %", flush=True)


if __name__ == "__main__":
    main()
