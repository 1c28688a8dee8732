"""Objects as YAML that people read, and that kubectl and we read alike. Pure."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import yaml

from hyperband.api.files import read_scalar

_ONE_LINE = 88  # characters of a list or object that stays on one line
# Each of these on one line, however long: a table of parameters, not a tree.
_ROWS = ("objective", "resource", "hyperband", "searcher", "failurePolicy")
_LISTS_OF_ROWS = ("parameters", "earlyStopping")

# What a reader of YAML takes for a line's end, or for no text at all, also between quotes.
_UNSAFE: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def flow(value: Any) -> str:
    """A value in YAML on one line, which kubectl and we read alike."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{flow(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str) and _plain(value):
        return value
    return _UNSAFE.sub(
        lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False)
    )


def _plain(text: str) -> bool:
    """Whether it is text without quotes, too, whichever YAML is read."""
    if text in ("y", "Y", "n", "N"):  # booleans, to some
        return False
    if not re.fullmatch(r"[A-Za-z/]([A-Za-z0-9_./:-]*[A-Za-z0-9_/])?", text):
        return False
    return bool(yaml.safe_load(text) == text == read_scalar(text))


def block(value: Any, pad: str, path: Sequence[str]) -> Iterator[str]:
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
        yield from block(item, pad, path)


def _item(item: Any, pad: str, path: Sequence[str]) -> Iterator[str]:
    if _is_row(item, path) or tuple(path) in {("spec", key) for key in _LISTS_OF_ROWS}:
        yield f"{pad}- {flow(item)}"
    elif isinstance(item, str):
        yield f"{pad}- |-"
        yield from (f"{pad}  {line}" if line else "" for line in item.split("\n"))
    else:
        first, *more = block(item, pad + "  ", (*path, "-"))
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


def study_yaml(body: Mapping[str, Any]) -> str:
    """A study as a file."""
    return "\n".join(block(body, "", ())) + "\n"
