"""The page in a real browser without a screen, where one is installed."""

import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from clipact.report import campaign_page

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
LOADING = {"src", "srcset", "data", "action", "poster"}


class Elements(HTMLParser):
    """Names and attributes of everything."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def count(self, tag):
        return sum(name == tag for name, _ in self.found)


@pytest.fixture(scope="module")
def browse(tmp_path_factory):
    """A function: the document that the browser makes of a page, and what it said."""
    if BROWSER is None:
        pytest.skip("no Chromium is installed")

    def opened(page):
        home = tmp_path_factory.mktemp("browser")
        command = [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
            "--enable-logging=stderr", "--v=0", f"--user-data-dir={home}", "--dump-dom", page.as_uri(),
        ]  # fmt: skip
        found = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
        return found.stdout, found.stderr

    return opened


def test_the_browser_sees_tables_and_pictures_and_loads_nothing(browse, single, tmp_path):
    page = campaign_page(single, tmp_path / "page.html")
    dom, said = browse(page)
    elements = Elements(dom)
    assert elements.count("svg") == 7
    assert elements.count("table") == 5
    assert elements.count("section") == 8
    assert elements.count("title") > 100  # the page's own, and the hints
    assert not {"script", "link", "img", "image", "iframe", "object", "embed"} & {
        name for name, _ in elements.found
    }
    for name, attributes in elements.found:
        assert not LOADING & attributes.keys(), name
        for key in ("href", "xlink:href"):
            assert attributes.get(key, "#").startswith("#"), (name, attributes)
    addresses = set(re.findall(r"url\((?!&quot;#|\"#|#)[^)]*\)|@import", dom))
    assert addresses == set()
    assert "CONSOLE" not in said


def test_every_id_is_there_once_and_every_reference_leads_somewhere(browse, rates, tmp_path):
    dom, _ = browse(campaign_page({"a": rates, "b": rates}, tmp_path / "page.html"))
    elements = Elements(dom)
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = {a[k][1:] for _, a in elements.found for k in ("href", "xlink:href") if k in a}
    assert used <= set(ids)
