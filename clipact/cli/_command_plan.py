"""``clipact plan``."""

import argparse
from typing import TYPE_CHECKING

from clipact.cli._arguments import Commands, not_negative, pair, proportion, rates, words

if TYPE_CHECKING:
    from torch import nn

    from clipact.faults import Campaign
    from clipact.report import Table


def add(commands: Commands) -> None:
    """Say what its arguments are."""
    plan = commands.add_parser(
        "plan",
        help="how many trials a campaign takes, and how long",
        description="Count the bits that faults may fall on, tensor by tensor, say how many single faults it takes to know a "
        "failure rate, how many flips each bit error rate gives, and, for a campaign, how long that takes, from a short run.",
    )
    plan.add_argument(
        "--model",
        required=True,
        metavar="torchvision:resnet18 | file.py:name",
        help="a model of torchvision, or a module, a faults.Campaign, or a function without arguments that returns one",
    )
    plan.add_argument(
        "--target",
        type=words,
        default=["weights"],
        help="where faults may fall: weights, biases, buffers, thresholds, with commas between (weights); a campaign has its own",
    )
    plan.add_argument(
        "--fixed-point",
        type=pair,
        metavar="bits,fraction",
        help="flip bits of this fixed-point format, as 32,16 (the bits in memory); a campaign has its own",
    )
    plan.add_argument(
        "--rates", type=rates, default=[], help="bit error rates, with commas between, as 1e-9,1e-7"
    )
    plan.add_argument(
        "--margin", type=proportion, default=0.01, help="half width of the interval (0.01)"
    )
    plan.add_argument("--confidence", type=proportion, default=0.95, help="of the interval (0.95)")
    plan.add_argument(
        "--probe",
        type=not_negative,
        default=10.0,
        metavar="s",
        help="try a campaign for so many seconds (10)",
    )
    plan.set_defaults(command=_run)


def _run(arguments: argparse.Namespace) -> None:
    from clipact.cli._models import model_or_campaign  # noqa: PLC0415 - slow imports wait until arguments are understood
    from clipact.faults import Campaign  # noqa: PLC0415 - as above

    found = model_or_campaign(arguments.model)
    if isinstance(found, Campaign):
        _campaign(arguments, found)
    else:
        _model(arguments, found)


def _model(arguments: argparse.Namespace, model: "nn.Module") -> None:
    """Bits by tensor, sample sizes, rates."""
    from clipact.cli._models import target  # noqa: PLC0415 - as above
    from clipact.cli._planning import tensor_table, tensors  # noqa: PLC0415 - as above
    from clipact.faults import FixedPoint, Native  # noqa: PLC0415 - as above

    where, fixed = target(arguments.target), arguments.fixed_point
    number_format = Native() if fixed is None else FixedPoint(*fixed)
    parts = tensors(model, where, number_format)
    print(f"{where} in {number_format}")
    _print(tensor_table(parts, arguments.margin, arguments.confidence))
    print(
        "uniform: how many of the faults fall on a tensor if all bits are alike; each: how many it takes to know every tensor"
        " by itself"
    )
    _sizes_and_rates(arguments, sum(part.bits for part in parts))


def _campaign(arguments: argparse.Namespace, campaign: "Campaign") -> None:
    """Bits, sample sizes, rates, and time from a short run."""
    from clipact.cli._planning import probe, time_table  # noqa: PLC0415 - as above
    from clipact.faults import sample_size  # noqa: PLC0415 - as above

    tried = probe(campaign, arguments.probe)
    print(tried.description)
    bits = tried.population
    _sizes_and_rates(arguments, bits)
    single = sample_size(bits, margin=arguments.margin, confidence=arguments.confidence)
    _print(time_table(tried, sorted({1000, single})))
    print("one after the other in one process; the golden run and loading come on top")


def _sizes_and_rates(arguments: argparse.Namespace, bits: int) -> None:
    from clipact.cli._planning import rate_table, size_table, warnings  # noqa: PLC0415 - as above

    margins = sorted({0.05, 0.01, arguments.margin}, reverse=True)
    _print(size_table(bits, margins, sorted({0.95, 0.99, arguments.confidence})))
    if arguments.rates:
        _print(rate_table(bits, arguments.rates))
    for line in warnings(bits, arguments.rates):
        print(f"warning: {line}")


def _print(table: "Table") -> None:
    from clipact._text import aligned  # noqa: PLC0415 - as above

    print(f"\n{aligned(table.header, table.rows)}")
