"""A study that goes on: slots are filled, values arrive, and what the engine takes is timed."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from hyperband.core.decisions import Action, Decision
from hyperband.core.engine import Engine
from hyperband.core.records import Fit, Report, Trial
from hyperband.core.seeds import generator

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds."""

    cpu: float = 0.0  # of the process
    wall: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.cpu + other.cpu, self.wall + other.wall)


@dataclass(frozen=True, slots=True)
class Timed:
    """A decision, and what it took until the engine knew of it."""

    decision: Decision
    cost: Cost
    fit: float = 0.0  # of it, CPU seconds of fitting a surrogate


def timed(call: Callable[[], T]) -> tuple[T, Cost]:
    """What a call returns and costs."""
    wall, cpu = time.perf_counter(), time.process_time()
    answer = call()
    return answer, Cost(time.process_time() - cpu, time.perf_counter() - wall)


class Player:
    """Plays the backend of one study.

    Args:
        value: the objective that a trial reports at a resource.
        seed: in which order the values of active trials arrive.
    """

    def __init__(self, engine: Engine, value: Callable[[Trial, float], float], seed: int) -> None:
        self.engine = engine
        self._value = value
        self._random = generator(seed, len(engine.trials), "player")

    @property
    def values(self) -> int:
        """How many values have been recorded at rungs."""
        return sum(len(trial.rungs) for trial in self.engine.trials.values())

    def play(self) -> Iterator[Timed]:
        """Fills the slots, then lets one value arrive; yields the decisions."""
        while (launched := self._launch()) is not None:
            yield launched
        yield self.arrive()

    def fit(self, job: Callable[[], Fit]) -> tuple[Fit, Cost]:
        """Makes a fit."""
        return timed(job)

    def launch(self) -> tuple[Decision | None, Cost]:
        """Asks the engine what to do with a slot."""
        return timed(self.engine.launch)

    def _launch(self) -> Timed | None:
        engine = self.engine
        job, spent = timed(engine.fitting)
        fit = 0.0
        if job is not None:
            made, cost = self.fit(job)
            _, taken_in = timed(lambda: engine.fitted(made))
            fit, spent = cost.cpu, spent + cost + taken_in
        decision, cost = self.launch()
        if decision is None:
            return None
        _, put = timed(lambda: engine.put(decision.trial))
        return Timed(decision, spent + cost + put, fit)

    def arrive(self) -> Timed:
        """Lets the next value of some active trial arrive."""
        engine, active = self.engine, list(self.engine.active)
        trial = active[int(self._random.integers(len(active)))]
        level = engine.ladder.first(trial.bracket) if trial.level is None else trial.level + 1
        resource = engine.ladder[level]
        report = Report(resource, self._value(trial, resource))
        decision, cost = timed(lambda: engine.observe(trial.index, [report]))
        assert decision is not None
        _, put = timed(lambda: engine.put(decision.trial))
        return Timed(decision, cost + put)


def suggestions(player: Player) -> Iterator[Timed]:
    """The decisions that start a new configuration, without end."""
    while True:
        yield from (each for each in player.play() if each.decision.action is Action.START)
