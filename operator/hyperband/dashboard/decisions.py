"""The log of decisions of a study with their reasons, told from the records. Pure.

A value's place in the order of decisions is in its record; that of all else (starts, promotions,
lost pods) is worked out from the times of pods, as is the time of a value.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import accumulate
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from hyperband.api.times import timestamp
from hyperband.api.words import number
from hyperband.core.errors import printable
from hyperband.core.origins import describe
from hyperband.core.records import Suggestion, Trial, TrialState
from hyperband.core.rungs import Standing
from hyperband.core.schedulers import make_scheduler
from hyperband.core.standings import History, Recorded
from hyperband.dashboard.snapshot import Body, Snapshot, state, status
from hyperband.plots.figure import finite
from hyperband.plots.moments import begin, moments

MAX_LIMIT: Final = 500
MAX_BYTES: Final = 290 * 1024  # of a page's decisions
USUAL: Final = (8, 100)  # limits that the page itself asks with
ENDS: Final = ("Disrupted", "Failed")


class Entry(NamedTuple):
    """One decision: after which value of the study, and what is told of it when it is shown."""

    place: int
    order: int  # among those of one place
    trial: int
    number: int  # the level of a value, or the attempt's
    kind: str
    at: float | None
    given: Body  # the value, or the attempt


Key = tuple[int, ...]  # the first four of them, of which no two decisions have the same
_key: Final = itemgetter(0, 1, 2, 3)


class Log:
    """All decisions of a version, ascending; words are made for those that are shown.

    It is kept with its version and therefore holds what it needs of it, not the version itself:
    a cycle would stay until Python's collector came by.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._study, self._ladder, self._trials = snapshot.study, snapshot.ladder, snapshot.trials
        self._scheduler = make_scheduler(self._study, self._ladder)
        self._loss = self._study.objective.loss
        self._groups: dict[tuple[int, int], list[Recorded]] = defaultdict(list)
        self._histories: dict[tuple[int, int], History] = {}
        self._limits: dict[int, npt.NDArray[np.int64]] = {}
        first = begin(snapshot.records) or 0.0
        told = moments(snapshot.records)
        self._known = {
            (each.run.index, each.value.level): first + each.seconds
            for each in told
            if each.seconds is not None
        }
        times = sorted(
            (first + each.seconds, each.value.sequence) for each in told if each.seconds is not None
        )
        self._times = [time for time, _ in times]
        self._places = list(accumulate((sequence for _, sequence in times), max))
        self._last = max((each.value.sequence for each in told), default=0)
        self.entries = sorted(self._all(), key=_key)

    def _place(self, time: float | None) -> int:
        """The last value that was known at a time; of none, the last of all."""
        if time is None:
            return self._last
        at = bisect_right(self._times, time)
        return self._places[at - 1] if at else 0

    def _all(self) -> Iterator[Entry]:
        for index, trial in self._trials.items():
            if status(trial):
                yield from self._of(index, trial)

    def _group(self, index: int, bracket: int) -> int:
        nothing = Suggestion({}, "")
        return self._scheduler.group(Trial(index, nothing, bracket, TrialState.PENDING, 0))

    def _of(self, index: int, trial: Body) -> Iterator[Entry]:
        known, bracket = status(trial), int(trial["spec"]["bracket"])
        group = self._group(index, bracket)
        values = [each for each in known.get("rungs") or () if finite(each.get("value"))]
        for each in values:
            level, sequence = int(each["level"]), int(each["sequence"])
            loss = self._loss(float(each["value"]))
            self._groups[group, level].append(Recorded(sequence, loss, index))
            yield Entry(sequence, 0, index, level, "value", self._known.get((index, level)), each)
        attempts = known.get("attempts") or ()
        yield from self._attempts(index, attempts)
        if self._scheduler.pauses:
            yield from self._promotions(index, values, attempts, known)

    def _attempts(self, index: int, attempts: Sequence[Body]) -> Iterator[Entry]:
        for each in attempts:
            number = int(each["number"])
            if number == 0:
                start = timestamp(each.get("startTime"))
                yield Entry(self._place(start), 1, index, number, "started", start, each)
            if each.get("outcome") in ENDS:
                end = timestamp(each.get("endTime"))
                yield Entry(self._place(end), 2, index, number, "ended", end, each)

    def _promotions(
        self, index: int, values: Sequence[Body], attempts: Sequence[Body], known: Body
    ) -> Iterator[Entry]:
        """From each level but the last one that it has reached."""
        for i, value in enumerate(values):
            level = int(value["level"])
            after = values[i + 1] if i + 1 < len(values) else None
            if after is None and int(known.get("targetLevel", level)) <= level:
                continue
            start = _next_start(attempts, float(value["resource"]))
            place = max(self._place(start), int(value["sequence"]))
            if after is not None:
                place = min(place, int(after["sequence"]) - 1)
            yield Entry(place, 3, index, level, "promoted", start, value)

    # -- in words --------------------------------------------------------------------------------

    def told(self, entry: Entry) -> dict[str, Any]:
        """What is shown of a decision."""
        trial = self._trials[entry.trial]
        what, why = self._words(entry, trial)
        return {
            "id": ".".join(map(str, _key(entry))),
            "sequence": entry.place,
            "trial": entry.trial,
            "name": trial["metadata"]["name"],
            "at": None if entry.at is None else _clock(entry.at),
            "what": what,
            "why": printable(why),
        }

    def _words(self, entry: Entry, trial: Body) -> tuple[str, str]:
        if entry.kind == "started":
            return "started", self._origin(trial)
        if entry.kind == "ended":
            return self._end(entry.given, trial)
        if entry.kind == "promoted":
            return "promoted", self._promotion(entry, trial)
        return self._value(entry, trial)

    def _amount(self, level: int) -> str:
        return self._study.resource.amount(self._ladder[level])

    def _origin(self, trial: Body) -> str:
        spec = trial["spec"]
        given = spec.get("suggestion") or {}
        suggestion = Suggestion(
            spec["parameters"], given.get("origin", ""), given.get("detail") or {}
        )
        return describe(suggestion, (), self._amount)

    def _end(self, attempt: Body, trial: Body) -> tuple[str, str]:
        outcome = str(attempt["outcome"])
        why = f"attempt {attempt['number']}"
        why += f" on {attempt['node']}" if attempt.get("node") else ""
        why += f": {attempt['reason']}" if attempt.get("reason") else ""
        final = attempt is (status(trial).get("attempts") or [None])[-1]
        if final and state(trial) == "Failed":
            return "failed", f"{why}; given up: {status(trial).get('message', '')}"
        used = "uses no retry" if outcome == "Disrupted" else "uses a retry"
        return outcome.lower(), f"{why}; {used}, another attempt follows"

    def _own(self, entry: Entry) -> tuple[History, Recorded]:
        """A value, and those that it was ranked with."""
        trial = self._trials[entry.trial]
        key = (self._group(entry.trial, int(trial["spec"]["bracket"])), entry.number)
        if key not in self._histories:
            self._histories[key] = History(self._groups[key])
        loss = self._loss(float(entry.given["value"]))
        return self._histories[key], Recorded(int(entry.given["sequence"]), loss, entry.trial)

    def _limits_of(self, level: int, most: int) -> npt.NDArray[np.int64]:
        """How many may go on among 1, 2, … values of a level."""
        known = self._limits.get(level)
        if known is None or len(known) < most:
            limit = self._ladder.limit
            known = np.array([limit(level, n) for n in range(1, most + 1)], dtype=np.int64)
            self._limits[level] = known
        return known

    def _value(self, entry: Entry, trial: Body) -> tuple[str, str]:
        values, own = self._own(entry)
        level = entry.number
        limit = partial(self._ladder.limit, level)
        then = values.standing_at(own, own.sequence, limit)
        value = number(float(entry.given["value"]))
        text = f"{self._study.objective.metric} {value} at {self._amount(level)}: {_ranked(then)}"
        if level == self._ladder.top:
            return "completed", f"{text}; trained in full"
        if self._study.mode == "Synchronous":
            return "paused", f"{text} of its rung so far"
        text += f"; the best {then.limit} may go on"
        if self._scheduler.pauses:
            return "paused", text
        return ("went on" if then.good_enough else "stopped"), text

    def _promotion(self, entry: Entry, trial: Body) -> str:
        values, own = self._own(entry)
        level = entry.number
        up = self._amount(level + 1)
        if self._study.mode == "Synchronous":
            then = values.standing_at(own, entry.place, lambda n: n)
            return f"to {up}: {_ranked(then)} of its rung"
        least = 2 if self._scheduler.lone_waits else 1
        found = values.first_good(own, self._limits_of(level, len(values)), least)
        if found is None:  # records of others were deleted
            return f"to {up}; the values that made it so are gone"
        moment, then = found
        when = "at once" if moment == own.sequence else f"from value {moment} of the study on"
        return f"to {up}: good enough {when}, {_ranked(then)}; the best {then.limit} may go on"


def page(snapshot: Snapshot, before: Key | None, limit: int) -> dict[str, Any]:
    """The newest decisions before a place, or before one of a place; the newest first.

    They are no more than `limit`, and fewer where much was written of them.

    Args:
        before: the id of a decision, or how it begins; None for the newest of all.
    """
    log = snapshot.kept("log", lambda: Log(snapshot))
    end = len(log.entries) if before is None else bisect_left(log.entries, before, key=_key)
    shown: list[dict[str, Any]] = []
    size = 0
    for entry in reversed(log.entries[max(end - limit, 0) : end]):
        told = log.told(entry)
        size += len(msgspec.json.encode(told)) + 1
        if shown and size > MAX_BYTES:
            break
        shown.append(told)
    return {"version": snapshot.version, "decisions": shown, "more": len(shown) < end}


def _ranked(standing: Standing) -> str:
    return f"rank {standing.rank} of {standing.values}"


def _next_start(attempts: Sequence[Body], resource: float) -> float | None:
    """When the first attempt began that got beyond so much of the resource, if it has."""
    reached = [each for each in attempts if (each.get("resource") or 0.0) >= resource]
    if not reached:
        return None
    after = [each for each in attempts if each["number"] > reached[0]["number"]]
    return timestamp(after[0].get("startTime")) if after else None


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
