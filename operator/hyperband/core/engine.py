"""Records in, decisions out.

Methods that decide change nothing: they return the trial record as it shall be. Once a backend has
written that record, `put` takes it in. The indices kept here are an optimization: an engine
rebuilt from the same records gives the same decisions (a property test holds that).
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace

from hyperband.core import targets
from hyperband.core.decisions import NO_RESULT, Action, Closing, Decision, Finish, Outcome, Reason
from hyperband.core.ends import Ends
from hyperband.core.gp.proposing import Proposal, Proposing
from hyperband.core.origins import describe
from hyperband.core.records import (
    Fit,
    Report,
    RungValue,
    Spent,
    Study,
    Suggestion,
    Target,
    Trial,
    TrialState,
)
from hyperband.core.rungs import Ladder, Standing
from hyperband.core.schedulers import make_scheduler
from hyperband.core.searchers import make_searcher

_STATE_AFTER = {
    Action.CONTINUE: TrialState.RUNNING,
    Action.PAUSE: TrialState.PAUSED,
    Action.STOP: TrialState.STOPPED,
    Action.COMPLETE: TrialState.COMPLETED,
}
_NOTHING = Spent()


class Engine:
    """All that a study's decisions depend on, built from its trial records."""

    def __init__(self, study: Study, trials: Iterable[Trial] = ()) -> None:
        self.study = study
        self.ladder = Ladder.of(study)
        self.scheduler = make_scheduler(study, self.ladder)
        self.rungs = self.scheduler.rungs
        self.searcher = make_searcher(study, self.ladder)
        self.trials: dict[int, Trial] = {}
        self.states: Counter[TrialState] = Counter()
        self.promotions = 0  # how many times a trial went on to a higher rung
        self.spared = 0.0  # the resource that early stopping has spared, against r_max for all
        self.best: tuple[float, float, int] | None = None  # (loss, -resource, index)
        self._active: set[int] = set()
        self._ends = Ends(study)
        self._gaps: set[int] = set()  # indices below the next one that are still to be started
        self._presumed: set[int] = set()  # trials whose last decision may not be written
        self._next_sequence = 0
        for trial in sorted(trials, key=lambda t: t.index):
            self.put(trial)

    # -- records in ------------------------------------------------------------------------

    def new_trial(self, index: int, bracket: int, suggestion: Suggestion) -> Trial:
        """The record of a trial that was created and to which nothing has happened yet."""
        target = self.scheduler.first_target(bracket)
        company = self.scheduler.company(index, bracket)
        return Trial(
            index,
            suggestion,
            bracket,
            TrialState.PENDING,
            target,
            reason=Reason.NEW_CONFIGURATION.value,
            message=f"a new configuration ({self._origin(suggestion)}), "
            f"to {self._resource(target)}{company}",
        )

    def put(self, trial: Trial) -> None:
        """Takes in a record that has been written."""
        self._presumed.discard(trial.index)
        self._gaps.discard(trial.index)
        old = self.trials.get(trial.index)
        self.trials[trial.index] = trial
        if old:
            self.states[old.state] -= 1
            self.spared -= self._spared(old)
        self.states[trial.state] += 1
        self.spared += self._spared(trial)
        before = old.target if old else self.scheduler.first_target(trial.bracket)
        self.promotions += trial.target - before
        if trial.state.active:
            self._active.add(trial.index)
        else:
            self._active.discard(trial.index)
        for value in trial.rungs[len(old.rungs) if old else 0 :]:
            self._next_sequence = max(self._next_sequence, value.sequence + 1)
            rank = (self.study.objective.loss(value.value), -value.resource, trial.index)
            self.best = rank if self.best is None else min(self.best, rank)
        self._ends.record(trial)
        self.scheduler.record(old, trial)
        self.searcher.record(old, trial)

    def presume(self, trial: Trial) -> None:
        """Takes in a record that is being written; `put` follows when it is.

        If that fails, this engine is of no use any more: it has to be built anew from what is
        written.
        """
        self.put(trial)
        self._presumed.add(trial.index)

    @property
    def presumes(self) -> bool:
        """Whether it holds a record of which it is not known if it is written."""
        return bool(self._presumed)

    def start_missing(self, begin: int) -> None:
        """Has trials that are missing from this index on started, before any other.

        Several are created at once, so that one may be missing below one that is there. Whoever
        knows which of them have been there, and were deleted since, says so by `begin`: their
        indices are not given again.
        """
        self.scheduler.pass_over(begin)
        indices = range(begin, self.scheduler.next_index)
        self._gaps = {index for index in indices if index not in self.trials}

    @property
    def all_started_below(self) -> int:
        """Each trial with a lower index has been written, and if it is missing, deleted since."""
        return min(self._gaps | self._presumed, default=self.scheduler.next_index)

    @property
    def active(self) -> Iterator[Trial]:
        """The trials that hold a slot, by index."""
        return (self.trials[index] for index in sorted(self._active))

    @property
    def indices_of_active(self) -> Set[int]:
        """Of the trials that hold a slot."""
        return self._active

    # -- decisions out ---------------------------------------------------------------------

    def launch(self, lingering: int = 0) -> Decision | None:
        """What to do with a free slot: promote, start, or nothing. Not asked while `closing`.

        Args:
            lingering: slots held by the pods, not yet ended, of trials that are not active. (The
                earlier pod of an active trial needs no slot: the next one waits for its end.)
        """
        if len(self._active) + lingering >= self.study.parallelism:
            return None
        if self._gaps and (start := self._start()):  # before its rung passes it by
            return start
        return self._promote() or self._start()

    def starts(self, lingering: int = 0) -> bool:
        """Whether `launch` would start a new configuration: a suggestion takes its time."""
        free = len(self._active) + lingering < self.study.parallelism
        start = free and self._next_bracket() is not None
        return start and (bool(self._gaps) or self._promote() is None)

    def fitting(self, lingering: int = 0) -> Callable[[], Fit] | None:
        """The fit of a surrogate that `launch` would make first, to be made elsewhere.

        It can be pickled; `fitted` takes its result in. Without that, `launch` makes it itself.
        """
        if self.searcher.given(self._index_to_start) or not self.starts(lingering):
            return None
        return self.searcher.fitting()

    def fitted(self, fit: Fit) -> None:
        """Takes in what a fitting has come to."""
        self.searcher.fitted(fit)

    def proposing(self, lingering: int = 0) -> Proposing | None:
        """The work that a suggestion of `launch` takes, to be done elsewhere.

        It can be pickled; `proposed` takes its result in. Without that, `launch` does it itself.
        """
        if self.searcher.given(self._index_to_start) or not self.starts(lingering):
            return None
        return self.searcher.proposing(self._index_to_start)

    def proposed(self, proposal: Proposal) -> None:
        """Takes in what a proposing has come to."""
        self.searcher.proposed(proposal)

    def seen_running(self, index: int) -> Decision | None:
        """The trial's current attempt runs."""
        trial = self.trials[index]
        if trial.state is not TrialState.PENDING:
            return None
        message = f"attempt {trial.attempt} runs up to {self._resource(trial.target)}"
        if not trial.rungs:  # as long as it has no value, that is why it is tried
            message += f" ({self._origin(trial.suggestion)})"
        running = replace(trial, state=TrialState.RUNNING)
        return _decide(Action.RUN, Reason.ATTEMPT_RUNNING, message, running)

    def observe(self, index: int, reports: Sequence[Report]) -> Decision | None:
        """What the reports of the current attempt, oldest first, lead to.

        A level's value is the first report at or above it; levels that have one are passed over,
        so giving the same reports again decides nothing. A diverged report (NaN, infinite) fails
        the trial: training does not recover from it, and repeating it would spend the same again.
        """
        trial = self.trials[index]
        if not trial.state.active:
            return None
        healthy = _until_diverged(reports)
        decision = self._climb(trial, healthy)
        if met := targets.first_met(self.study, healthy):
            return self._reach_target(decision.trial if decision else trial, *met)
        if len(healthy) == len(reports) or (decision and not decision.trial.state.active):
            return decision
        diverged = reports[len(healthy)]
        return _decide(
            Action.FAIL,
            Reason.DIVERGED,
            f"{self.study.objective.metric} was {diverged.value} at "
            f"{self.study.resource.amount(diverged.resource)}; not repeated",
            replace(decision.trial if decision else trial, state=TrialState.FAILED),
        )

    def attempt_ended(self, index: int, outcome: Outcome, detail: str = "") -> Decision | None:
        """The current attempt is over, after all its reports were observed."""
        trial = self.trials[index]
        if not trial.state.active:
            return None
        if outcome is Outcome.DISRUPTED:
            return self._repeat(trial, Reason.DISRUPTED, detail, disruptions=1)
        reason = Reason.ATTEMPT_FAILED
        if outcome is Outcome.SUCCEEDED:
            reason = Reason.NO_FINAL_REPORT
            wanted = f"{self.study.objective.metric} at {self._resource(trial.target)}"
            detail = f"exited with 0 without reporting {wanted}{detail and '; '}{detail}"
        if trial.failures < self.study.failure_policy.retries:
            return self._repeat(trial, reason, detail, failures=1)
        attempts = trial.failures + 1
        failed = replace(trial, state=TrialState.FAILED, failures=attempts)
        message = f"{attempts} failed attempts; the last one: {detail}"
        if attempts == 1:
            message = f"its attempt failed: {detail}"
        return _decide(Action.FAIL, Reason.RETRIES_EXHAUSTED, message, failed)

    def suspended(self, index: int, why: str) -> Decision | None:
        """The current attempt was ended because the study, or this trial, has to wait."""
        trial = self.trials[index]
        if not trial.state.active:
            return None
        return self._repeat(trial, Reason.SUSPENDED, why, disruptions=0)

    def closing(self, spent: Spent = _NOTHING) -> Closing | None:
        """Why nothing may be launched any more, whatever there is to do."""
        return self._ends.closing(spent, self._no_result)

    def finish(self, spent: Spent = _NOTHING) -> Finish | None:
        """Whether the study is over, and why; what still holds a slot then, `wind_down` ends."""
        closing = self.closing(spent)
        if closing is not None:
            waits = closing.patient and self.states[TrialState.RUNNING] > 0
            return None if waits else closing.finish
        if self._active or self._promote() or self._next_bracket() is not None:
            return None
        if no_result := self._no_result():
            return Finish(False, NO_RESULT, no_result)
        return Finish(True, "Exhausted", f"all {len(self.trials)} trials are decided")

    def _no_result(self) -> str:
        """That no trial has one, in words; empty if one has."""
        if self.best is not None:
            return ""
        return f"none of {len(self.trials)} trials has a result{self._ends.last_failure()}"

    def wind_down(
        self, spent: Spent = _NOTHING, given_up: Finish | None = None
    ) -> Iterator[Decision]:
        """Ends what holds a slot and must not go on while the study closes.

        Args:
            given_up: an end that the backend has come to, which records do not tell.
        """
        closing = Closing(given_up) if given_up else self.closing(spent)
        if closing is None:
            return
        for trial in self.active:
            if closing.patient and trial.state is TrialState.RUNNING:
                continue
            stopped = replace(trial, state=TrialState.STOPPED)
            yield _decide(Action.STOP, Reason.STUDY_ENDED, closing.finish.message, stopped)

    def resource_units(self, trial: Trial, reached: float) -> float:
        """What a trial has spent of the resource, repetitions after disruptions left out.

        Args:
            reached: the highest resource that it has reported.
        """
        reached = max(0.0, min(reached, self.study.resource.max))
        if self.study.resume or not self.scheduler.pauses:
            return reached
        # Each promotion has begun anew.
        spent = sum(value.resource for value in trial.rungs)
        return spent + (reached if not trial.rungs or reached > trial.rungs[-1].resource else 0.0)

    def _spared(self, trial: Trial) -> float:
        """What is left to r_max of a trial that is paused, or was stopped as not good enough."""
        stopped = trial.state is TrialState.STOPPED and trial.reason == Reason.NOT_GOOD_ENOUGH
        if not trial.rungs or not (stopped or trial.state is TrialState.PAUSED):
            return 0.0
        spent = self.resource_units(trial, trial.rungs[-1].resource)
        return self.study.resource.max - spent

    # -- how ---------------------------------------------------------------------------------

    def _next_bracket(self) -> int | None:
        """The bracket of the next new trial, or None if none may start."""
        if self._index_to_start >= self.study.max_trials:
            return None
        return self.scheduler.bracket(self._index_to_start)

    @property
    def _index_to_start(self) -> int:
        return min(self._gaps, default=self.scheduler.next_index)

    def _start(self) -> Decision | None:
        index, bracket = self._index_to_start, self._next_bracket()
        if bracket is None:
            return None
        trial = self.new_trial(index, bracket, self.searcher.suggest(index))
        return _decide(Action.START, Reason.NEW_CONFIGURATION, trial.message, trial)

    def _promote(self) -> Decision | None:
        promotion = self.scheduler.promotion()
        if promotion is None:
            return None
        trial = self.trials[promotion.index]
        promoted = replace(
            trial,
            state=TrialState.PENDING,
            target=promotion.target,
            attempt=trial.attempt + 1,
        )
        message = (
            f"{self._standing(promotion.level, trial.rungs[-1].value, promotion.standing)}; "
            f"the best {promotion.standing.limit} may go on; "
            f"goes on to {self._resource(promotion.target)}"
        )
        evidence = _evidence(promotion.level, trial.rungs[-1].value, promotion.standing)
        return _decide(Action.PROMOTE, Reason.PROMOTED, message, promoted, evidence)

    def _climb(self, trial: Trial, reports: Sequence[Report]) -> Decision | None:
        """Records the levels that the reports reach, up to the first that ends the attempt."""
        decision = None
        level = self.ladder.first(trial.bracket) if trial.level is None else trial.level + 1
        while level <= trial.target:
            report = next((r for r in reports if r.resource >= self.ladder[level]), None)
            if report is None:
                break
            decision = self._record(decision.trial if decision else trial, level, report)
            if decision.action is not Action.CONTINUE:
                break
            level += 1
        return decision

    def _record(self, trial: Trial, level: int, report: Report) -> Decision:
        known = len(self.trials[trial.index].rungs)
        sequence = self._next_sequence + len(trial.rungs) - known
        reached = min(report.resource, self.ladder[self.ladder.top])
        value = RungValue(level, report.value, sequence, reached)
        standing = self.scheduler.standing(trial, level, report.value)
        judgement = self.scheduler.judge(level, standing)
        # This stays in the record of a trial that never goes on, when more values have come.
        message = f"{self._standing(level, report.value, standing)} when it came"
        if level < self.ladder.top:
            coming = standing.values + standing.awaited
            alone = coming == 1 and self.scheduler.lone_waits
            message += (
                "; waits for others to be compared with"
                if alone
                else f"; the best {standing.limit} of {coming} may go on"
            )
        recorded = replace(trial, rungs=(*trial.rungs, value), state=_STATE_AFTER[judgement.action])
        return _decide(
            judgement.action,
            judgement.reason,
            message,
            recorded,
            _evidence(level, report.value, standing),
        )

    def _reach_target(self, trial: Trial, report: Report, target: Target, value: float) -> Decision:
        """The trial has done what the study is for."""
        message = targets.in_words(self.study, target, value, report.resource)
        completed = trial.level == self.ladder.top
        action = Action.COMPLETE if completed else Action.STOP
        done = replace(trial, state=_STATE_AFTER[action])
        return _decide(action, Reason.TARGET_REACHED, message, done, {"value": value})

    def _repeat(
        self, trial: Trial, reason: Reason, detail: str, failures: int = 0, disruptions: int = 0
    ) -> Decision:
        again = replace(
            trial,
            state=TrialState.PENDING,
            attempt=trial.attempt + 1,
            failures=trial.failures + failures,
            disruptions=trial.disruptions + disruptions,
        )
        message = f"attempt {trial.attempt}: {detail}" if detail else f"attempt {trial.attempt}"
        return _decide(Action.REPEAT, reason, message, again)

    def _origin(self, suggestion: Suggestion) -> str:
        return describe(suggestion, self.searcher.best, self._resource)

    def _resource(self, level: int) -> str:
        return self.study.resource.amount(self.ladder[level])

    def _standing(self, level: int, value: float, standing: Standing) -> str:
        return (
            f"{self.study.objective.metric} {value:.6g} at {self._resource(level)}: "
            f"rank {standing.rank} of {standing.values}"
        )


def _decide(
    action: Action,
    reason: Reason,
    message: str,
    trial: Trial,
    evidence: Mapping[str, float] | None = None,
) -> Decision:
    """A decision, its reason and message also in the record."""
    record = replace(trial, reason=reason.value, message=message)
    return Decision(action, reason, message, record, evidence or {})


def _evidence(level: int, value: float, standing: Standing) -> dict[str, float]:
    evidence = {
        "level": level,
        "value": value,
        "rank": standing.rank,
        "values": standing.values,
        "limit": standing.limit,
    }
    return evidence | {"awaited": standing.awaited} if standing.awaited else evidence


def _until_diverged(reports: Sequence[Report]) -> Sequence[Report]:
    """The reports before the first one that is NaN or infinite."""
    bad = next((i for i, r in enumerate(reports) if not math.isfinite(r.value)), len(reports))
    return reports[:bad]
