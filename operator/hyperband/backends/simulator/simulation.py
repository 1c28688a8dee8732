"""An operator on a virtual clock: the engine for real, around it simulated workers.

Decide, write, act, as on a cluster: a decision is written to `records` and put into the engine,
then attempts are made to match the records. The operator can be killed between any two of these;
it then rebuilds its engine from the records, reads every attempt again, and goes on.
"""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from time import perf_counter

from hyperband.backends.simulator.curves import Benchmark, BenchmarkError, Training, training
from hyperband.backends.simulator.faults import Faults
from hyperband.backends.simulator.workers import Attempt, Clock, Workers
from hyperband.core.decisions import Decision, Finish, Reason
from hyperband.core.engine import Engine
from hyperband.core.parameters import show
from hyperband.core.records import Spent, Study, Trial
from hyperband.core.seeds import uniform


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision that was written."""

    seconds: float  # simulated
    decision: Decision
    cost: float = field(compare=False)  # real seconds that the engine took to make it


@dataclass(frozen=True, slots=True)
class Result:
    """What a simulated study came to. Two runs of the same study compare equal."""

    seconds: float  # simulated, at the end
    finish: Finish | None  # None if its time was up
    incumbent: list[tuple[float, float]]  # (seconds, best objective reported so far)
    trials: list[Trial]
    decisions: list[Decided]
    resource_units: float  # trained, repetitions included
    utilization: float  # training time over the time of all workers
    events: int


class Observer:
    """Watches a simulation; tests check their invariants here."""

    def decided(self, engine: Engine, decision: Decision) -> None:
        """Called before a decision is written and put into the engine."""

    def after_event(self, engine: Engine, attempts: Collection[Attempt]) -> None:
        """Called after each event, with all attempts that hold a worker."""


class _Killed(Exception):
    """The operator ends here. Never seen outside of this module."""


class Simulation:
    """One study on `study.parallelism` workers.

    Args:
        benchmark: how training goes.
        faults: what goes wrong with it.
        kills: probability that the operator is killed, per decision before and after its writing.
        gpus: of each trial, for the budget's GPU-hours.
        observer: is told what happens.
    """

    def __init__(
        self,
        study: Study,
        benchmark: Benchmark,
        faults: Faults | None = None,
        *,
        kills: float = 0.0,
        gpus: float = 0.0,
        observer: Observer | None = None,
    ) -> None:
        self.study, self.benchmark = study, benchmark
        self.observer = observer or Observer()
        self.clock = Clock()
        self.records: dict[int, Trial] = {}  # all that outlives the operator
        self.engine = Engine(study)
        self.workers = Workers(
            self.clock, faults or Faults(), study.seed, self._training, self._changed
        )
        self.finish: Finish | None = None
        self.decisions: list[Decided] = []
        self.incumbent: list[tuple[float, float]] = []
        self.deaths = 0
        self._kills, self._chances = kills, 0
        self._gpus = gpus
        self._trainings: dict[int, Training] = {}

    def run(self, until: float = math.inf) -> Result:
        """Runs the study to its end, or to a time in simulated seconds.

        Raises:
            BenchmarkError: a curve cannot be; it names the call.
        """
        if self.study.budget.seconds is not None:
            self.clock.after(self.study.budget.seconds, lambda: self._operate(()))
        self._operate(())
        events = 0
        while self.finish is None and self.clock.next() <= until:
            self.clock.step()
            events += 1
            self.observer.after_event(self.engine, self.workers.attempts.values())
        seconds = self.clock.now if self.finish or math.isinf(until) else until
        self.clock.now = seconds
        for attempt in self.workers.attempts.values():
            self.workers.account(attempt)
        return Result(
            seconds=seconds,
            finish=self.finish,
            incumbent=self.incumbent,
            trials=[self.records[index] for index in sorted(self.records)],
            decisions=self.decisions,
            resource_units=self.workers.resource_units,
            utilization=self.workers.busy_seconds / (seconds * self.study.parallelism or 1.0),
            events=events,
        )

    def change(self, study: Study) -> None:
        """Takes in a changed study, as while an operator runs."""
        self.study = study
        self.engine = Engine(study, self.records.values())
        self._operate(())

    def _training(self, index: int) -> Training:
        if index not in self._trainings:
            study, parameters = self.study, dict(self.records[index].parameters)
            asked = f"curve({show(parameters)}, {study.seed})"
            try:
                curve = self.benchmark.curve(parameters, study.seed)
                self._trainings[index] = training(curve, study.objective, study.resource)
            except BenchmarkError as error:
                raise BenchmarkError(f"{asked}: {error}") from error
        return self._trainings[index]

    # -- the operator ----------------------------------------------------------------------

    def _changed(self, attempt: Attempt) -> None:
        self._note_incumbent(attempt)
        self._operate((attempt,))

    def _operate(self, attempts: Collection[Attempt]) -> None:
        """One pass over the attempts that changed, survived whatever kills the operator."""
        decided = not attempts  # nothing decided, no attempt gone: nothing to do for the slots
        while self.finish is None:
            try:
                for attempt in attempts:
                    decided |= self._read(attempt) or attempt.gone
                if decided:
                    self._match()
                    self._fill()
                return
            except _Killed:
                self.deaths += 1
                decided = True
                self.engine = Engine(self.study, self.records.values())
                latest = self.workers.latest
                attempts = [latest[t.index] for t in self.engine.active if t.index in latest]

    def _read(self, attempt: Attempt) -> bool:
        """What has become visible of an attempt; one that is not its trial's current has no say.

        Returns whether it led to a decision.
        """
        index, outcome = attempt.trial, attempt.outcome
        if self.engine.trials[index].attempt != attempt.number:
            return False
        decided = attempt.running and self._carry_out(lambda: self.engine.seen_running(index))
        decided |= self._carry_out(lambda: self.engine.observe(index, attempt.reports))
        if outcome is not None:
            decided |= self._carry_out(
                lambda: self.engine.attempt_ended(index, outcome, "simulated")
            )
        return decided

    def _fill(self) -> None:
        """Gives free slots to trials, or ends the study."""
        spent = self._spent()
        launching = self.engine.closing(spent) is None
        while launching and self._carry_out(lambda: self.engine.launch(self._lingering)):
            self._match()
        finish = self.engine.finish(spent)
        ended = list(self.engine.wind_down(spent))
        for decision in ended:
            self._write(decision)
        if ended:
            self._match()
        self.finish = finish

    def _spent(self) -> Spent:
        """What its budget has bounds for."""
        budget, gpu_seconds, units = self.study.budget, 0.0, 0.0
        if budget.gpu_seconds is not None:
            gpu_seconds = self.workers.training_seconds * self._gpus
        if budget.resource_units is not None:
            latest = self.workers.latest
            units = sum(
                self.engine.resource_units(trial, latest[index].reports[-1].resource)
                for index, trial in self.engine.trials.items()
                if index in latest and latest[index].reports
            )
        return Spent(gpu_seconds, self.clock.now, units)

    @property
    def _lingering(self) -> int:
        trials = self.engine.trials
        return sum(not trials[index].state.active for index in self.workers.attempts)

    def _carry_out(self, decide: Callable[[], Decision | None]) -> bool:
        """Decides and writes. Returns whether there was anything to decide."""
        started = perf_counter()
        decision = decide()
        if decision is not None:
            self._write(decision, perf_counter() - started)
        return decision is not None

    def _write(self, decision: Decision, cost: float = 0.0) -> None:
        self._may_be_killed()
        self.observer.decided(self.engine, decision)
        self.records[decision.trial.index] = decision.trial
        self.decisions.append(Decided(self.clock.now, decision, cost))
        self._may_be_killed()
        self.engine.put(decision.trial)

    def _match(self) -> None:
        """Makes the attempts match the records."""
        for attempt in list(self.workers.attempts.values()):
            trial = self.engine.trials[attempt.trial]
            if not trial.state.active or trial.attempt != attempt.number:
                self.workers.end(attempt)
        for trial in self.engine.active:
            latest = self.workers.latest.get(trial.index)
            if latest is None or (latest.gone and latest.number < trial.attempt):
                goal = self.engine.ladder[trial.target]
                anew = not self.study.resume and trial.reason == Reason.PROMOTED
                self.workers.launch(trial.index, trial.attempt, goal, anew=anew)

    def _may_be_killed(self) -> None:
        if self._kills:
            self._chances += 1
            if uniform(self.study.seed, self._chances, "kill") < self._kills:
                raise _Killed

    def _note_incumbent(self, attempt: Attempt) -> None:
        loss = self.study.objective.loss
        for report in attempt.made[attempt.noted : attempt.arrived]:
            best = loss(self.incumbent[-1][1]) if self.incumbent else math.inf
            if math.isfinite(report.value) and loss(report.value) < best:
                self.incumbent.append((self.clock.now, report.value))
        attempt.noted = attempt.arrived
