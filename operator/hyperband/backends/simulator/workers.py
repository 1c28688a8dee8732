"""The world outside the operator: attempts that train on workers, step by step on a virtual clock.

It knows nothing of rungs. The operator sees an attempt's reports as far as they have arrived and,
in the end, its outcome; it can launch an attempt and end one.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import count

from hyperband.backends.simulator.curves import Training
from hyperband.backends.simulator.faults import Fate, Faults, Plan
from hyperband.core.decisions import Outcome
from hyperband.core.records import Report


class Clock:
    """Events in order of time; at the same time, in the order in which they were scheduled."""

    def __init__(self) -> None:
        self.now = 0.0  # simulated seconds
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        heappush(self._events, (self.now + seconds, next(self._numbers), event))

    def next(self) -> float:
        """When the next event is due; infinity if there is none."""
        return self._events[0][0] if self._events else math.inf

    def step(self) -> None:
        self.now, _, event = heappop(self._events)
        event()


@dataclass(eq=False, slots=True)
class Attempt:
    """One attempt of a trial: it holds a worker from its launch until it is gone."""

    trial: int
    number: int
    goal: float  # the resource after which it exits
    plan: Plan
    running: bool = False
    ending: bool = False  # the operator has asked for its end
    gone: bool = False
    outcome: Outcome | None = None
    arrived: int = 0  # reports that the operator can see, of `made`
    noted: int = 0  # reports that were looked at for the incumbent
    made: list[Report] = field(default_factory=list)
    training_since: float | None = None

    @property
    def reports(self) -> list[Report]:
        """What the operator can see, oldest first."""
        return self.made[: self.arrived]


class Workers:
    """Trains attempts, and strikes them with what their plans say.

    Args:
        training: the whole training of a trial, by its index.
        changed: called after the operator's view of an attempt has changed.
    """

    def __init__(
        self,
        clock: Clock,
        faults: Faults,
        seed: int,
        training: Callable[[int], Training],
        changed: Callable[[Attempt], None],
    ) -> None:
        self.attempts: dict[int, Attempt] = {}  # those that hold a worker, by trial
        self.latest: dict[int, Attempt] = {}  # the last one of each trial, gone or not
        self.resource_units = 0.0
        self._clock, self._faults, self._seed = clock, faults, seed
        self._training, self._changed = training, changed
        self._checkpoints: dict[int, float] = {}  # resource, by trial
        self._trained_for: list[float] = []  # seconds, by attempts that have ended

    @property
    def busy_seconds(self) -> float:
        """Training time, summed over workers, whatever the order in which attempts ended."""
        return math.fsum(self._trained_for)

    @property
    def training_seconds(self) -> float:
        """Training time up to now, summed over workers."""
        runs = (a.training_since for a in self.attempts.values() if a.training_since is not None)
        return self.busy_seconds + math.fsum(self._clock.now - since for since in runs)

    def launch(self, trial: int, number: int, goal: float, *, anew: bool = False) -> None:
        """Starts an attempt that trains up to a resource, from the trial's checkpoint or anew.

        Raises:
            RuntimeError: another attempt of this trial is there, and would share its checkpoint.
        """
        if trial in self.attempts:
            raise RuntimeError(f"attempt {self.attempts[trial].number} of trial {trial} is there")
        if anew:
            self._checkpoints.pop(trial, None)
        attempt = Attempt(trial, number, goal, self._faults.strike(self._seed, trial, number))
        self.attempts[trial] = self.latest[trial] = attempt
        self._clock.after(attempt.plan.start_seconds, lambda: self._start(attempt))

    def end(self, attempt: Attempt) -> None:
        """Asks an attempt to end. It trains on while it lingers; nobody pays for that."""
        if attempt.ending:
            return
        attempt.ending = True
        self.account(attempt)
        self._clock.after(attempt.plan.stop_seconds, lambda: self._exit(attempt, Outcome.SUCCEEDED))

    def account(self, attempt: Attempt) -> None:
        """Books the training time up to now, and stops the meter."""
        if attempt.training_since is not None:
            self._trained_for.append(self._clock.now - attempt.training_since)
            attempt.training_since = None

    def _start(self, attempt: Attempt) -> None:
        if attempt.gone or attempt.ending:
            return
        attempt.running, attempt.training_since = True, self._clock.now
        training = self._training(attempt.trial)
        first = training.step_after(self._checkpoints.get(attempt.trial, -math.inf))
        steps = sum(r.resource < attempt.goal for r in training.reports[first:]) + 1
        fatal = first + math.floor(attempt.plan.at * steps)
        self._train(attempt, training, first, fatal)
        self._changed(attempt)

    def _train(self, attempt: Attempt, training: Training, step: int, fatal: int) -> None:
        """Schedules the end of one training step."""
        seconds = training.durations[step]
        self._clock.after(seconds, lambda: self._trained(attempt, training, step, fatal))

    def _trained(self, attempt: Attempt, training: Training, step: int, fatal: int) -> None:
        if attempt.gone:
            return
        report = training.reports[step]
        if not attempt.ending:
            self.resource_units += training.units(step)
        if step >= fatal:
            match attempt.plan.fate:
                case Fate.FAIL:
                    return self._exit(attempt, Outcome.FAILED)
                case Fate.DISRUPT:
                    return self._exit(attempt, Outcome.DISRUPTED)
                case Fate.SILENT:
                    return self._exit(attempt, Outcome.SUCCEEDED)
                case Fate.DIVERGE:
                    report = replace(report, value=math.nan)
        last = report.resource >= attempt.goal
        if last or (step + 1) % self._faults.checkpoint_every == 0:
            self._checkpoints[attempt.trial] = report.resource
        self._deliver(attempt, report, last)
        if last:
            self._finish(attempt)
        else:
            self._train(attempt, training, step + 1, fatal)

    def _deliver(self, attempt: Attempt, report: Report, last: bool) -> None:
        delays = attempt.plan.delays(last)
        if not delays:
            return
        attempt.made.append(report)
        number = len(attempt.made)
        for delay in delays:
            if delay:
                self._clock.after(delay, lambda: self._arrive(attempt, number))
            else:
                self._arrive(attempt, number)

    def _arrive(self, attempt: Attempt, number: int) -> None:
        attempt.arrived = max(attempt.arrived, number)
        self._changed(attempt)

    def _finish(self, attempt: Attempt) -> None:
        """Training is through: the container exits by itself unless it is ended sooner."""
        self.account(attempt)
        self._clock.after(attempt.plan.stop_seconds, lambda: self._exit(attempt, Outcome.SUCCEEDED))

    def _exit(self, attempt: Attempt, outcome: Outcome) -> None:
        """The attempt is over; reports still on their way are flushed with it."""
        if attempt.gone:
            return
        self.account(attempt)
        attempt.gone, attempt.outcome = True, outcome
        attempt.arrived = len(attempt.made)
        del self.attempts[attempt.trial]
        self._changed(attempt)
