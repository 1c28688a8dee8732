"""The blocks of code in the documentation, and how each is to be tried.

A comment before a block says what is special about it:

- `<!-- file: NAME -->`: it is that file, in the folder in which the page's commands run;
- `<!-- into: NAME -->`: its fields are put into the spec of the study in that file;
- `<!-- cluster -->`: its commands need a cluster, with the operator;
- `<!-- not run: WHY -->`: nothing can try it here; `test_documents.py` has a list of these.

Without one, commands (sh) run in a folder without a cluster, and a manifest (yaml) is a study, or
some of its fields. What a program prints stands in blocks without a language.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", ROOT / "benchmarks/README.md", *(ROOT / "docs").rglob("*.md"))
)
LANGUAGES: Final = ("sh", "yaml", "python", "")
KINDS: Final = ("file", "into", "cluster", "not run")
_MARK: Final = re.compile(r"<!-- (file|into|not run): (.+) -->|<!-- (cluster) -->")


@dataclass(frozen=True)
class Block:
    """A block of code: `kind` is one of KINDS or empty, `told` is what follows its colon."""

    page: str
    line: int  # from 1
    language: str
    text: str
    kind: str = ""
    told: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: str) -> list[Block]:
    """Those of a page, in its order."""
    return list(_blocks(page, (ROOT / page).read_text("utf-8")))


def _blocks(page: str, text: str) -> Iterator[Block]:
    before = ""  # the comment right before the block
    for token in MarkdownIt().enable("table").parse(text):
        if token.type == "html_block":
            before = token.content.strip()
            continue
        if token.type in ("fence", "code_block"):
            mark = _MARK.fullmatch(before)
            kind, told = (mark[1] or mark[3], mark[2] or "") if mark else ("", "")
            language = token.info.strip() if token.type == "fence" else "indented"
            assert token.map is not None
            yield Block(page, token.map[0] + 1, language, token.content, kind, told)
        before = ""


def inline_code(page: str) -> Iterator[str]:
    """What stands in backticks in the text of a page."""
    for token in MarkdownIt().enable("table").parse((ROOT / page).read_text("utf-8")):
        for child in token.children or ():
            if child.type == "code_inline":
                yield child.content
