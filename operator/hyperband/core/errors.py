"""Errors that a user can mend: each names the field, the value and the mend."""

import re
from collections.abc import Iterable
from typing import Any, Final

MAX_FIELD: Final = 500  # characters
MAX_PROBLEM: Final = 1000

# Controls of C0 and C1 but for tabs and line ends; and those that turn the direction of writing.
_MOVING: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


class InvalidStudyError(ValueError):
    """A study that cannot be run as written.

    The error goes into conditions, events and terminals: whatever it quotes, it is short, and free
    of the lone surrogates that UTF-8 cannot hold.

    Attributes:
        field: the path of the field in the spec, e.g. ``spec.parameters[2].min``.
        problem: what is wrong with which value, and what would be right.
    """

    def __init__(self, field: str, problem: str) -> None:
        self.field = encodable(field, MAX_FIELD)
        self.problem = encodable(problem, MAX_PROBLEM)
        super().__init__(f"{self.field}: {self.problem}")


def raise_first(found: Iterable[InvalidStudyError]) -> None:
    """Raises the first of what is wrong; none after it is looked for."""
    for error in found:
        raise error


def encodable(text: str, most: int) -> str:
    """The text without lone surrogates, which JSON and YAML can bring, and without what moves a
    terminal's cursor, cut to `most` characters."""
    held = printable(text.encode("utf-8", "backslashreplace").decode())
    return held if len(held) <= most else f"{held[: most - 3]}..."


def printable(text: str) -> str:
    r"""The text with the characters that move a terminal's cursor, or hide text, written as \x1b.

    Trainings, other people's objects and files are quoted in events, logs and tables: whoever
    reads them shall see what is there. Line ends and tabs stay.
    """
    return _MOVING.sub(lambda found: ascii(found[0])[1:-1], text)


def all_printable(value: Any) -> Any:
    """An object with all of its texts printable, keys included."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {all_printable(key): all_printable(item) for key, item in value.items()}
    return [all_printable(item) for item in value] if isinstance(value, list) else value
