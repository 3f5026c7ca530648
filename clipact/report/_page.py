"""A self-contained HTML page: text, tables and pictures in one file, nothing loaded from elsewhere."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, final

from clipact._version import __version__
from clipact.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@final
@dataclass(frozen=True)
class Table:
    """Cells of text under a header.

    Attributes:
        header: One title a column.
        rows: Cells, each row as long as the header.

    Raises:
        ValueError: A row of another length.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        odd = [row for row in self.rows if len(row) != len(self.header)]
        if odd:
            raise ValueError(
                f"a row has {len(odd[0])} cells under a header of {len(self.header)}: {list(odd[0])}"
            )


@final
@dataclass(frozen=True)
class Section:
    """A heading with what belongs under it.

    Attributes:
        title: Heading.
        text: One paragraph.
        figures: Matplotlib figures, drawn inline as SVG.
        tables: Tables.
    """

    title: str
    text: str = ""
    figures: Sequence["Figure"] = field(default=())
    tables: Sequence[Table] = field(default=())


def write_page(
    path: str | os.PathLike[str], title: str, lead: str, sections: Sequence[Section]
) -> Path:
    """Write a page, whole or not at all.

    Everything that comes from a model or data, layer names included, is escaped.

    Args:
        path: The file to write; its folder is made if needed.
        title: Title of the page.
        lead: Its first paragraph.
        sections: What follows.

    Returns:
        The path written.

    Raises:
        MissingExtraError: Jinja is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - optional
        from markupsafe import Markup  # noqa: PLC0415 - optional, comes with Jinja
    except ImportError:
        raise MissingExtraError("a report needs Jinja: pip install 'clipact[report]'") from None
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(
        files("clipact.report").joinpath("_page.html").read_text("utf-8")
    )
    drawn = [
        {
            "title": section.title,
            "text": section.text,
            "figures": [Markup(svg(figure)) for figure in section.figures],
            "tables": section.tables,
        }
        for section in sections
    ]
    footer = f"Written by clipact {__version__}."
    return _write(
        Path(path), template.render(title=title, lead=lead, sections=drawn, footer=footer)
    )


def svg(figure: "Figure") -> str:
    """A figure as an ``<svg>`` element, the same for the same figure."""
    import matplotlib as mpl  # noqa: PLC0415 - optional, and slow to import

    buffer = StringIO()
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "clipact"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _write(path: Path, text: str) -> Path:
    if path.is_dir():
        raise IsADirectoryError(
            f"{path} is a folder; name the file to write, such as {path / 'index.html'}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path
