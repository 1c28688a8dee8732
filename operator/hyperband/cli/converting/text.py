"""A converted study as a file: YAML that people read, with what there is to say at its top."""

import textwrap
from collections.abc import Iterator

from hyperband.api.text import block
from hyperband.cli.converting.source import Converted, Note
from hyperband.core.errors import printable

WIDTH = 98


def study_text(made: Converted, source: str) -> str:
    """The whole file.

    Args:
        source: the name of the file that it comes from.
    """
    head = f"Converted by hyperband convert from {source} ({made.origin})."
    lines = list(_comment(head, ""))
    if made.notes:
        lines += ["#", "# What is not as it was, and what to do:"]
        for note in made.notes:
            lines += _comment(str(note), "- ")
    lines += ["#", "# Then: hyperband validate FILE, hyperband preview FILE"]
    return "\n".join([*lines, *block(made.body, "", ())]) + "\n"


def told(note: Note, file: str) -> str:
    """A note as it is told on standard error."""
    return printable(f"hyperband convert: {file}: {note}".replace("\n", " "))


def _comment(text: str, bullet: str) -> Iterator[str]:
    words = printable(" ".join(text.split()))
    yield from textwrap.wrap(
        words,
        WIDTH,
        initial_indent=f"# {bullet}",
        subsequent_indent="# " + " " * len(bullet),
        break_long_words=False,
        break_on_hyphens=False,
    )
