"""The life of a trial, decision by decision, told from the records of its study. Pure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hyperband.api.status import is_finished
from hyperband.api.study import parse_study
from hyperband.api.words import condition, number, span
from hyperband.core.brackets import Instances, rung_sizes
from hyperband.core.origins import describe
from hyperband.core.records import Study, Suggestion
from hyperband.core.rungs import Ladder, Standing
from hyperband.core.schedulers import make_scheduler
from hyperband.core.standings import Limit, Recorded, first_good, standing_at, values_needed

Body = Mapping[str, Any]
MAX_NEEDED = 1_000_000


@dataclass(frozen=True, slots=True)
class Past:
    """What is read of every trial of a study."""

    index: int
    bracket: int
    rungs: Sequence[Body]  # as in its status


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened to a trial: in a word, in a sentence, and its numbers."""

    what: str
    text: str
    numbers: Mapping[str, Any] = field(default_factory=dict)


def story(
    body: Body, trial: Body, trials: Sequence[Past], pod: Body | None, *, local: bool = False
) -> list[Step]:
    """All that happened to a trial, in order, and last how it stands now.

    Args:
        body: the study.
        trials: all trials of the study, the one itself included.
        pod: of the current attempt, if it is there.
        local: whether attempts are processes of a machine without a cluster.
    """
    return list(_Teller(body, trial, trials, local).tell(pod))


class _Teller:
    def __init__(self, body: Body, trial: Body, trials: Sequence[Past], local: bool) -> None:
        self._body, self._trial, self._local = body, trial, local
        self._status: Body = trial.get("status") or {}
        self._study: Study = parse_study(body).study
        self._ladder = Ladder.of(self._study)
        self._scheduler = make_scheduler(self._study, self._ladder)
        self._index, self._bracket = int(trial["spec"]["index"]), int(trial["spec"]["bracket"])
        group = self._scheduler.group
        own = group(self._index, self._bracket)
        self._company = [t for t in trials if group(t.index, t.bracket) == own]
        self._rungs: Sequence[Body] = self._status.get("rungs") or []

    def tell(self, pod: Body | None) -> Iterator[Step]:
        yield self._configuration()
        left = list(self._rungs)
        for attempt in self._status.get("attempts") or []:
            yield _begin(attempt, self._local)
            reached = attempt.get("resource", math.inf if not attempt.get("endTime") else -1)
            promoted: list[Step] = []  # after the end of the pod that paused
            while left and left[0]["resource"] <= reached:
                promoted += self._promoted(left[0])
                yield from self._value(left.pop(0))
            if attempt.get("endTime"):
                yield _end(attempt, self._study.resource.name)
            yield from promoted
        for value in left:  # of attempts that are not listed
            yield from self._value(value)
            yield from self._promoted(value)
        yield self._now(pod)

    def _configuration(self) -> Step:
        given = self._trial["spec"]["suggestion"]
        detail = given.get("detail") or {}
        suggestion = Suggestion(self._trial["spec"]["parameters"], given["origin"], detail)
        text = describe(suggestion, (), lambda level: self._amount(self._ladder[level]))
        if "improvement" in detail:
            text += f", expected improvement {detail['improvement']:.4g}"
        return Step("configuration", text, dict(detail))

    @property
    def _what(self) -> str:
        return "process" if self._local else "pod"

    def _amount(self, resource: float) -> str:
        return self._study.resource.amount(resource)

    # -- values ----------------------------------------------------------------------------------

    def _values(self, level: int) -> list[Recorded]:
        loss = self._study.objective.loss
        return [
            Recorded(int(value["sequence"]), loss(float(value["value"])), past.index)
            for past in self._company
            for value in past.rungs
            if value["level"] == level
        ]

    def _own(self, value: Body) -> Recorded:
        loss = self._study.objective.loss(float(value["value"]))
        return Recorded(int(value["sequence"]), loss, self._index)

    def _limit(self, level: int) -> Limit:
        """How many may go on among n values; of synchronous brackets, the places they have."""
        if self._study.mode == "Synchronous" and level < self._ladder.top:
            instances = Instances(self._study, len(self._ladder))
            trials = instances.trials(instances.number(self._index))
            last = max(self._study.max_trials, trials.start + 1)
            start = min(trials.stop, last) - trials.start
            sizes = rung_sizes(start, self._bracket + 1, self._study.eta)
            places = sizes[level - self._ladder.first(self._bracket) + 1]
            return lambda n: places
        return lambda n: self._ladder.limit(level, n)

    def _value(self, value: Body) -> Iterator[Step]:
        level = int(value["level"])
        own, values, limit = self._own(value), self._values(level), self._limit(level)
        then = standing_at(values, own, own.sequence, limit)
        metric, where = self._study.objective.metric, self._amount(self._ladder[level])
        text = f"{metric} {number(float(value['value']))} at {where}: {_ranked(then)} when it came"
        if level < self._ladder.top:
            text += f"; the best {then.limit} may go on"
        numbers = {"level": level, "value": value["value"], "resource": value["resource"]}
        numbers |= {"sequence": own.sequence, **_numbers(then)}
        yield Step("value", text, numbers)
        yield self._decision(level, then)

    def _decision(self, level: int, then: Standing) -> Step:
        if level == self._ladder.top:
            return Step("decision", "completed: trained in full")
        if self._scheduler.pauses:
            return Step(
                "decision", f"paused: its {self._what} ends at the rung, and gives its GPUs back"
            )
        if then.good_enough:
            return Step("decision", "went on: good enough", _numbers(then))
        return Step("decision", "stopped: not good enough", _numbers(then))

    def _promoted(self, value: Body) -> list[Step]:
        """The promotion from a value's rung, if there was one."""
        level = int(value["level"])
        if level == self._ladder.top or not self._scheduler.pauses:
            return []
        after = next((int(v["sequence"]) for v in self._rungs if v["level"] > level), None)
        if after is None and int(self._status.get("targetLevel", level)) <= level:
            return []
        return [self._promotion(level, self._own(value), after)]

    def _promotion(self, level: int, own: Recorded, after: int | None) -> Step:
        """When a trial could go on: its slot may have come later."""
        values, limit = self._values(level), self._limit(level)
        end = 1 + max(v.sequence for v in values) if after is None else after
        least = 2 if self._scheduler.lone_waits else 1
        up = self._amount(self._ladder[level + 1])
        if self._study.mode == "Synchronous":
            standing = standing_at(values, own, end - 1, limit)
            text = f"promoted to {up}: {_ranked(standing)} of the full rung"
            text += f", which passes on {standing.limit}"
            return Step("decision", text, _numbers(standing))
        found = first_good(values, own, end, limit, least)
        if found is None:  # records of others were deleted
            return Step("decision", f"promoted to {up}; the values that made it so are gone")
        moment, standing = found
        when = "at once" if moment == own.sequence else f"from value {moment} of the study on"
        text = f"promoted to {up}: good enough {when}, {_ranked(standing)}"
        text += f"; the best {standing.limit} may go on"
        return Step("decision", text, {"sequence": moment, **_numbers(standing)})

    # -- now -------------------------------------------------------------------------------------

    def _now(self, pod: Body | None) -> Step:
        state = self._status.get("state", "Pending")
        text = f"{state}: {self._status.get('message') or 'nothing has happened to it yet'}"
        waits = ""
        if state == "Pending":
            waits = f"waits for its {self._what} to run{'' if self._local else _pod_words(pod)}"
        elif state == "Running":
            waits = f"trains up to {self._amount(float(self._status.get('target', 0)))}"
        elif state == "Paused":
            waits = self._paused()
        if self._status.get("reportError"):
            waits += f"{waits and '; '}its last report is wrong: {self._status['reportError']}"
        evidence = dict(self._status.get("evidence") or {})
        return Step("now", f"{text}; {waits}" if waits else text, evidence)

    def _paused(self) -> str:
        """What a paused trial waits for, as the rung stands now."""
        if is_finished(self._body.get("status") or {}):
            reason = condition(self._body, "Finished").get("reason", "")
            return f"paused for good, as the study is over ({reason})"
        level = int(self._rungs[-1]["level"])
        own, values, limit = self._own(self._rungs[-1]), self._values(level), self._limit(level)
        last = max((v.sequence for v in values), default=0)
        standing = standing_at(values, own, last, limit)
        now = f"now {_ranked(standing)}, and the best {standing.limit} may go on"
        if self._study.mode == "Synchronous":
            return f"{now} once the rung is full"
        if self._scheduler.lone_waits and standing.values < 2:
            return "it is alone at its rung still"
        if standing.good_enough:
            return f"{now}: waits for a slot; higher rungs and better trials go first"
        needed = values_needed(standing.rank, standing.values, limit, MAX_NEEDED)
        more = f": it takes {needed} values, none of the new ones better" if needed else ""
        return now + more


def _numbers(standing: Standing) -> dict[str, int]:
    return {"rank": standing.rank, "values": standing.values, "limit": standing.limit}


def _ranked(standing: Standing) -> str:
    return f"rank {standing.rank} of {standing.values}"


def _begin(attempt: Body, local: bool) -> Step:
    what, where = ("process", "on") if local else (f"pod {attempt.get('pod', '?')}", "on node")
    text = f"attempt {attempt['number']}: {what}"
    if attempt.get("node"):
        text += f" {where} {attempt['node']}"
    if attempt.get("startTime"):
        text += f" from {_clock(attempt['startTime'])}"
    wait = _seconds(attempt.get("startTime"), attempt.get("trainingTime"))
    if wait is not None:
        text += f", trained {span(wait)} later"
    return Step("attempt", text, {k: v for k, v in attempt.items() if k != "reason"})


def _end(attempt: Body, resource: str) -> Step:
    text = f"attempt {attempt['number']} {attempt.get('outcome', 'ended')}"
    if attempt.get("reason"):
        text += f" ({attempt['reason']})"
    if attempt.get("resource") is not None:
        text += f" at {resource} {attempt['resource']:g}"
    took = _seconds(attempt.get("startTime"), attempt["endTime"])
    if took is not None:
        text += f" after {span(took)}"
    text += f", {number(float(attempt.get('gpuSeconds', 0.0)))} GPU-seconds"
    if attempt.get("outcome") == "Disrupted":
        text += "; uses no retry"
    keys = ("number", "outcome", "reason", "resource", "endTime", "gpuSeconds")
    return Step("end", text, {key: attempt[key] for key in keys if key in attempt})


def _clock(moment: str) -> str:
    return datetime.fromisoformat(moment).strftime("%Y-%m-%d %H:%M:%S")


def _seconds(start: str | None, end: str | None) -> float | None:
    if not (start and end):
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def _pod_words(pod: Body | None) -> str:
    if pod is None:
        return ", which is not there yet"
    rows = (pod.get("status") or {}).get("conditions") or []
    unscheduled = next(
        (row for row in rows if row["type"] == "PodScheduled" and row["status"] == "False"), None
    )
    if unscheduled is not None:
        return f": {unscheduled.get('reason', '')}: {unscheduled.get('message', '')}"
    return f", which is {(pod.get('status') or {}).get('phase', 'new')}"
