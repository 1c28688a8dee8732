"""The table of trials: sorted, filtered and cut on the server. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hyperband.api.words import state, status
from hyperband.core.errors import all_printable, printable
from hyperband.dashboard.snapshot import Body, Snapshot
from hyperband.plots.figure import finite

MAX_LIMIT: Final = 500
LIMIT: Final = 50  # of the page's own table


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of the table."""

    sort: str = "index"
    descending: bool = False
    offset: int = 0
    limit: int = LIMIT
    state: str = ""  # all


def _last(trial: Body) -> Mapping[str, Any]:
    values = status(trial).get("rungs") or ()
    return values[-1] if values else {}


def _value(trial: Body) -> float | None:
    found = _last(trial).get("value")
    return found if finite(found) else None


def _reached(trial: Body) -> float | None:
    """As far as it was heard of: beyond its last rung while it trains."""
    latest = status(trial).get("latest") or {}
    found = [each["resource"] for each in (latest, _last(trial)) if "resource" in each]
    return max(found, default=None)


SORTS: Final[Mapping[str, Callable[[Body], Any]]] = {
    "index": lambda trial: trial["spec"]["index"],
    "value": _value,
    "state": state,
    "resource": _reached,
    "bracket": lambda trial: trial["spec"]["bracket"],
}


def table(snapshot: Snapshot, wanted: Wanted) -> dict[str, Any]:
    """Rows in that order; trials that have nothing to be sorted by come last in both."""
    key = SORTS[wanted.sort]
    found = [
        (index, key(trial))
        for index, trial in snapshot.trials.items()
        if wanted.state in ("", state(trial))
    ]
    with_key = [each for each in found if each[1] is not None]
    with_key.sort(key=lambda each: each[1], reverse=wanted.descending)
    order = [*with_key, *(each for each in found if each[1] is None)]
    part = order[wanted.offset : wanted.offset + wanted.limit]
    return {
        "version": snapshot.version,
        "total": len(found),
        "trials": [row(snapshot.trials[index]) for index, _ in part],
    }


def row(trial: Body) -> dict[str, Any]:
    """A trial in one line."""
    spec, known = trial["spec"], status(trial)
    return {
        "index": spec["index"],
        "name": trial["metadata"]["name"],
        "state": state(trial),
        "bracket": spec["bracket"],
        "resource": _reached(trial),
        "target": known.get("target"),
        "value": _value(trial),
        "attempts": known.get("attempt", 0) + (1 if known else 0),
        "reason": printable(str(known.get("reason", ""))),
        "message": printable(str(known.get("message", ""))),
        "parameters": all_printable(dict(spec["parameters"])),
    }
