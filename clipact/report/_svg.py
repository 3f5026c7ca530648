"""Figures as SVG elements, with hints and in the colours of the page."""

import re
from io import StringIO
from typing import TYPE_CHECKING

from clipact.report._style import INK, LINE, PAPER, SOFT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MARK = "hover:"
_HINTED = re.compile(rf'<g id="{_MARK}([^"]*)">')
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_ID = re.compile(r'\b(id="|href="#|url\(#)')

# Black text and white ground are what figures have that were not drawn here.
_COLOURS = {
    INK: "ink",
    SOFT: "soft",
    LINE: "line",
    PAPER: "paper",
    "#000000": "ink",
}
_COLOUR = re.compile(rf"(fill|stroke): ({'|'.join(_COLOURS)})\b")


def hover(text: str) -> str:
    """An id (``artist.set_gid``) that :func:`svg` makes a hint: text that shows when the pointer rests there."""
    return _MARK + text.replace('"', "'")  # then the id stands in double quotes


def svg(figure: "Figure") -> str:
    """A figure as an ``<svg>`` element, the same for the same figure."""
    import matplotlib as mpl  # noqa: PLC0415 - optional, and slow to import

    buffer = StringIO()
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "clipact"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return _HINTED.sub(r"<g><title>\1</title>", text[text.index("<svg") :])


def in_page(text: str, place: int) -> str:
    """An ``<svg>`` element for a page: its ids are its own, and its ink and ground those of the page, light or dark.

    Args:
        text: From :func:`svg`.
        place: Of the figure among those of the page.
    """
    own = _ID.sub(rf"\g<1>f{place}-", _METADATA.sub("", text))
    return _COLOUR.sub(lambda found: f"{found[1]}: var(--{_COLOURS[found[2]]})", own)


def title_of(figure: "Figure") -> str:
    """What a figure says it shows; empty if it has no title."""
    titles = [axes.get_title(loc) for axes in figure.axes for loc in ("left", "center", "right")]
    return next((title.replace(r"\$", "$") for title in titles if title), "")
