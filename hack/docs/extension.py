"""What Sphinx does beyond reading `docs/`: adds what is generated, and files from elsewhere.

A page with the comment `<!-- generated: NAME -->` gets what GENERATED makes, in that place; nothing
of it is ever a file. A page of PAGES has a file from outside of `docs/` as its text, so that links
to the file, from any page, lead to the page. The start page gets the tree of pages.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from hack.docs.options_page import options_page
from hack.docs.schema_page import kind_page
from hyperband.api.schema.definitions import (
    archive_definition,
    study_definition,
    trial_definition,
)

ROOT: Final = Path(__file__).resolve().parents[2]
GENERATED: Final[Mapping[str, Callable[[], str]]] = {
    "HyperbandStudy": lambda: kind_page(study_definition()),
    "HyperbandTrial": lambda: kind_page(trial_definition()),
    "HyperbandArchive": lambda: kind_page(archive_definition()),
    "options": options_page,
}
# Pages whose text is a file from elsewhere in the repository, which people read there too.
PAGES: Final = {
    "reference/benchmarks": "benchmarks/README.md",
    "contributing/changelog": "CHANGELOG.md",
}
# The order of pages; a folder's other pages follow theirs.
TREE: Final[Mapping[str, Sequence[str]]] = {
    "Begin": ["tutorial"],
    "How to": [
        "how-to/installing",
        "how-to/training",
        "how-to/libraries",
        "how-to/checkpoints",
        "how-to/choosing",
        "how-to/autoscaling",
        "how-to/debugging",
        "how-to/*",
    ],
    "Concepts": ["concepts/hyperband", "concepts/decisions", "concepts/*"],
    "Reference": ["reference/study", "reference/command-line", "reference/*"],
    "Contributing": ["contributing/architecture", "contributing/*", "design/*"],
}
_PLACE: Final = re.compile(r"<!-- generated: (\w+) -->")
_LINK: Final = re.compile(r"(\]\()([^)#\s:]+)((?:#[^)\s]*)?\))")


def page_text(name: str, text: str) -> str:
    """A page as it is to be parsed: `name` as `how-to/training`, `text` as it is in its file."""
    if name in PAGES:
        text = relocated((ROOT / PAGES[name]).read_text("utf-8"), PAGES[name], f"docs/{name}.md")
    text = _PLACE.sub(lambda place: GENERATED[place[1]](), text)
    text = _to_pages(_without_folders(text, name), name)
    if name == "index":
        text += "".join(_branch(title, pages) for title, pages in TREE.items())
    return text


def relocated(text: str, old: str, new: str) -> str:
    """Markdown that is moved from one file to another: its relative links lead where they did."""

    def moved(link: re.Match[str]) -> str:
        target = PurePosixPath(os.path.normpath(PurePosixPath(old).parent / link[2]))
        return link[1] + os.path.relpath(target, PurePosixPath(new).parent) + link[3]

    return _LINK.sub(moved, text)


def _to_pages(text: str, name: str) -> str:
    """With links to the files of PAGES turned into links to those pages."""
    here = PurePosixPath("docs", name).parent
    pages = {file: f"docs/{page}.md" for page, file in PAGES.items()}

    def led(link: re.Match[str]) -> str:
        page = pages.get(os.path.normpath(here / link[2]))
        return link[0] if page is None else link[1] + os.path.relpath(page, here) + link[3]

    return _LINK.sub(led, text)


def _without_folders(text: str, name: str) -> str:
    """Links to folders, which a repository shows and a site has not, are words."""
    here = (ROOT / "docs" / name).parent

    def told(link: re.Match[str]) -> str:
        return link[1] if (here / link[2]).is_dir() else link[0]

    return re.sub(r"\[([^\[\]]*)\]\(([^)#\s:]+)\)", told, text)


def _branch(title: str, pages: Sequence[str]) -> str:
    return "\n".join(
        ["", "", "```{toctree}", ":hidden:", ":glob:", f":caption: {title}", "", *pages, "```", ""]
    )


def _read(app: Any, name: str, source: list[str]) -> None:
    source[0] = page_text(name, source[0])


def setup(app: Any) -> dict[str, Any]:
    """For Sphinx."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
