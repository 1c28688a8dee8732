"""What is counted of one study, in plain numbers: kept up by its task, read at each scrape.

What stands in the study's status is read there, as it was last published: it is of bounded size and
at most some seconds old. What happens is counted here, from the time on at which this process took
the study up; Prometheus knows how to deal with counters that begin again.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from hyperband.api.status import READY, is_finished
from hyperband.api.trial import AttemptRecord
from hyperband.core.decisions import Action, Decision, Outcome, Reason

# All that an engine decides; each is there as 0 before it first happens.
DECISIONS = (
    (Action.START, Reason.NEW_CONFIGURATION),
    (Action.PROMOTE, Reason.PROMOTED),
    (Action.RUN, Reason.ATTEMPT_RUNNING),
    (Action.CONTINUE, Reason.GOOD_ENOUGH),
    (Action.PAUSE, Reason.RUNG_REACHED),
    (Action.STOP, Reason.NOT_GOOD_ENOUGH),
    (Action.STOP, Reason.TARGET_REACHED),
    (Action.STOP, Reason.STUDY_ENDED),
    (Action.COMPLETE, Reason.RESOURCE_REACHED),
    (Action.COMPLETE, Reason.TARGET_REACHED),
    (Action.REPEAT, Reason.DISRUPTED),
    (Action.REPEAT, Reason.SUSPENDED),
    (Action.REPEAT, Reason.ATTEMPT_FAILED),
    (Action.REPEAT, Reason.NO_FINAL_REPORT),
    (Action.FAIL, Reason.RETRIES_EXHAUSTED),
    (Action.FAIL, Reason.DIVERGED),
)
WASTED = (Outcome.FAILED, Outcome.DISRUPTED)


class StudyFigures:
    """The counts of one study.

    Attributes:
        decisions: by action and reason.
        attempts: that have ended, by outcome.
        wasted: GPU-seconds of attempts that came to nothing, by outcome.
        used: GPU-seconds by which the study's account has grown.
        finished: whether its status says so.
    """

    def __init__(self, namespace: str, name: str, body: Mapping[str, Any]) -> None:
        self.namespace, self.name = namespace, name
        self.decisions: Counter[tuple[Action, Reason]] = Counter(dict.fromkeys(DECISIONS, 0))
        self.attempts: Counter[Outcome] = Counter(dict.fromkeys(Outcome, 0))
        self.wasted: dict[Outcome, float] = dict.fromkeys(WASTED, 0.0)
        self.used = 0.0
        self.finished = False
        self._spared = 0.0
        self._body: Mapping[str, Any] = {}
        self._account: float | None = None  # the highest seen
        self.take_in(body)

    # -- what others tell it -----------------------------------------------------------------

    def take_in(self, body: Mapping[str, Any]) -> None:
        """The study's object as last seen or written."""
        self._body = body
        self.finished = is_finished(self._status)
        account = self.used_in_all
        if self._account is None:
            self._account = account
        elif account > self._account:  # an estimate may be corrected downwards; a counter may not
            self.used += account - self._account
            self._account = account

    def decided(self, decision: Decision) -> None:
        """A decision is written."""
        self.decisions[decision.action, decision.reason] += 1

    def attempt_ended(self, attempt: AttemptRecord) -> None:
        """The account of an attempt is closed."""
        outcome = Outcome(attempt.outcome)
        self.attempts[outcome] += 1
        if outcome in self.wasted:
            self.wasted[outcome] += attempt.gpu_seconds

    def spare(self, units: float) -> None:
        """What the engine says that trials which were ended early have spared of the resource."""
        self._spared = units

    # -- what the object says ----------------------------------------------------------------

    @property
    def _status(self) -> Mapping[str, Any]:
        return self._body.get("status") or {}

    @property
    def spec(self) -> Mapping[str, Any]:
        spec: Mapping[str, Any] = self._body.get("spec") or {}
        return spec

    @property
    def used_in_all(self) -> float:
        """GPU-seconds, since the study's start."""
        return float(self._status.get("gpuSeconds", 0.0))

    @property
    def saved(self) -> float:
        """GPU-seconds that early stopping has spared, at what a unit of the resource has cost.

        For each trial that is paused or was stopped as not good enough: the resource that it would
        have taken to r_max, without what it has spent, times the GPU-seconds that the study has
        used for each unit of the resource that its trials have reported.
        """
        units = float(self._status.get("resourceUnits", 0.0))
        return self._spared * self.used_in_all / units if units > 0 else 0.0

    @property
    def best(self) -> float | None:
        best = self._status.get("best")
        return None if best is None else float(best["value"])

    def trials(self, state: str) -> int:
        return int((self._status.get("trials") or {}).get(state.lower(), 0))

    def rungs(self) -> Iterator[tuple[str, str, int, int]]:
        """(bracket, level, trials with a value there, those of them that are paused there)."""
        for bracket in self._status.get("brackets") or ():
            for rung in bracket["rungs"]:
                place = str(bracket["bracket"]), f"{rung['resource']:g}"
                yield *place, rung["trials"], rung.get("paused", 0)

    def conditions(self) -> Iterator[tuple[str, str]]:
        """(type, status)."""
        for condition in self._status.get("conditions") or ():
            yield condition["type"], condition["status"]

    @property
    def held(self) -> str:
        """The reason for which nothing may start; empty if there is none."""
        for condition in self._status.get("conditions") or ():
            if condition["type"] == READY and condition["status"] == "False":
                return "" if self.finished else str(condition["reason"])
        return ""
