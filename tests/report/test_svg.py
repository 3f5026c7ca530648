from matplotlib.figure import Figure

from clipact.report import svg
from clipact.report._svg import hover, in_page, title_of


def picture(title="A title"):
    figure = Figure()
    axes = figure.add_subplot()
    (bar,) = axes.bar([0], [1])
    bar.set_gid(hover('<script>"a" & b</script>'))
    axes.set_title(title, loc="left")
    return figure


def test_hints_are_titles_and_escaped():
    text = svg(picture())
    assert "<g><title>&lt;script&gt;'a' &amp; b&lt;/script&gt;</title>" in text
    assert "hover:" not in text
    assert "<script" not in text


def test_ids_are_the_figures_own():
    text = svg(picture())
    first, second = in_page(text, 0), in_page(text, 1)

    def ids(drawn):
        return {part.split('"')[0] for part in drawn.split('id="')[1:]}

    assert ids(first)
    assert not ids(first) & ids(second)
    for drawn in (first, second):
        used = {part.split('"')[0] for part in drawn.split('href="#')[1:]}
        used |= {part.split(")")[0] for part in drawn.split("url(#")[1:]}
        assert used <= ids(drawn)


def test_ink_and_ground_are_those_of_the_page():
    drawn = in_page(svg(picture()), 0)
    assert "fill: var(--paper)" in drawn
    assert "#ffffff" not in drawn
    assert "#1f77b4" in drawn  # the bar keeps its colour


def test_what_a_figure_shows():
    assert title_of(picture(r"a \$ title")) == "a $ title"
    assert title_of(Figure()) == ""
