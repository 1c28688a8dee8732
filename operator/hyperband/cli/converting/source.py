"""What is read, field by field, and what comes of it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeVar

from hyperband.core.errors import InvalidStudyError, encodable
from hyperband.core.parameters import show

MAX_NOTE = 2_000  # characters
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Note:
    """What could not be carried over as it was, or was changed, and what to do."""

    field: str  # of the source
    said: str

    def __str__(self) -> str:
        return encodable(f"{self.field}: {self.said}", MAX_NOTE)


@dataclass(slots=True)
class Notes:
    """In the order in which things are found."""

    found: list[Note] = field(default_factory=list)

    def add(self, where: str, said: str) -> None:
        """Takes a note, once."""
        note = Note(where, said)
        if note not in self.found:
            self.found.append(note)


@dataclass(frozen=True, slots=True)
class Converted:
    """A study, and what there is to say of it."""

    origin: str  # "Polyaxon, kind: group"
    body: Mapping[str, Any]
    notes: Sequence[Note]


def camel(name: str) -> str:
    """early_stopping as earlyStopping."""
    head, *tail = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in tail)


class Section:
    """An object of the source: where it stands, what it has, and what of that nobody asked for.

    Names are given as snake_case; the source may have them as camelCase, too.
    """

    def __init__(self, content: Any, path: str) -> None:
        if not isinstance(content, Mapping):
            raise InvalidStudyError(path, f"{show(content)} is no object: write fields and values")
        self.content: Mapping[str, Any] = content
        self.path = path
        self._read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def key(self, name: str) -> str:
        """How the source spells it."""
        return camel(name) if name not in self.content and camel(name) in self.content else name

    def field(self, name: str) -> str:
        """The path of a field."""
        return f"{self.path}.{self.key(name)}" if self.path else self.key(name)

    def get(self, name: str) -> Any:
        """A value, or None."""
        key = self.key(name)
        self._read.add(key)
        return self.content.get(key)

    def need(self, name: str, mend: str) -> Any:
        """A value that must be there.

        Raises:
            InvalidStudyError: it is not.
        """
        value = self.get(name)
        if value is None:
            raise InvalidStudyError(self.field(name), f"is missing: {mend}")
        return value

    def section(self, name: str) -> "Section":
        """An object; an empty one if there is none."""
        value = self.get(name)
        return Section({} if value is None else value, self.field(name))

    def items(self, name: str) -> list[Any]:
        """A list; an empty one if there is none.

        Raises:
            InvalidStudyError: it is something else.
        """
        value = self.get(name)
        if value is not None and not isinstance(value, list):
            raise InvalidStudyError(self.field(name), f"{show(value)} is no list: write one")
        return value or []

    def sections(self, name: str) -> list["Section"]:
        """A list of objects."""
        path = self.field(name)
        return [Section(each, f"{path}[{i}]") for i, each in enumerate(self.items(name))]

    def number(self, name: str, least: float = -math.inf) -> float | None:
        """A number, which the source may have in quotes; None if there is none.

        Raises:
            InvalidStudyError: it is none, or below the least.
        """
        value = self.get(name)
        return None if value is None else float(read_number(value, self.field(name), least))

    def whole(self, name: str, least: int = 0) -> int | None:
        """A whole number, as above."""
        value = self.get(name)
        return None if value is None else read_whole(value, self.field(name), least)

    def choice(self, name: str, known: Mapping[str, T], default: T | None = None) -> T:
        """What a word of the source stands for, in whatever case it is written.

        Raises:
            InvalidStudyError: it is missing, without a default, or not among those known.
        """
        value = self.get(name)
        if value is None and default is not None:
            return default
        if value is None:
            raise InvalidStudyError(self.field(name), f"is missing: use one of {', '.join(known)}")
        by_lower = {word.lower(): meaning for word, meaning in known.items()}
        if str(value).lower() not in by_lower:
            mend = f"use one of {', '.join(known)}"
            raise InvalidStudyError(self.field(name), f"{show(value)} is not known: {mend}")
        return by_lower[str(value).lower()]

    def rest(self) -> list[str]:
        """The fields that nobody asked for and that have a value, as the source spells them."""
        return [
            str(key)
            for key, value in self.content.items()
            if key not in self._read and value is not None
        ]

    def tell_rest(self, notes: Notes, mend: Callable[[str], str] | None = None) -> None:
        """Notes all that is left."""
        for key in self.rest():
            path = f"{self.path}.{key}" if self.path else key
            said = mend(key) if mend else "has no counterpart and is left out"
            notes.add(path, said)


def read_number(value: Any, path: str, least: float = -math.inf) -> Fraction:
    """A finite number, exactly as it is written.

    Raises:
        InvalidStudyError: it is none, or below the least.
    """
    try:
        # Digits for a float alone: beyond it fractions could be of any length.
        number = Fraction(0) if isinstance(value, bool) else Fraction(repr(float(value)))
    except (ValueError, TypeError, OverflowError):
        number = None
    if number is None or isinstance(value, bool):
        raise InvalidStudyError(path, f"{show(value)} is no number: give one")
    if number < (least if math.isfinite(least) else number):
        raise InvalidStudyError(path, f"{show(value)} is below {least:g}: give at least {least:g}")
    return number


def read_whole(value: Any, path: str, least: int = 0) -> int:
    """A whole number, as above."""
    number = read_number(value, path, least)
    if number.denominator != 1:
        raise InvalidStudyError(path, f"{show(value)} is no whole number: round it")
    return int(number)
