"""Numbers, times and an object's standing in a few characters, for tables and pages. Pure."""

import signal
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hyperband.api.times import moment

NEW = "New"  # the status of a study that no operator has taken up


def number(value: Any) -> str:
    """A number for people: six digits at the most."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def counted(count: float, noun: str) -> str:
    """A number of things: 1 GPU, 2 GPUs."""
    return f"{count:g} {noun}{'' if count == 1 else 's'}"


def signal_name(number: int) -> str:
    """A signal's name; empty if none has that number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return ""


def span(seconds: float) -> str:
    """A time as kubectl writes ages: 45s, 12m, 3h20m, 2d4h."""
    whole = max(0, int(seconds))
    for unit, size, small, part in (("d", 86400, "h", 3600), ("h", 3600, "m", 60)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size}{unit}" + (f"{rest}{small}" if rest else "")
    return f"{whole // 60}m" if whole >= 120 else f"{whole}s"


def since(text: str | None, now: datetime) -> str:
    """How long ago a moment of an object was; empty without one."""
    then = moment(text)
    return "" if then is None else span((now - then).total_seconds())


def status(trial: Mapping[str, Any]) -> Mapping[str, Any]:
    """What has happened to a trial; empty if nothing has yet."""
    return trial.get("status") or {}


def state(trial: Mapping[str, Any]) -> str:
    """Where a trial stands."""
    return str(status(trial).get("state", "Pending"))


def condition(body: Mapping[str, Any], type_: str) -> Mapping[str, Any]:
    """A condition of an object; empty if it has none of that type."""
    rows = (body.get("status") or {}).get("conditions") or []
    return next((row for row in rows if row["type"] == type_), {})


def status_word(body: Mapping[str, Any]) -> str:
    """A study's status in a word, as the column STATUS of kubectl has it."""
    return str(condition(body, "Progressing").get("reason", NEW))
