"""What a run is worth: regret over time, and what is derived from it.

The normalized regret of an incumbent v is (loss(v) - loss(best)) / (loss(median) - loss(best)),
clipped to [0, 1], and 1 before the first report: 0 is the best value at r_max that an extensive
search has found, 1 the median of random configurations at r_max, both from the task's data. Time is
a fraction of the budget. An incumbent is the best objective of all reports so far, whatever their
resource. A run that was cut short keeps its last incumbent to the end of the budget.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.search_quality.benchmark import Problem
from hyperband.core.records import Objective

Array = npt.NDArray[np.float64]

TIMES: Array = np.linspace(0.0, 1.0, 401)  # of the curves, as fractions of the budget
CHECKPOINTS = (0.25, 0.5, 1.0)


def normalized_regret(
    values: Sequence[float] | Array, objective: Objective, best: float, median: float
) -> Array:
    """The regret of values of the objective, (n,); see the module."""
    losses = np.array([objective.loss(value) for value in values], dtype=np.float64)
    floor, scale = objective.loss(best), objective.loss(median) - objective.loss(best)
    return np.clip((losses - floor) / scale, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Regret:
    """Regret as a step function of time: values[i] from times[i] on, 1 before."""

    times: Array  # (n,) ascending, in fractions of the budget
    values: Array  # (n,) descending

    def at(self, times: Array) -> Array:
        """(n,) at these times; a step counts from its own time on."""
        steps = np.searchsorted(self.times, times, side="right")
        return np.concatenate([[1.0], self.values])[steps]

    @property
    def area(self) -> float:
        """The mean over [0, 1], exactly."""
        inside = self.times < 1.0
        edges = np.concatenate([[0.0], self.times[inside], [1.0]])
        return float(np.sum(np.diff(edges) * np.concatenate([[1.0], self.values[inside]])))


def regret(incumbent: Sequence[Sequence[float]], problem: Problem, budget: float) -> Regret:
    """The regret of a run's incumbents, [[seconds, value], …]."""
    times = np.array([seconds / budget for seconds, _ in incumbent], dtype=np.float64)
    values = [value for _, value in incumbent]
    return Regret(times, normalized_regret(values, problem.objective, problem.best, problem.median))


@dataclass(frozen=True, slots=True)
class Score:
    """One run."""

    curve: Array  # regret at TIMES
    area: float
    trials: int
    units: float
    stopped: float  # fraction of the units
    utilization: float
    decisions: Mapping[str, float]  # count, seconds, p50, p99: real seconds
    suggestions: Mapping[str, float]
    cut: bool  # by the cap on real time


def score(content: Mapping[str, Any], problem: Problem) -> Score:
    """The score of a run's file."""
    run = content["run"]
    steps = regret(run["incumbent"], problem, content["budget"])
    return Score(
        curve=steps.at(TIMES),
        area=steps.area,
        trials=run["trials"],
        units=run["resourceUnits"],
        stopped=run["stoppedUnits"] / (run["resourceUnits"] or 1.0),
        utilization=run["utilization"],
        decisions=run["decisions"],
        suggestions=run["suggestions"],
        cut=content["cut"],
    )
