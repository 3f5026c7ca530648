"""How every picture looks: colours, text, axes."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from clipact.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# A page replaces these by its own colours, so that pictures follow light and dark.
INK = "#1c2430"
SOFT = "#5b6675"
LINE = "#d9dee5"
PAPER = "#ffffff"

# Okabe and Ito (2008): apart for colour-blind readers and in grey print.
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PINK, GREY = "#56B4E9", "#CC79A7", "#9aa4b1"
CURVES = (INK, ORANGE, BLUE, GREEN, PINK, RED, SKY, "#F0E442")
MARKERS = "osD^vPX*"

_LONGEST = 46  # characters of a name


def picture(height: float, width: float = 8.0) -> tuple["Figure", "Axes"]:
    """An empty figure of this size in inches, and its axes; pyplot is left alone.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - optional, and slow to import
    except ImportError:
        raise MissingExtraError("pictures need matplotlib: pip install 'clipact[report]'") from None
    figure = Figure(figsize=(width, height), layout="constrained", facecolor=PAPER)
    axes = figure.add_subplot(facecolor="none")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(SOFT)
    axes.tick_params(colors=SOFT, labelcolor=INK, labelsize=9)
    axes.set_axisbelow(True)
    return figure, axes


def label(axes: "Axes", title: str, x: str, y: str, *, above: int = 0) -> None:
    """Say what is seen, and what the axes are; ``above`` points stay free under the title."""
    axes.set_title(title, loc="left", color=INK, fontsize=11.5, pad=10 + above)
    axes.set_xlabel(x, color=SOFT, fontsize=9.5)
    axes.set_ylabel(y, color=SOFT, fontsize=9.5)


def legend(axes: "Axes") -> None:
    """A legend without a frame, in the text's colour."""
    axes.legend(frameon=False, labelcolor=INK, fontsize=9)


def logarithmic(axes: "Axes", which: str) -> None:
    """An axis ("x" or "y") in decades, with numbers as people write them."""
    from matplotlib import ticker  # noqa: PLC0415 - optional, and slow to import

    axis = {"x": axes.xaxis, "y": axes.yaxis}[which]
    axes.set(**{f"{which}scale": "log"})
    axis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(ticker.StrMethodFormatter("{x:,.10g}"))
    axis.set_minor_formatter(ticker.NullFormatter())


def verbatim(name: str) -> str:
    r"""A name as text of a picture: no mathematics in dollars, no hiding behind a leading underscore.

    Examples:
        >>> verbatim("_a$b")
        ' _a\\$b'
    """
    shown = name.replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def shortened(name: str) -> str:
    """A name that fits beside an axis: a long one loses its beginning, which many have in common.

    Examples:
        >>> shortened("encoder.layers.encoder_layer_11.self_attention.out_proj.weight")
        '…coder_layer_11.self_attention.out_proj.weight'
    """
    return name if len(name) <= _LONGEST else f"…{name[1 - _LONGEST :]}"


def percent(share: float) -> str:
    """A share in percent, with the digits that matter.

    Examples:
        >>> percent(0.5), percent(0.0312), percent(0.00041), percent(0.0), percent(1.0)
        ('50.0 %', '3.1 %', '0.041 %', '0 %', '100 %')
    """
    value = 100.0 * share
    if value == 0.0 or value >= 99.95:
        return f"{value:.0f} %"
    return f"{value:.1f} %" if value >= 1.0 else f"{value:.2g} %"


def spread(counts: Iterable[int]) -> str:
    """A number, or the least and the greatest of several.

    Examples:
        >>> spread([1000, 1000]), spread([97, 100, 98])
        ('1,000', '97 to 100')
    """
    ends = sorted(set(counts))
    return f"{ends[0]:,}" if len(ends) == 1 else f"{ends[0]:,} to {ends[-1]:,}"
