import pytest
from matplotlib.figure import Figure

from clipact.report import Section, Table, svg, write_page


def picture(label="x"):
    figure = Figure()
    figure.add_subplot().plot([0, 1], [0, 1], label=label)
    return figure


def test_one_file_with_everything_in_it(tmp_path):
    table = Table(["layer", "value"], [["conv1", "0.5"]])
    page = write_page(
        tmp_path / "new" / "index.html",
        "Title",
        "Lead",
        [Section("Part", "Text", [picture()], [table])],
    )
    text = page.read_text()
    assert text.count("<svg") == 1
    for part in (
        "<h1>Title</h1>",
        "Lead",
        "<h2>Part</h2>",
        "<td>conv1</td>",
        '<th scope="col">value</th>',
    ):
        assert part in text
    for loading in ("<script", "src=", "<link", "@import", "url(http"):
        assert loading not in text


def test_names_from_models_are_escaped(tmp_path):
    table = Table(["<b>h</b>"], [["<script>alert(1)</script>"]])
    text = write_page(
        tmp_path / "p.html", "<i>t</i>", "l & l", [Section("<u>", tables=[table])]
    ).read_text()
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "<i>t" not in text
    assert "<b>h" not in text


def test_a_failed_write_leaves_the_old_page(tmp_path):
    page = write_page(tmp_path / "p.html", "old", "", [])
    with pytest.raises(AttributeError):
        write_page(page, "new", "", [Section("broken", figures=[object()])])
    assert "old" in page.read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["p.html"]


def test_the_same_figure_gives_the_same_svg():
    assert svg(picture()) == svg(picture())


def test_a_row_of_another_length():
    with pytest.raises(ValueError, match="2 cells under a header of 1"):
        Table(["a"], [["1", "2"]])


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(IsADirectoryError, match=r"is a folder; name the file to write"):
        write_page(tmp_path, "", "", [])


def test_a_store_is_never_overwritten_by_a_page(tmp_path):
    store = tmp_path / "run.sqlite"
    content = b"SQLite format 3\0 and all the trials"
    store.write_bytes(content)
    with pytest.raises(FileExistsError, match="would be lost"):
        write_page(store, "Title", "Lead", [])
    assert store.read_bytes() == content
