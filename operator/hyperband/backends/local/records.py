"""A run's records: what is decided is written first, then taken into the engine."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from hyperband.api import names
from hyperband.api.metrics import NO_REPORTS, Reports
from hyperband.api.status import SUSPENDED, budget_reached, conditions, counts_in_words, progress
from hyperband.api.study import StudyResource
from hyperband.api.times import in_seconds
from hyperband.api.trial import AttemptRecord, TrialResource
from hyperband.backends.local.store import Store
from hyperband.core.budgets import exceeded
from hyperband.core.decisions import Decision, Finish
from hyperband.core.engine import Engine
from hyperband.core.records import Spent, Trial, TrialState


@dataclass(frozen=True, slots=True)
class Clock:
    """What tells the time."""

    now: Callable[[], datetime]  # in UTC
    monotonic: Callable[[], float]


class Records:
    """One study's records, as written.

    Attributes:
        study: as its file says.
        engine: decides, from these records.
        body: the study's object, with its status as last written.
        trials: by index.
        bodies: the same as objects.
    """

    def __init__(self, study: StudyResource, body: dict[str, Any], store: Store, clock: Clock):
        self.study, self.body, self.engine = study, body, Engine(study.study)
        self._store, self._clock = store, clock
        self.bodies = {each["spec"]["index"]: each for each in store.bodies()}
        self.trials = store.trials(self.engine)
        self._elapsed, self._since = store.read().elapsed, clock.monotonic()
        self._units = {i: self._units_of(each) for i, each in self.trials.items()}

    # -- trials ----------------------------------------------------------------------------

    def commit(
        self,
        decision: Decision,
        reports: Reports = NO_REPORTS,
        attempt: AttemptRecord | None = None,
    ) -> None:
        """Writes a decision and what goes with it, and only then takes it into the engine."""
        trial = decision.trial
        known = self.trials.get(trial.index) or self._new(trial)
        same = known.trial.state is trial.state and known.transition_time is not None
        changed = replace(
            known,
            trial=trial,
            transition_time=known.transition_time if same else self._clock.now(),
            evidence=dict(decision.evidence),
        )
        self._write(changed.with_reports(reports), attempt)
        self.engine.put(trial)

    def progress(self, index: int, reports: Reports, attempt: AttemptRecord) -> None:
        """Writes what goes with a trial but decides nothing: its curve, its account."""
        self._write(self.trials[index].with_reports(reports), attempt)

    def _write(self, resource: TrialResource, attempt: AttemptRecord | None) -> None:
        if attempt is not None:
            resource = resource.with_attempt(attempt)
        index = resource.trial.index
        self.bodies[index] = self._store.write_trial(self.study, resource)
        self.trials[index] = resource
        self._units[index] = self._units_of(resource)

    def _new(self, trial: Trial) -> TrialResource:
        name = names.trial_name(self.study.name, trial.index)
        uid = str(uuid5(NAMESPACE_URL, f"{self.study.uid}/{trial.index}"))
        return TrialResource(trial, name, uid, "", self.engine.ladder)

    def _units_of(self, resource: TrialResource) -> float:
        reached = resource.curve[-1].resource if resource.curve else 0.0
        return self.engine.resource_units(resource.trial, reached) if reached else 0.0

    # -- the study -------------------------------------------------------------------------

    @property
    def elapsed(self) -> float:
        """Seconds for which it has run, this time and before."""
        return self._elapsed + self._clock.monotonic() - self._since

    def spent(self, live: Iterable[tuple[int, float, float]] = ()) -> Spent:
        """What the study has spent.

        Args:
            live: of attempts whose account is not closed: trial, GPU-seconds, resource reported.
        """
        gpu_seconds = sum(each.gpu_seconds for each in self.trials.values())
        units = dict(self._units)
        for index, seconds, reached in live:
            gpu_seconds += seconds
            more = self.engine.resource_units(self.engine.trials[index], reached)
            units[index] = max(units[index], more)
        known = budget_reached(self.body)
        return Spent(gpu_seconds, self.elapsed, sum(units.values()), known)

    def note_budget(self, spent: Spent) -> Spent:
        """Writes that the budget is reached when it is, before anything follows from that."""
        found = exceeded(self.study.study, spent)
        if not found or spent.reached:
            return spent
        budget = self.body["spec"]["budget"]
        status = {**(self.body.get("status") or {})}
        status["budgetReached"] = {"message": found, "budget": budget, "time": self._time()}
        self._write_status(status)
        return replace(spent, reached=found)

    def publish(self, spent: Spent, finish: Finish | None = None, *, interrupted: str = "") -> None:
        """Writes the study's status."""
        old, now = self.body.get("status") or {}, self._clock.now()
        status = {**old, **progress(self.engine, spent)}
        status["observedGeneration"] = self.study.generation
        status["startTime"] = start = old.get("startTime") or self._time()
        since = (now - datetime.fromisoformat(start)).total_seconds()
        status["suspendedSeconds"] = round(max(0.0, since - self.elapsed), 1)
        if finish is not None:
            status["completionTime"] = self._time()
        rows = conditions(
            blocked=None,
            suspended=bool(interrupted),
            finish=finish,
            running=self.engine.states[TrialState.RUNNING] > 0,
            progress_message=interrupted or counts_in_words(self.engine),
            generation=self.study.generation,
            spent=spent.reached,
            before=old.get("conditions") or [],
            now=self._time(),
        )
        for row in rows:
            if interrupted and row["type"] == SUSPENDED:
                row |= {"reason": "Interrupted", "message": interrupted}
        status["conditions"] = rows
        self._write_status({key: value for key, value in status.items() if value is not None})

    def _write_status(self, status: Mapping[str, Any]) -> None:
        self.body = {**self.body, "status": dict(status)}
        self._store.write_study(self.body, self.elapsed)

    def _time(self) -> str:
        return in_seconds(self._clock.now())
