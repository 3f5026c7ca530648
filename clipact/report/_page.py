"""A self-contained HTML page: text, tables and pictures in one file, nothing loaded from elsewhere."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import count, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from clipact._version import __version__
from clipact.errors import MissingExtraError
from clipact.report._svg import in_page, svg, title_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_SQLITE = b"SQLite format 3\0"


@final
@dataclass(frozen=True)
class Table:
    """Cells of text under a header.

    Attributes:
        header: One title a column; not shown if all are empty.
        rows: Cells, each row as long as the header.
        prose: Whether cells are words, which begin at the left, rather than numbers.

    Raises:
        ValueError: A row of another length.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    prose: bool = False

    def __post_init__(self) -> None:
        odd = [row for row in self.rows if len(row) != len(self.header)]
        if odd:
            raise ValueError(
                f"a row has {len(odd[0])} cells under a header of {len(self.header)}: {list(odd[0])}"
            )


@final
@dataclass(frozen=True)
class Fact:
    """A number that a page opens with.

    Attributes:
        name: What it is.
        value: The number.
        note: Small print below, such as its interval.
    """

    name: str
    value: str
    note: str = ""


@final
@dataclass(frozen=True)
class Section:
    """A heading with what belongs under it.

    Attributes:
        title: Heading.
        text: One paragraph.
        figures: Matplotlib figures, drawn inline as SVG.
        tables: Tables.
        chapter: Heading of the sections that it stands among; empty for none.
    """

    title: str
    text: str = ""
    figures: Sequence["Figure"] = field(default=())
    tables: Sequence[Table] = field(default=())
    chapter: str = ""


def write_page(
    path: str | os.PathLike[str],
    title: str,
    lead: str,
    sections: Sequence[Section],
    *,
    facts: Sequence[Fact] = (),
) -> Path:
    """Write a page, whole or not at all.

    Everything that comes from a model or data, layer names included, is escaped.

    Args:
        path: The file to write; its folder is made if needed.
        title: Title of the page.
        lead: Its first paragraph.
        sections: What follows.
        facts: Shown in large type before the sections.

    Returns:
        The path written.

    Raises:
        MissingExtraError: Jinja is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - optional
    except ImportError:
        raise MissingExtraError("a report needs Jinja: pip install 'clipact[report]'") from None
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(
        files("clipact.report").joinpath("_page.html").read_text("utf-8")
    )
    place = count()
    chapters = [
        (chapter, [_drawn(section, place) for section in some])
        for chapter, some in groupby(sections, key=lambda section: section.chapter)
    ]
    page = template.render(
        title=title,
        lead=lead,
        facts=facts,
        chapters=chapters,
        sections=len(sections),
        footer=f"Written by clipact {__version__}.",
    )
    return _write(Path(path), page)


def _drawn(section: Section, place: Iterator[int]) -> dict[str, Any]:
    """A section for the template; its figures are drawn, and each knows its place."""
    from markupsafe import Markup  # noqa: PLC0415 - optional, comes with Jinja

    figures = [
        (title_of(figure) or section.title, Markup(in_page(svg(figure), next(place))))
        for figure in section.figures
    ]
    plain = {"title": section.title, "text": section.text, "tables": section.tables}
    return {**plain, "figures": figures, "id": f"part-{next(place)}"}


def _is_sqlite(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def _write(path: Path, text: str) -> Path:
    if path.is_dir():
        raise IsADirectoryError(
            f"{path} is a folder; name the file to write, such as {path / 'index.html'}"
        )
    if _is_sqlite(path):
        raise FileExistsError(
            f"{path} is an SQLite file, such as the store of a campaign, and would be lost; name another file for the page"
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
