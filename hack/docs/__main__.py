"""``python -m hack.docs FOLDER``: builds the site into a folder; what is broken in it is an error.

Links and anchors that lead nowhere, pages that nothing leads to, code that is not of its language:
all of it is told, and the exit code is 1.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from sphinx.cmd.build import build_main

from hack.docs.extension import ROOT


def build(folder: Path) -> int:
    """Builds it, and returns the exit code; `folder` gets `html` and what Sphinx keeps."""
    options = ("--fail-on-warning", "--nitpicky", "--quiet", "--doctree-dir")
    return build_main(
        [*options, str(folder / "doctrees"), "-b", "html", str(ROOT / "docs"), str(folder / "html")]
    )


def main(arguments: Sequence[str] = tuple(sys.argv[1:])) -> int:
    (folder,) = map(Path, arguments)
    code = build(folder)
    if code == 0:
        print(folder / "html/index.html")
    return code


if __name__ == "__main__":
    sys.exit(main())
