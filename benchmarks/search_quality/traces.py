"""Recorded decisions of the peer's asynchronous Hyperband, and ours on the same values.

A trace is a game of trials that report random values at the rungs, in a random order. All that is
random is a hash of the trace's number, so that a trace is its decisions alone: what is played
depends on nothing but the number and the decisions so far. One bracket: the peer draws brackets
from a global generator. `peer_traces` writes the file that tests/benchmarks/test_traces.py reads.
"""

from dataclasses import dataclass
from typing import Protocol

from hyperband.core.decisions import Action
from hyperband.core.engine import Engine
from hyperband.core.records import Goal, Objective, Report, Resource, Study
from hyperband.core.rungs import Ladder
from hyperband.core.seeds import uniform
from hyperband.core.space import Float, Space

TRACES = 1_000
REPORTS = 60  # a trace
NEW = -1  # the answer of a promoting scheduler that starts a new trial
GAMES: tuple[tuple[int, int, float], ...] = (
    (1, 9, 3),
    (1, 27, 3),
    (1, 50, 3),
    (2, 81, 3),
    (1, 100, 4),
    (3, 64, 2),
    (1, 50, 2.5),
)  # r_min, r_max, eta


@dataclass(frozen=True, slots=True)
class Trace:
    """The rules of one game."""

    number: int

    @property
    def mode(self) -> str:
        return ("Stopping", "Promotion")[self.number % 2]

    @property
    def goal(self) -> Goal:
        return (Goal.MINIMIZE, Goal.MAXIMIZE)[self.number // 2 % 2]

    @property
    def eta(self) -> float:
        return float(GAMES[self.number % len(GAMES)][2])

    @property
    def resource(self) -> Resource:
        r_min, r_max, _ = GAMES[self.number % len(GAMES)]
        return Resource("epochs", r_min, r_max)

    @property
    def slots(self) -> int:
        return 1 + int(8 * self.draw(0, "slots"))

    def draw(self, index: int, purpose: str) -> float:
        """A number in [0, 1)."""
        return uniform(self.number, index, purpose)

    def value(self, trial: int, level: int) -> float:
        """What a trial reports at a level: its quality, and noise that changes ranks."""
        return self.draw(trial, "quality") + 0.5 * self.draw(trial, f"noise/{level}")


class Decider(Protocol):
    """A scheduler that is asked."""

    def next(self) -> int:
        """The trial to resume in a free slot, or NEW (which has the next index)."""

    def goes_on(self, trial: int, resource: float, value: float) -> bool:
        """Whether a trial runs on that has just reported; if not, its slot is free."""


def play(trace: Trace, decider: Decider) -> list[int]:
    """The decisions: for each free slot the answer of `next`, for each report 1 or 0."""
    ladder = Ladder(trace.resource, trace.eta)
    running: list[int] = []
    levels: list[int] = []  # by trial: the level that it reports at next
    decisions: list[int] = []
    for report in range(REPORTS):
        while len(running) < trace.slots:
            answer = decider.next()
            decisions.append(answer)
            if answer == NEW:
                answer = len(levels)
                levels.append(0)
            running.append(answer)
        trial = running[int(trace.draw(report, "who") * len(running))]
        level = levels[trial]
        levels[trial] += 1
        goes_on = decider.goes_on(trial, ladder[level], trace.value(trial, level))
        decisions.append(int(goes_on))
        if not goes_on:
            running.remove(trial)
    return decisions


class Ours:
    """The engine."""

    def __init__(self, trace: Trace) -> None:
        study = Study(
            name="trace",
            objective=Objective("value", trace.goal),
            resource=trace.resource,
            space=Space((Float("x", 0.0, 1.0),)),
            max_trials=10**6,
            seed=0,
            parallelism=trace.slots,
            eta=trace.eta,
            mode=trace.mode,
        )
        self.engine = Engine(study)

    def next(self) -> int:
        decision = self.engine.launch()
        assert decision is not None
        self.engine.put(decision.trial)
        return NEW if decision.action is Action.START else decision.trial.index

    def goes_on(self, trial: int, resource: float, value: float) -> bool:
        decision = self.engine.observe(trial, [Report(resource, value)])
        assert decision is not None
        self.engine.put(decision.trial)
        return decision.action is Action.CONTINUE
