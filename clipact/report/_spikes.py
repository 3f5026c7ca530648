"""Pictures of what a spiking network sends, and what that costs."""

from typing import TYPE_CHECKING

import torch

from clipact.errors import SpikingError
from clipact.report._style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    label,
    legend,
    picture,
    shortened,
    verbatim,
)
from clipact.spiking import EnergyReport, SpikeMeter

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["energy_by_layer", "spike_raster", "spike_rates"]


def spike_raster(meter: SpikeMeter, layer: str, *, neurons: int = 200) -> "Figure":
    """Draw a dot for every spike of the samples that a meter kept: neurons upwards, calls (time steps, batches) to the right.

    Args:
        meter: It has counted.
        layer: Which spiking layer.
        neurons: At most so many, spread evenly over the layer.

    Returns:
        A matplotlib figure.

    Raises:
        KeyError: The layer has not run.
        SpikingError: The meter kept no samples.
        MissingExtraError: matplotlib is not installed.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(4, 20), nn.BatchNorm1d(20), nn.ReLU(), nn.Linear(20, 2))
        >>> from clipact.spiking import to_spiking_
        >>> snn = to_spiking_(model, example=torch.randn(2, 4))
        >>> with SpikeMeter(snn, keep=8) as meter:
        ...     _ = snn(torch.randn(8, 4))
        >>> spike_raster(meter, "2").get_axes()[0].get_xlabel()
        'call and sample'
    """
    found = meter.raster(layer).cpu()
    chosen = torch.linspace(0, found.shape[1] - 1, min(neurons, found.shape[1])).long().unique()
    at, row = torch.nonzero(found[:, chosen], as_tuple=True)
    figure, axes = picture(height=3.6)
    axes.scatter(at.tolist(), chosen[row].tolist(), s=4, c=INK, linewidths=0)
    axes.set_xlim(-0.5, len(found) - 0.5)
    label(axes, f"Spikes of {verbatim(shortened(layer))}", "call and sample", "neuron")
    return figure


def spike_rates(meter: SpikeMeter, *, bins: int = 40) -> "Figure":
    """Draw how many channels of the network send how many spikes a neuron; dead ones stand at 0.

    Args:
        meter: It has counted.
        bins: Of the histogram.

    Returns:
        A matplotlib figure.

    Raises:
        SpikingError: No spiking layer has run.
        MissingExtraError: matplotlib is not installed.
    """
    table = meter.table()
    if not sum(row.values for row in table):
        raise SpikingError("no spiking layer has run inside the meter, so there is nothing to draw")
    rates = torch.cat([meter.rates(row.name).flatten().cpu() for row in table if row.values])
    figure, axes = picture(height=3.6)
    axes.hist(rates.tolist(), bins=bins, color=BLUE)
    axes.axvline(table.rate, color=ORANGE, linewidth=1.5, label=f"all neurons: {table.rate:.3f}")
    dead, on = (sum(getattr(row, what) for row in table) for what in ("dead", "always_on"))
    label(
        axes,
        f"Channels by spike rate ({dead} of {len(rates)} dead, {on} always on)",
        "spikes a neuron and inference",
        "channels",
    )
    legend(axes)
    return figure


def energy_by_layer(report: EnergyReport) -> "Figure":
    """Draw the energy of every layer beside that of the same layer behind a ReLU, computation only.

    Args:
        report: Of :func:`clipact.spiking.energy_report`.

    Returns:
        A matplotlib figure.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    layers = report.layers
    figure, axes = picture(height=1.4 + 0.34 * len(layers))
    places = range(len(layers))
    names = [verbatim(shortened(layer.name)) for layer in layers]
    axes.barh(
        [p - 0.2 for p in places],
        [x.relu / 1e3 for x in layers],
        0.38,
        color=GREY,
        label="ReLU, no zero skipped",
    )
    axes.barh(
        [p + 0.2 for p in places],
        [x.compute / 1e3 for x in layers],
        0.38,
        color=BLUE,
        label="as it is",
    )
    axes.set_yticks(list(places), names)
    axes.invert_yaxis()
    label(
        axes,
        f"Energy of an inference: {report.ratio:.1f} times less than with ReLU ({report.costs.name}, compute only)",
        "nJ",
        "",
    )
    legend(axes)
    return figure
