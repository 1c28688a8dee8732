"""The log of decisions of a study with their reasons, told from the records. Pure.

A value's place in the order of decisions is in its record; that of all else (starts, promotions,
lost pods) is worked out from the times of pods, as is the time of a value.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import accumulate, zip_longest
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from hyperband.api.times import in_seconds
from hyperband.api.words import number, state, status
from hyperband.core.errors import printable
from hyperband.core.origins import describe
from hyperband.core.records import Suggestion
from hyperband.core.rungs import Standing
from hyperband.core.schedulers import make_scheduler
from hyperband.core.standings import History, Recorded
from hyperband.dashboard.snapshot import Body, Snapshot
from hyperband.plots.moments import Moment, begin, moments
from hyperband.plots.records import Attempt, Run, RungValue

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
    given: Any  # the RungValue, or the attempt as its trial's status has it


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
        first, told = begin(snapshot.records) or 0.0, moments(snapshot.records)
        times = sorted(
            (first + each.seconds, each.value.sequence) for each in told if each.seconds is not None
        )
        self._times = [time for time, _ in times]
        self._places = list(accumulate((sequence for _, sequence in times), max))
        self._last = max((each.value.sequence for each in told), default=0)
        made = [*self._values(told, first), *self._others(snapshot.runs)]
        self.entries = sorted(made, key=_key)

    def _place(self, time: float | None) -> int:
        """The last value that was known at a time; of none, the last of all."""
        if time is None:
            return self._last
        at = bisect_right(self._times, time)
        return self._places[at - 1] if at else 0

    def _values(self, told: Sequence[Moment], first: float) -> Iterator[Entry]:
        for each in told:
            value, index = each.value, each.run.index
            group = self._scheduler.group(index, each.run.bracket)
            own = Recorded(value.sequence, self._loss(value.value), index)
            self._groups[group, value.level].append(own)
            at = None if each.seconds is None else first + each.seconds
            yield Entry(value.sequence, 0, index, value.level, "value", at, value)

    def _others(self, runs: Mapping[int, Run]) -> Iterator[Entry]:
        for index, trial in self._trials.items():
            run, known = runs[index], status(trial)
            attempts = list(zip(known.get("attempts") or (), run.attempts, strict=True))
            yield from self._attempts(index, attempts)
            if self._scheduler.pauses:
                yield from self._promotions(run, attempts, known)

    def _attempts(self, index: int, attempts: Sequence[tuple[Body, Attempt]]) -> Iterator[Entry]:
        for given, read in attempts:
            number = int(given["number"])
            if number == 0:
                place = self._place(read.start)
                yield Entry(place, 1, index, number, "started", read.start, given)
            if read.outcome in ENDS:
                yield Entry(self._place(read.end), 2, index, number, "ended", read.end, given)

    def _promotions(
        self, run: Run, attempts: Sequence[tuple[Body, Attempt]], known: Body
    ) -> Iterator[Entry]:
        """From each level but the last one that it has reached."""
        for value, after in zip_longest(run.values, run.values[1:]):
            if after is None and int(known.get("targetLevel", value.level)) <= value.level:
                continue
            start = _next_start(attempts, value.resource)
            place = max(self._place(start), value.sequence)
            if after is not None:
                place = min(place, after.sequence - 1)
            yield Entry(place, 3, run.index, value.level, "promoted", start, value)

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
        group = self._scheduler.group(entry.trial, int(trial["spec"]["bracket"]))
        key = (group, entry.number)
        if key not in self._histories:
            self._histories[key] = History(self._groups[key])
        value: RungValue = entry.given
        own = Recorded(value.sequence, self._loss(value.value), entry.trial)
        return self._histories[key], own

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
        value = number(entry.given.value)
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


def _next_start(attempts: Sequence[tuple[Body, Attempt]], resource: float) -> float | None:
    """When the first attempt began that got beyond so much of the resource, if it has."""
    reached = next(
        (g["number"] for g, read in attempts if (read.resource or 0.0) >= resource), None
    )
    if reached is None:
        return None
    return next((read.start for given, read in attempts if given["number"] > reached), None)


def _clock(seconds: float) -> str:
    return in_seconds(datetime.fromtimestamp(seconds, UTC))
