"""How often intervals hold the truth: of rates clustered by trial, and of campaigns that stop when they are precise.

Trials are drawn from known distributions; no model runs. The first table has rates over the images of many trials: the
share of 95 % intervals that hold the truth for `pooled_rate`, for the bootstrap over trials, and for Wilson's interval over all
images, which takes those of one trial as independent. The second has campaigns with `Precision`: the share that hold
the truth when they stop, beside that of campaigns with as many trials fixed before.

    python benchmarks/intervals.py

Takes two to three minutes of one CPU core.
"""

import argparse

import numpy as np

from clipact import faults
from clipact.faults._numbers._statistics import bootstrap_mean
from clipact.faults._numbers._stopping import Watch

IMAGES = 500
MOST = 20_000  # trials of a campaign

TRIALS = {
    "every trial spoils a few": (1.0, 2, 20),
    "one trial in 5 spoils some": (0.2, 0.5, 0.5),
    "one trial in 20 spoils some": (0.05, 0.5, 0.5),
    "one trial in 100 spoils some": (0.01, 0.5, 0.5),
}


def shares(generator, kind, trials):
    """Of each trial, the share of images that it spoils, if there were endlessly many."""
    hit, a, b = TRIALS[kind]
    return np.where(generator.random(trials) < hit, generator.beta(a, b, trials), 0.0)


def pooled(kind, trials, campaigns):
    """Coverage of three intervals of the rate over all images."""
    generator = np.random.default_rng(0)
    hit, a, b = TRIALS[kind]
    known = hit * a / (a + b)
    covered = np.zeros(3)
    for _ in range(campaigns):
        events = generator.binomial(IMAGES, shares(generator, kind, trials))
        found, boot = faults.pooled_rate(events / IMAGES), bootstrap_mean(events / IMAGES)
        naive = faults.wilson(int(events.sum()), IMAGES * trials)
        covered += [
            low <= known <= high
            for low, high in ((found.low, found.high), (boot.low, boot.high), naive)
        ]
    return covered / campaigns


def stopped(draw, known, half_width, campaigns):
    """Coverage where campaigns stop by themselves, mean number of trials, coverage with that many fixed before."""
    stop = faults.Precision(half_width=half_width)
    every = np.arange(MOST)
    sampler = faults.Uniform().prepare(faults.BitFlip(count=1), [], 0, MOST)
    generator = np.random.default_rng(0)
    sizes, covered, fixed = [], 0, 0
    for _ in range(campaigns):
        values = draw(generator, MOST)
        enough = Watch(stop, sampler).enough(every, every, values)
        sizes.append(MOST if enough is None else enough.size)
        found = faults.pooled_rate(values[: sizes[-1]])
        covered += found.low <= known <= found.high
    size = round(np.mean(sizes))
    for _ in range(campaigns):
        found = faults.pooled_rate(draw(generator, size))
        fixed += found.low <= known <= found.high
    return covered / campaigns, size, fixed / campaigns


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--campaigns", type=int, default=400)
    campaigns = parser.parse_args().campaigns
    print(f"{campaigns} campaigns of each kind; 95 % intervals that hold the truth\n")
    print(f"{'':30}{'trials':>7}{'pooled_rate':>13}{'bootstrap':>11}{'Wilson over images':>20}")
    for kind in TRIALS:
        for trials in (30, 100, 1000):
            one, two, three = 100 * pooled(kind, trials, campaigns)
            print(f"{kind:30}{trials:7}{one:11.1f} %{two:9.1f} %{three:18.1f} %", flush=True)
    print(f"\n{'':30}{'half width':>11}{'stopped':>10}{'trials':>8}{'fixed':>9}")
    kinds = {
        f"{100 * p:g} % of the trials fail": (lambda g, n, p=p: (g.random(n) < p) * 1.0, p)
        for p in (0.01, 0.05, 0.2)
    } | {
        kind: (lambda g, n, kind=kind: shares(g, kind, n), hit * a / (a + b))
        for kind, (hit, a, b) in TRIALS.items()
    }
    for kind, (draw, known) in kinds.items():
        for half_width in (0.01, 0.02):
            covered, size, fixed = stopped(draw, known, half_width, campaigns)
            print(
                f"{kind:30}{half_width:11g}{100 * covered:8.1f} %{size:8,}{100 * fixed:7.1f} %",
                flush=True,
            )


if __name__ == "__main__":
    main()
