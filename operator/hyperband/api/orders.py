"""A person's word on a study, as a change of its spec. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hyperband.api.status import is_finished
from hyperband.api.words import condition


@dataclass(frozen=True, slots=True)
class Word:
    """What is said to a study: a field of its spec, and what comes of it, in words."""

    verb: str
    field: str
    value: bool
    already: str
    then: str


SUSPEND = Word(
    "suspend",
    "suspend",
    True,
    "is suspended already",
    "is being suspended: its pods end within their grace period, nothing new starts, and no retry "
    "is used; hyperband resume {name} goes on from the checkpoints",
)
RESUME = Word(
    "resume",
    "suspend",
    False,
    "is not suspended",
    "goes on: trials that were interrupted are repeated from their checkpoints",
)
STOP = Word(
    "stop",
    "stop",
    True,
    "is being stopped already",
    "is being stopped for good: its pods end within their grace period, and its best stays "
    "(hyperband best {name}); another study may start warm from it",
)


def obstacle(word: Word, body: Mapping[str, Any]) -> str:
    """Why a study cannot do as it is told; empty if it can."""
    name = body["metadata"]["name"]
    if word is STOP:
        return ""
    if is_finished(body.get("status") or {}):
        mend = "it stays so; submit a study of another name, warmStart takes over what it found"
        return f"study {name} is finished ({end_of(body)}): {mend}"
    if word is RESUME and body["spec"].get("stop"):
        return f"study {name} is being stopped, which cannot be undone: submit another one"
    return ""


def end_of(body: Mapping[str, Any]) -> str:
    """Why a finished study is finished."""
    finished = condition(body, "Finished")
    return f"{finished.get('reason', '')}: {finished.get('message', '')}"
