"""A converted study as a file: YAML that people read, with what there is to say at its top."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hyperband.cli.converting.source import Converted, Note
from hyperband.cli.init_text import flow
from hyperband.core.errors import printable

WIDTH = 98
_ONE_LINE = 88  # characters of a list or object that stays on one line
# Each of these on one line, however long: a table of parameters, not a tree.
_ROWS = ("objective", "resource", "hyperband", "searcher", "failurePolicy")
_LISTS_OF_ROWS = ("parameters", "earlyStopping")


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
    return "\n".join([*lines, *_block(made.body, "", ())]) + "\n"


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


def _block(value: Any, pad: str, path: Sequence[str]) -> Iterator[str]:
    """A value over several lines."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _entry(f"{pad}{flow(key)}:", item, pad + "  ", (*path, str(key)))
    else:
        for item in value:
            yield from _item(item, pad, path)


def _entry(head: str, item: Any, pad: str, path: Sequence[str]) -> Iterator[str]:
    if _is_row(item, path):
        yield f"{head} {flow(item)}"
    elif isinstance(item, str):
        yield f"{head} |-"
        yield from (f"{pad}{line}" if line else "" for line in item.split("\n"))
    else:
        yield head
        yield from _block(item, pad, path)


def _item(item: Any, pad: str, path: Sequence[str]) -> Iterator[str]:
    if _is_row(item, path) or tuple(path) in {("spec", key) for key in _LISTS_OF_ROWS}:
        yield f"{pad}- {flow(item)}"
    elif isinstance(item, str):
        yield f"{pad}- |-"
        yield from (f"{pad}  {line}" if line else "" for line in item.split("\n"))
    else:
        first, *more = _block(item, pad + "  ", (*path, "-"))
        yield f"{pad}- {first.removeprefix(pad + '  ')}"
        yield from more


def _is_row(value: Any, path: Sequence[str]) -> bool:
    """Whether it stands on the line of its key."""
    if isinstance(value, str):
        return not _is_text(value)
    if not isinstance(value, Mapping | list) or not value:
        return True
    if path[-1] in _LISTS_OF_ROWS and len(path) == 2:
        return False
    if len(path) == 2 and path[-1] in _ROWS:
        return True
    parts = value.values() if isinstance(value, Mapping) else value
    flat = not any(
        _is_text(part) if isinstance(part, str) else isinstance(part, Mapping | list) and part
        for part in parts
    )
    return flat and len(flow(value)) <= _ONE_LINE and path != ("metadata",)


def _is_text(text: str) -> bool:
    """Whether it can be a block of lines, just as it is."""
    lines = text.split("\n")
    if len(lines) < 2 or not lines[-1] or text[0] in " \n":
        return False
    return all(line.isprintable() and line == line.rstrip() for line in lines)
