"""Protections of trained networks under the same faults: tables and a picture for docs/guide/compare.md.

    python benchmarks/resilience.py                                  # everything, at the size of the tables in the guide
    python benchmarks/resilience.py --nets vgg --formats q15.16      # a part of it
    python benchmarks/resilience.py --images 10000 --trials 1000 --device cuda --train-images 45000   # at full size

Networks are trained, thresholds set and trials run once; a run that was stopped, also by ``--seconds``, goes on where
it was. The tables are written from what there is. How long it takes is written beside each table.
"""

import argparse
import datetime
import itertools
import time
from dataclasses import replace
from pathlib import Path

import torch
from _measure import machine
from _resilience import Bench, Scale, Setting, Way, short
from _resilience_tables import accuracy_table, differences_table, methods_table, one_curve
from _subjects import SUBJECTS
from torch import nn

import clipact as ca
from clipact import faults
from clipact.methods import (
    BudgetedPercentile,
    ClipToMean,
    ClipToZero,
    FaultTuned,
    FitAct,
    FTClipAct,
    ProAct,
    Ranger,
    RelativeSlope,
)
from clipact.training import Descent

GUIDE = Path(__file__).parents[1] / "docs" / "guide"
LAYERS = (*ca.ACTIVATIONS, nn.Linear, nn.Conv2d)
RATES = [1e-7, 5e-7, 1e-6, 1e-5, 2e-5, 3e-5, 1e-4]
INT8_RATES = [1e-6, 1e-5, 1e-4, 1e-3]  # where they matter
FORMATS = {"q15.16": faults.FixedPoint(32, 16), "fp32": faults.Native(), "int8": faults.Int8()}
FIT_ACT_EPOCHS = 20  # the paper has 100
OTHER = 1  # searches by fault injection meet other faults than the campaigns, whose seed is 0 by default
SHORT = Descent(rate=1e-2, epochs=10, warmup=5)
PICTURE = ("vgg", "q15.16")
DRAWN = ("none", "ranger", "zero", "ftclipact", "fitact", "proact", "budget", "tuned")
BASELINES = {"vit": "zero"}  # the others: ProAct

GUARDED = {"granularity": "channel", "output_guard": True}
WAYS = {
    "none": Way("none", None),
    "ranger": Way("Ranger", Ranger()),
    "zero": Way("ClipToZero", ClipToZero()),
    "ftclipact": Way("FTClipAct", FTClipAct(seed=OTHER), validate=200),
    "fitact": Way("FitAct", FitAct(descent=replace(FitAct().descent, epochs=FIT_ACT_EPOCHS))),
    "proact": Way("ProAct", ProAct()),
    "zero-channel": Way("ClipToZero, channel", ClipToZero(granularity="channel")),
    "zero-channel-guard": Way("ClipToZero, channel, output guard", ClipToZero(**GUARDED)),
    "budget": Way("BudgetedPercentile, channel, output guard", BudgetedPercentile(**GUARDED)),
    "proact-channel": Way(
        "ProAct, channel, relative slope, output guard",
        ProAct(slope=RelativeSlope(), vector=SHORT, **GUARDED),
    ),
    "mean": Way("ClipToMean, channel, output guard", ClipToMean(**GUARDED)),
    "tuned": Way(
        "FaultTuned, channel, output guard", FaultTuned(samples=200, seed=OTHER, **GUARDED)
    ),
}
TRANSFORMER_WAYS = {
    "none": WAYS["none"],
    "ranger": Way("Ranger, GELU only", Ranger()),
    "zero": Way("ClipToZero, GELU only", ClipToZero()),
    "ranger-layers": Way("Ranger, GELU and every layer", Ranger(), LAYERS),
    "zero-layers": Way("ClipToZero, GELU and every layer", ClipToZero(), LAYERS),
    "zero-layers-guard": Way(
        "ClipToZero, GELU and every layer, output guard", ClipToZero(output_guard=True), LAYERS
    ),
    "mean-layers": Way(
        "ClipToMean, GELU and every layer, output guard", ClipToMean(**GUARDED), LAYERS
    ),
}


def ways_of(net):
    return TRANSFORMER_WAYS if net == "vit" else WAYS


def measure(bench, ways, setting, rates, deadline):
    """Rate by rate, so that what is stopped early has every method at some rates."""
    found = {key: {} for key in ways}
    for rate in rates:
        for key, way in ways.items():
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            result = bench.campaign(key, way, setting, rate, left)
            if result is not None and len(result):
                found[key][rate] = result
                if left != 0.0:
                    mean = result.summary().rows[0].means["accuracy"].estimate
                    print(
                        f"{bench.net} {setting} {short(rate)} {way.title}: {100 * mean:.1f} %, {len(result)} trials",
                        flush=True,
                    )
    return {key: results for key, results in found.items() if results}


def page(bench, ways, setting, found, baseline):
    """The tables of one network in one format, with what they were made of."""
    same = not setting.thresholds
    parts = [about(bench, found), accuracy_table(found, ways)]
    if baseline in found:
        parts.append(differences_table(found, ways, baseline, same_faults=same))
    return "\n\n".join(parts) + "\n"


def about(bench, found):
    results = [result for by_rate in found.values() for result in by_rate.values()]
    trials = sorted({len(result) for result in results})
    spread = f"{trials[0]}" if len(trials) == 1 else f"{trials[0]}–{trials[-1]}"
    seconds = sum(float(result.columns.seconds.sum()) for result in results)
    return (
        f"{SUBJECTS[bench.net].title} on {bench.data.name}, faults in {results[-1].description}; {spread} trials of"
        f" {bench.scale.images} test images a cell, {seconds / 60:.0f} minutes of trials. Mean accuracy in percent with its 95 %"
        f" interval by bit error rate; below, the difference in points, trial by trial. {machine(torch.device(bench.scale.device))},"
        f" 1 thread beside other work, torch {torch.__version__.split('+')[0]}, {datetime.date.today()}."
    )


def draw(net, setting, found, ways, path):
    drawn = {key: results for key, results in found.items() if key in DRAWN}
    curves = {ways[key].title: one_curve(results) for key, results in drawn.items()}
    title = f"{SUBJECTS[net].title}, {setting.name}: accuracy against bit error rate"
    figure = ca.report.accuracy_vs_ber(curves, title=title)
    figure.savefig(path, metadata={"Date": None})


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--nets", nargs="+", choices=SUBJECTS, default=["vgg", "vit", "cnn", "resnet"]
    )
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--rates", nargs="+", type=float, help="of the guide by default")
    parser.add_argument("--methods", nargs="+", help="all by default")
    parser.add_argument("--thresholds", choices=["out", "in", "both"], default="both", help="of the fault space")  # fmt: skip
    parser.add_argument("--images", type=int, default=Scale.images, help="test images a trial")
    parser.add_argument("--trials", type=int, default=Scale.trials[1], help="at most, a rate")
    parser.add_argument("--half-width", type=float, default=Scale.half_width)
    parser.add_argument("--train-images", type=int, default=Scale.train)
    parser.add_argument("--validate-images", type=int, default=Scale.validate)
    parser.add_argument("--batch", type=int, default=Scale.batch, help="images a step of training")
    parser.add_argument("--device", default=Scale.device)
    parser.add_argument("--seed", type=int, default=Scale.seed)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="then write what there is")  # fmt: skip
    parser.add_argument("--write", type=Path, default=GUIDE, help="folder of tables and picture")
    return parser.parse_args()


def main():
    options = arguments()
    torch.set_num_threads(1)
    scale = Scale(
        images=options.images,
        trials=(min(100, options.trials), options.trials),
        half_width=options.half_width,
        train=options.train_images,
        validate=options.validate_images,
        batch=options.batch,
        device=options.device,
        seed=options.seed,
    )
    deadline = None if options.seconds == float("inf") else time.monotonic() + options.seconds
    inside = {"out": [False], "in": [True], "both": [False, True]}[options.thresholds]
    for net in options.nets:
        bench, ways = Bench.of(net, scale), ways_of(net)
        ways = {key: way for key, way in ways.items() if key in (options.methods or ways)}
        for name, thresholds in itertools.product(options.formats, inside):
            setting = Setting(name, FORMATS[name], thresholds)
            rates = options.rates or (INT8_RATES if name == "int8" else RATES)
            found = measure(bench, ways, setting, rates, deadline)
            if found:
                write(bench, ways, setting, found, options.write)


def write(bench, ways, setting, found, folder):
    text = page(bench, ways, setting, found, BASELINES.get(bench.net, "proact"))
    (folder / f"_resilience_{bench.net}_{setting}.md").write_text(text)
    methods = methods_table(bench, ways) + "\n"
    (folder / f"_resilience_{bench.net}_methods.md").write_text(methods)
    print(methods, text, sep="\n")
    if (bench.net, str(setting)) == PICTURE:
        draw(bench.net, setting, found, ways, folder / "resilience.svg")


if __name__ == "__main__":
    main()
