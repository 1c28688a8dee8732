"""What requests ask for, read and bounded; what is wrong is told with the mend."""

import re
from collections.abc import Collection, Mapping
from typing import Final

from hyperband.api.names import MAX_STUDY_NAME, NAME_PATTERN
from hyperband.core.errors import encodable
from hyperband.core.records import TrialState
from hyperband.dashboard.trials import LIMIT, MAX_LIMIT, SORTS, Wanted
from hyperband.plots.values import Over

MOST: Final = 999_999_999
_DIGITS: Final = re.compile("[0-9]{1,9}")
_BEFORE: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,3}")
MAX_TAIL: Final = 10_000  # lines of a log
Query = Mapping[str, str]


class QueryError(ValueError):
    """A request that cannot be answered; the message names the field, the value and the mend."""


def place(match: Mapping[str, str]) -> tuple[str, str] | None:
    """Namespace and name of a study; None if there cannot be such."""
    namespace, name = match["namespace"], match["name"]
    fits = len(namespace) <= 63 and len(name) <= MAX_STUDY_NAME
    both = all(re.fullmatch(NAME_PATTERN, each) for each in (namespace, name))
    return (namespace, name) if fits and both else None


def index(match: Mapping[str, str]) -> int | None:
    """Of a trial; None if there cannot be such."""
    text = match["index"]
    return int(text) if _DIGITS.fullmatch(text) else None


def number(query: Query, key: str, default: int, most: int = MOST, least: int = 0) -> int:
    """A whole number within bounds."""
    found = optional(query, key, most, least)
    return default if found is None else found


def optional(query: Query, key: str, most: int = MOST, least: int = 0) -> int | None:
    """The same, or None where it is left out."""
    text = query.get(key)
    if text is None:
        return None
    value = int(text) if _DIGITS.fullmatch(text) else -1
    if not least <= value <= most:
        raise QueryError(f"{key}: {encodable(text, 40)!r}: give a number of {least} to {most}")
    return value


def before(query: Query) -> tuple[int, ...] | None:
    """Which decisions are older than those that are asked for; None where it is left out."""
    text = query.get("before")
    if text is None:
        return None
    if not _BEFORE.fullmatch(text):
        mend = "give the id of a decision, or the number of a value"
        raise QueryError(f"before: {encodable(text, 40)!r}: {mend}")
    return tuple(map(int, text.split(".")))


def choice(query: Query, key: str, choices: Collection[str], default: str) -> str:
    """One of several words."""
    text = query.get(key, default)
    if text not in choices:
        known = ", ".join(each for each in choices if each)
        raise QueryError(f"{key}: {encodable(text, 40)!r}: give one of {known}")
    return text


def wanted(query: Query) -> Wanted:
    """Which part of the table of trials."""
    return Wanted(
        sort=choice(query, "sort", SORTS, "index"),
        descending=choice(query, "order", ("asc", "desc"), "asc") == "desc",
        offset=number(query, "offset", 0),
        limit=number(query, "limit", LIMIT, MAX_LIMIT, 1),
        state=choice(query, "state", ("", *map(str, TrialState)), ""),
    )


def over(query: Query) -> Over:
    """What the best so far is drawn over."""
    return Over(choice(query, "over", [str(each) for each in Over], Over.TIME.value))
