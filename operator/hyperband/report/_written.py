"""What a line of the report file says: a report, or something that the operator should hear of."""

import json
import math
from typing import Any, NamedTuple

_SPELLED = {"nan", "inf", "infinity", "-inf", "-infinity"}  # where a language's JSON lacks them
_EXACT = 2**53
_QUOTED = 150  # bytes of a line that is no JSON
MAX_UNUSABLE = 1000  # characters, as JSON


class Unusable(NamedTuple):
    """No report: the operator says in the trial's record what is wrong with it.

    Attributes:
        entry: for the annotation, as JSON.
    """

    entry: str


def read_line(line: bytes, resource: str, objective: str) -> dict[str, float] | Unusable:
    """The numbers of a line, or what keeps it from being a report."""
    try:
        document = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return _quoted(line)
    return read_entry(document, resource, objective) or _unusable(document, line)


def read_entry(document: Any, resource: str, objective: str) -> dict[str, float] | None:
    """The numbers of a report, or None if it is none."""
    if not isinstance(document, dict):
        return None
    read = {
        name: number for name, item in document.items() if (number := _number(item)) is not None
    }
    spent = read.get(resource, math.nan)
    return read if objective in read and math.isfinite(spent) and spent >= 0 else None


def _number(item: Any) -> float | None:
    """The item as a number that JSON takes; None if it is none."""
    if isinstance(item, str) and item.strip().lower().removeprefix("+") in _SPELLED:
        return float(item)
    if isinstance(item, bool) or not isinstance(item, int | float):
        return None
    if isinstance(item, float) or abs(item) <= _EXACT:
        return item
    try:
        return float(item)
    except OverflowError:
        return math.inf if item > 0 else -math.inf


def _unusable(document: Any, line: bytes) -> Unusable:
    entry = write_unusable(document)
    return _quoted(line) if entry is None else Unusable(entry)


def write_unusable(document: Any) -> str | None:
    """What is no report, as JSON for the annotation; None if that is too much to hand on."""
    try:
        entry = json.dumps(document)
    except RecursionError:  # what could just be read may be nested too deeply to be written
        return None
    return entry if len(entry) <= MAX_UNUSABLE else None


def _quoted(line: bytes) -> Unusable:
    # An escape has six characters at most, for each byte.
    return Unusable(json.dumps(line[:_QUOTED].decode(errors="replace")))
