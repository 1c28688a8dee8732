"""What must hold in every simulation, checked after every decision and every event.

Written against design.md and the records alone: ranks, quantiles and candidates are recomputed
here by brute force, never asked of the engine. Only `same_when_rebuilt` compares engines.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from hyperband.backends.simulator.simulation import Observer
from hyperband.backends.simulator.workers import Attempt
from hyperband.core.decisions import Action, Decision, Outcome, Reason
from hyperband.core.engine import Engine
from hyperband.core.records import Goal, Report, Sizes, Study, Trial, TrialState

_ACTIVE = {TrialState.PENDING, TrialState.RUNNING}
_AFTER = {
    Action.START: TrialState.PENDING,
    Action.PROMOTE: TrialState.PENDING,
    Action.REPEAT: TrialState.PENDING,
    Action.RUN: TrialState.RUNNING,
    Action.CONTINUE: TrialState.RUNNING,
    Action.PAUSE: TrialState.PAUSED,
    Action.STOP: TrialState.STOPPED,
    Action.COMPLETE: TrialState.COMPLETED,
    Action.FAIL: TrialState.FAILED,
}


@dataclass(frozen=True)
class Instance:
    """One of the brackets that synchronous Hyperband runs one after the other."""

    bracket: int
    trials: range


@dataclass(frozen=True)
class SynchronousRung:
    """One of its rungs."""

    level: int
    passes: int  # how many go on from here
    complete: bool  # each of its trials has a value, has failed, or is lost
    gone: int  # have gone on from here
    paused: tuple[int, ...]  # wait here, best first


class Invariants(Observer):
    """An observer that raises AssertionError at the first thing that does not hold."""

    def __init__(self, study: Study, levels: tuple[float, ...], sample: int = 0) -> None:
        """Args:
        levels: the ladder, known to be right from its own tests.
        sample: rebuild the engine and compare it at every so many events; 0 is never.
        """
        self.study, self.levels = study, levels
        self.sign = 1 if study.objective.goal is Goal.MINIMIZE else -1
        self.records: dict[int, Trial] = {}
        self.rungs: dict[tuple[int, int], list[tuple[float, int]]] = {}  # (group, level)
        self.eta = Fraction(repr(study.eta))
        self.sizes = self._start_sizes()
        self.least = 0  # trials that there are whatever maxTrials says
        self.sequence = 0
        self.seen: set[Action | Reason] = set()
        self._attempts: dict[int, Attempt] = {}  # by trial, as of the last event
        self._sample, self.events = sample, 0

    # -- after every decision ----------------------------------------------------------------

    def decided(self, engine: Engine, decision: Decision) -> None:
        new, old = decision.trial, self.records.get(decision.trial.index)
        assert new.state is _AFTER[decision.action]
        assert (new.reason, new.message) == (decision.reason.value, decision.message)
        assert decision.message
        if old is None:
            self._check_start(decision)
        else:
            self._check_change(decision, old)
        for position in range(len(old.rungs) if old else 0, len(new.rungs)):
            self._check_value(decision, position)
        if decision.action is Action.PROMOTE:
            found = self._next_promotion()
            assert found == (new.index, new.target - 1), f"promoted {new.index}, not {found}"
        self.records[new.index] = new
        self.seen |= {decision.action, decision.reason}

    def _check_start(self, decision: Decision) -> None:
        new = decision.trial
        assert decision.action is Action.START
        assert new.index == len(self.records) < self.study.max_trials  # each index exactly once
        assert (new.attempt, new.rungs, new.failures, new.disruptions) == (0, (), 0, 0)
        assert len(self.levels) - self.study.brackets <= new.bracket < len(self.levels)
        first = len(self.levels) - 1 - new.bracket
        promotes = self.study.mode in ("Promotion", "Synchronous")
        assert new.target == (first if promotes else len(self.levels) - 1)
        assert self._next_promotion() is None
        if self.study.mode == "Synchronous":
            instance = self._instance(new.index)
            assert new.bracket == instance.bracket
            assert f"in bracket {new.bracket} with trials {instance.trials[0]} to" in new.message

    def _check_change(self, decision: Decision, old: Trial) -> None:
        new, action = decision.trial, decision.action
        assert action is not Action.START
        assert (old.state in _ACTIVE) is (action is not Action.PROMOTE)
        assert old.state is TrialState.PAUSED or action is not Action.PROMOTE
        assert (new.suggestion, new.bracket) == (old.suggestion, old.bracket)
        assert new.rungs[: len(old.rungs)] == old.rungs  # never overwritten
        assert len(new.rungs) == len(old.rungs) or action in (
            Action.CONTINUE, Action.PAUSE, Action.STOP, Action.COMPLETE, Action.FAIL,
        )  # fmt: skip
        again = action in (Action.PROMOTE, Action.REPEAT)
        assert new.attempt == old.attempt + again
        assert new.target == old.target + (action is Action.PROMOTE) <= len(self.levels) - 1
        failed = decision.reason in (
            Reason.ATTEMPT_FAILED, Reason.NO_FINAL_REPORT, Reason.RETRIES_EXHAUSTED,
        )  # fmt: skip
        assert new.failures == old.failures + failed
        assert new.disruptions == old.disruptions + (decision.reason is Reason.DISRUPTED)
        retries = self.study.failure_policy.retries
        if action is Action.REPEAT and failed:
            assert new.failures <= retries
        if decision.reason is Reason.RETRIES_EXHAUSTED:
            assert new.failures == retries + 1

    def _check_value(self, decision: Decision, position: int) -> None:
        """One new rung value, and what it led to."""
        trial, value = decision.trial, decision.trial.rungs[position]
        assert value.level == len(self.levels) - 1 - trial.bracket + position  # none is skipped
        assert value.level <= trial.target
        assert value.resource >= self.levels[value.level]
        assert math.isfinite(value.value)
        reports = self._attempts[trial.index].reports
        first = next(r for r in reports if r.resource >= self.levels[value.level])
        assert (value.resource, value.value) == (first.resource, first.value)
        assert value.sequence == self.sequence  # study-wide, in order, without gaps
        self.sequence += 1
        rung = self.rungs.setdefault((self._group(trial), value.level), [])
        rung.append((self.sign * value.value, trial.index))
        good = self._good_enough(self._group(trial), value.level, rung[-1])
        last = position == len(trial.rungs) - 1
        top = value.level == len(self.levels) - 1
        action = decision.action if last else Action.CONTINUE
        if action is Action.FAIL:  # recorded before it diverged: as if training went on
            action = Action.CONTINUE
        if top:
            assert action is Action.COMPLETE
        elif self.study.mode in ("Promotion", "Synchronous"):
            assert action is Action.PAUSE
        else:
            assert action is (Action.CONTINUE if good else Action.STOP)
        if last and decision.action is not Action.FAIL:
            assert decision.evidence["values"] == len(rung)
            assert decision.evidence["rank"] == self._rank(rung, rung[-1])
            if self.study.mode == "Synchronous" and not top:
                self._check_synchronous_value(decision)

    def _check_synchronous_value(self, decision: Decision) -> None:
        """It says how many of how many the rung passes on; it waits if and only if it is open."""
        trial = decision.trial
        after = {**self.records, trial.index: trial}
        instance = self._instance(trial.index)
        rungs = {rung.level: rung for rung in self._synchronous_rungs(instance, after)}
        rung = rungs[trial.rungs[-1].level]
        assert decision.evidence["limit"] == rung.passes
        assert ("awaited" in decision.evidence) is not rung.complete
        coming = decision.evidence["values"] + decision.evidence.get("awaited", 0)
        said = f"when it came; the best {rung.passes} of {coming} may go on"
        assert decision.message.endswith(said)

    # -- brute force -------------------------------------------------------------------------

    @staticmethod
    def _rank(rung: Collection[tuple[float, int]], own: tuple[float, int]) -> int:
        return 1 + sum(loss < own[0] or (loss == own[0] and index < own[1]) for loss, index in rung)

    def _group(self, trial: Trial) -> int:
        """Trials are ranked inside their bracket, or inside their instance of it."""
        if self.study.mode == "Synchronous":
            return self._instance(trial.index).trials[0]
        return trial.bracket

    def _good_enough(self, group: int, level: int, own: tuple[float, int]) -> bool:
        """Within the linear-interpolation quantile L[k]/L[k+1] of the rung's values."""
        if level == len(self.levels) - 1:
            return True
        rung = self.rungs[group, level]
        quotient = self.levels[level] / self.levels[level + 1]
        return self._rank(rung, own) - 1 <= (len(rung) - 1) * quotient + 1e-9

    def _next_promotion(self) -> tuple[int, int] | None:
        """(trial, level) that is to be promoted next, if any."""
        if self.study.mode == "Promotion":
            return self._asynchronous_promotion()
        if self.study.mode == "Synchronous":
            return self._synchronous_promotion()
        return None

    def _asynchronous_promotion(self) -> tuple[int, int] | None:
        waiting = [t for t in self.records.values() if t.state is TrialState.PAUSED]
        order = sorted(  # brackets by their start, rungs top down, then the best
            (-t.bracket, -t.rungs[-1].level, self.sign * t.rungs[-1].value, t.index)
            for t in waiting
        )
        for bracket, level, loss, index in order:
            enough = len(self.rungs[-bracket, -level]) >= 2
            if enough and self._good_enough(-bracket, -level, (loss, index)):
                return index, -level
        return None

    # -- brute force, synchronous --------------------------------------------------------------

    def _start_sizes(self) -> dict[int, int]:
        """What each bracket starts with, in the order of their opening."""
        levels, sizes = len(self.levels), {}
        for s in range(levels - 1, levels - 1 - self.study.brackets, -1):
            if self.study.sizes is Sizes.PAPER:
                sizes[s] = math.ceil(Fraction(levels, s + 1) * self.eta**s)
            else:
                sizes[s] = math.floor(levels // (s + 1) * self.eta**s)
        return sizes

    def instances(self) -> Iterator[Instance]:
        """Brackets one after the other, as far as there are trials, or may be."""
        end, first = max(self.study.max_trials, len(self.records)), 0
        while True:
            for bracket, size in self.sizes.items():
                if first >= end:
                    return
                yield Instance(bracket, range(first, min(first + size, end)))
                first += size

    def _instance(self, index: int) -> Instance:
        return next(i for i in self.instances() if index in i.trials)

    def _synchronous_rungs(
        self, instance: Instance, records: Mapping[int, Trial]
    ) -> Iterator[SynchronousRung]:
        """Its rungs below r_max, lowest first, and what becomes of their trials."""
        members = [records[index] for index in instance.trials if index in records]
        some_may_come = len(members) < len(instance.trials)
        size, top = len(instance.trials), len(self.levels) - 1
        for level in range(top - instance.bracket, top):
            passes = max(1, math.floor(size / self.eta))
            training = any(t.state in _ACTIVE and t.target == level for t in members)
            complete = not some_may_come and not training
            gone = sum(trial.target > level for trial in members)
            paused = [t for t in members if t.state is TrialState.PAUSED and t.target == level]
            paused.sort(key=lambda t: (self.sign * t.rungs[-1].value, t.index))
            yield SynchronousRung(level, passes, complete, gone, tuple(t.index for t in paused))
            some_may_come = gone < passes and (bool(paused) or not complete)
            size = passes

    def _synchronous_promotion(self) -> tuple[int, int] | None:
        """Of the first instance that has any: complete rungs pass on their best."""
        for instance in self.instances():
            for rung in self._synchronous_rungs(instance, self.records):
                if rung.complete and rung.gone < rung.passes and rung.paused:
                    return rung.paused[0], rung.level
        return None

    def _check_passed_on(self) -> None:
        """At the end each rung has passed on as many as it should, or all that it had."""
        for instance in self.instances():
            for rung in self._synchronous_rungs(instance, self.records):
                assert rung.complete
                values = len(self.rungs.get((instance.trials[0], rung.level), ()))
                if self.least:  # maxTrials was changed: once passed on is passed on
                    assert rung.gone >= min(rung.passes, values)
                else:
                    assert rung.gone == min(rung.passes, values)

    # -- after every event -------------------------------------------------------------------

    def max_trials_changed(self, limit: int) -> None:
        """From now on the study may have so many trials; those that it has, it keeps."""
        self.study = replace(self.study, max_trials=limit)
        self.least = len(self.records)

    def after_event(self, engine: Engine, attempts: Collection[Attempt]) -> None:
        self._check_attempts(attempts)
        self._attempts = {attempt.trial: attempt for attempt in attempts}
        self.events += 1
        if self._sample and self.events % self._sample == 0:
            self._check_records(engine)
            self.same_when_rebuilt(engine)

    def _check_attempts(self, attempts: Collection[Attempt]) -> None:
        assert len(attempts) <= self.study.parallelism
        assert len({a.trial for a in attempts}) == len(attempts)  # none overlaps the one before
        for attempt in attempts:
            trial = self.records[attempt.trial]
            assert attempt.number <= trial.attempt
            assert attempt.goal <= self.levels[-1]
            if attempt.made:
                assert attempt.made[-1].resource <= self.levels[-1]
            if not attempt.ending:
                assert trial.state in _ACTIVE
                assert attempt.number == trial.attempt

    def _check_records(self, engine: Engine) -> None:
        assert engine.trials == self.records
        for trial in self.records.values():
            values = [value.level for value in trial.rungs]
            if trial.state is TrialState.COMPLETED:
                assert values[-1] == len(self.levels) - 1
            else:
                assert len(self.levels) - 1 not in values
            if trial.state is TrialState.PAUSED:
                assert values[-1] == trial.target
            if trial.state in _ACTIVE:
                assert not values or values[-1] < trial.target

    def same_when_rebuilt(self, engine: Engine) -> None:
        """An engine that is told the records backwards decides what this one does next."""
        other = Engine(self.study)
        for trial in list(engine.trials.values())[::-1]:
            other.put(trial)
        for lingering in (0, 1):
            assert engine.launch(lingering) == other.launch(lingering)
        assert engine.finish() == other.finish()
        assert list(engine.wind_down()) == list(other.wind_down())
        assert (engine.best, +engine.states) == (other.best, +other.states)
        coming = [
            Report(resource, 0.1 * self.sign * position)
            for position, resource in enumerate(self.levels)
        ]
        for trial in engine.active:
            index = trial.index
            assert engine.seen_running(index) == other.seen_running(index)
            assert engine.observe(index, coming) == other.observe(index, coming)
            broken = [*coming[:1], Report(self.levels[-1], math.inf)]
            # Compared as text, because NaN is not equal to itself.
            assert repr(engine.observe(index, broken)) == repr(other.observe(index, broken))
            for outcome in Outcome:
                ours = engine.attempt_ended(index, outcome, "test")
                assert ours == other.attempt_ended(index, outcome, "test")

    # -- at the end --------------------------------------------------------------------------

    def finished(self, reason: str) -> bool:
        """Checks a study that is over. Returns whether one of its trials reached r_max."""
        assert not any(t.state in _ACTIVE for t in self.records.values())
        reached = any(t.state is TrialState.COMPLETED for t in self.records.values())
        broken = sum(
            t.state is TrialState.FAILED and t.reason == Reason.RETRIES_EXHAUSTED
            for t in self.records.values()
        )
        too_many = broken > self.study.failure_policy.max_failed_trials
        assert too_many is (reason == "TooManyFailedTrials")
        if too_many:
            return reached
        assert reason == "Exhausted"
        assert len(self.records) == max(self.study.max_trials, self.least)
        assert self._next_promotion() is None
        if self.study.mode == "Synchronous":
            self._check_passed_on()
        elif self.study.mode == "Promotion":
            assert reached or self._stuck_for_a_reason()
        return reached

    def _stuck_for_a_reason(self) -> bool:
        """Every rung below r_max has a single value, or its good ones went on and failed."""
        for (bracket, level), rung in self.rungs.items():
            if (
                level == len(self.levels) - 1
                or len(rung) == 1
                or (bracket, level + 1) in self.rungs
            ):
                continue
            good = [own[1] for own in rung if self._good_enough(bracket, level, own)]
            if any(self.records[index].state is not TrialState.FAILED for index in good):
                return False
        return True
