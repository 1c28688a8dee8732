"""The site is built without a warning, and loads nothing from elsewhere."""

import re
from pathlib import Path

import pytest
from sphinx.cmd.build import build_main

from hack.docs.__main__ import build
from hack.docs.extension import GENERATED, page_text, relocated


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    assert build(folder) == 0, "a link or an anchor leads nowhere: see above"
    return folder / "html"


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    loads = re.compile(r"""(?:\bsrc=|<link\b[^>]*\bhref=|\burl\(|@import\s)["']?(?:https?:)?//""")
    for path in site.rglob("*"):
        if path.suffix in (".html", ".css", ".svg"):
            assert loads.search(path.read_text("utf-8")) is None, path


def test_it_is_searched_without_a_server(site: Path) -> None:
    """By an index that is a script, which a browser loads from a folder, too."""
    assert "searchindex.js" in (site / "search.html").read_text("utf-8")
    assert "tutorial" in (site / "searchindex.js").read_text("utf-8")


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("reference/study", "cleanUp"),
        ("reference/trial", "suggestion"),
        ("reference/archive", "data"),
        ("reference/options", "--unit-seconds"),
        ("reference/benchmarks", "LCBench"),
        ("contributing/changelog", "Unreleased"),
    ],
)
def test_pages_have_what_is_generated(site: Path, page: str, told: str) -> None:
    assert told in (site / f"{page}.html").read_text("utf-8")


def test_fields_come_with_type_bounds_default_and_rules() -> None:
    text = GENERATED["HyperbandStudy"]()
    assert "| `parallelism` | integer; at least 1; at most 10,000; default `1` |" in text
    assert "| `min` | number; above 0; **must be given** |" in text
    assert "- `min`: … is not below max …: lower min, or raise max" in text


def test_a_link_to_a_broken_place_is_an_error(tmp_path: Path) -> None:
    """What the fixture relies on: a missing anchor alone is enough."""
    (tmp_path / "index.md").write_text("# A\n\n[b](#nosuch)\n", "utf-8")
    (tmp_path / "conf.py").write_text('extensions = ["myst_parser"]\nmyst_heading_anchors = 4\n')
    assert build_main(["-q", "-W", str(tmp_path), str(tmp_path / "html")]) != 0


def test_links_follow_a_text_that_is_moved() -> None:
    text = "[a](../docs/design/x.md#there) [b](#here) [c](https://example.com/) [d](growth/g.svg)"
    assert relocated(text, "benchmarks/README.md", "docs/reference/benchmarks.md") == (
        "[a](../design/x.md#there) [b](#here) [c](https://example.com/) "
        "[d](../../benchmarks/growth/g.svg)"
    )


def test_links_to_folders_are_words() -> None:
    text = "[a](../../manifests/samples) [b](../../manifests/samples/digits.yaml)"
    assert page_text("how-to/x", text) == "a [b](../../manifests/samples/digits.yaml)"


def test_links_to_a_file_that_is_a_page_lead_to_the_page() -> None:
    text = "[b](../../benchmarks/README.md#results) [c](../../CHANGELOG.md)"
    assert page_text("how-to/choosing", text) == (
        "[b](../reference/benchmarks.md#results) [c](../contributing/changelog.md)"
    )
