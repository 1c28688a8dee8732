"""Learning curves: what training would have reported, and when.

A benchmark is any object with a `curve` method; `Training` is what the simulator makes of its
answer. `AnalyticCurves` needs no data and fits every study.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict

import numpy as np
import numpy.typing as npt

from hyperband.core.records import Goal, Objective, Report, Resource
from hyperband.core.seeds import generator
from hyperband.core.space import Space, Value

Column = npt.NDArray[np.float64]
Numbers = Sequence[float] | npt.NDArray[Any]


class Curve(TypedDict):
    """One run of training: columns of one length, one row for each report."""

    resource: Numbers  # ascending; the last one is at least r_max
    seconds: Numbers  # since the start of training, cumulative
    metrics: Mapping[str, Numbers]


class Benchmark(Protocol):
    """Anything that knows how training goes."""

    def curve(self, parameters: dict[str, Value], seed: int) -> Curve:
        """The whole curve of a configuration. `seed` is the study's: the same asks the same."""


class BenchmarkError(ValueError):
    """A benchmark's answer that no training could have given; the message says what to mend."""


@dataclass(frozen=True, slots=True)
class Training:
    """The reports of a whole training run, and how many seconds lead up to each."""

    reports: tuple[Report, ...]
    durations: tuple[float, ...]  # of the step that ends with the report

    def step_after(self, checkpoint: float) -> int:
        """The step to go on with; a run that is through repeats its last one."""
        last = len(self.reports) - 1
        return next((i for i, r in enumerate(self.reports) if r.resource > checkpoint), last)

    def units(self, step: int) -> float:
        """The resource that one step spends."""
        before = self.reports[step - 1].resource if step else 0.0
        return self.reports[step].resource - before


def training(curve: Curve, objective: Objective, resource: Resource) -> Training:
    """A benchmark's answer as training steps, up to the first that reaches r_max.

    Raises:
        BenchmarkError: the curve cannot be that of a training run up to r_max.
    """
    resources = np.asarray(curve["resource"], dtype=float)
    seconds = np.asarray(curve["seconds"], dtype=float)
    metrics = {name: np.asarray(c, dtype=float) for name, c in curve["metrics"].items()}
    _check(resources, seconds, metrics, objective.metric, resource.max)
    rows = int(np.searchsorted(resources, resource.max)) + 1
    columns = {name: column[:rows].tolist() for name, column in metrics.items()}
    reports = (
        Report(reached, columns[objective.metric][row], {n: c[row] for n, c in columns.items()})
        for row, reached in enumerate(resources[:rows].tolist())
    )
    return Training(tuple(reports), tuple(np.diff(seconds[:rows], prepend=0.0).tolist()))


def _check(
    resources: Column, seconds: Column, metrics: Mapping[str, Column], metric: str, r_max: float
) -> None:
    if metric not in metrics:
        raise BenchmarkError(
            f"no metric {metric!r}, which the study's objective names; use one of {list(metrics)}"
        )
    shapes = {column.shape for column in (resources, seconds, *metrics.values())}
    if shapes != {(len(resources),)}:
        raise BenchmarkError(f"columns differ in shape: {shapes}; give one number for each report")
    if not np.all(np.diff(resources) > 0):
        raise BenchmarkError("resource is not strictly ascending")
    if not np.any(resources >= r_max):
        raise BenchmarkError(
            f"resource ends at {resources[-1:]}, below the study's r_max {r_max:g};"
            " set spec.resource.max to what the benchmark has"
        )
    if not np.all(np.diff(seconds, prepend=0.0) >= 0):
        raise BenchmarkError("seconds are not cumulative: from 0, each at least the one before")


class AnalyticCurves:
    """Power laws towards a floor that depends on the configuration, with noise.

    With x in the unit cube and d² its mean squared distance from a hidden optimum:
    loss(r) = 0.05 + d² + 0.9·(r/r_min)^(-c) + noise·z, c between 0.3 and 1 and different for each
    configuration, so that curves cross. A metric to maximize is 1 - loss. Each step takes its own
    time, around `seconds` per unit of resource, up to three times as long for some configurations.
    """

    def __init__(
        self,
        space: Space,
        resource: Resource,
        objective: Objective,
        *,
        seconds: float = 1.0,
        noise: float = 0.02,
        steps: int = 100,
        landscape: int = 0,
    ) -> None:
        """Args:
        seconds: mean training time of one unit of resource.
        noise: standard deviation of a report.
        steps: at most so many reports up to r_max.
        landscape: the seed of the hidden optimum.
        """
        self._space, self._objective = space, objective
        self._resources = report_resources(resource, steps)
        self._relative = self._resources / resource.min
        self._seconds, self._noise = seconds, noise
        self._landscape = landscape
        self._optimum = generator(landscape, 0, "optimum").random(space.dimension)

    def curve(self, parameters: dict[str, Value], seed: int) -> Curve:
        """One run of training."""
        x = self._space.encode(parameters)
        distance = float(np.mean((x - self._optimum) ** 2)) if len(x) else 0.0
        nature = generator(self._landscape, 0, f"configuration/{sorted(parameters.items())}")
        decay, cost = nature.random(2)
        run = generator(seed, 0, f"run/{sorted(parameters.items())}")
        noise = self._noise * run.standard_normal(len(self._resources))
        loss = 0.05 + distance + 0.9 * self._relative ** -(0.3 + 0.7 * decay) + noise
        value = loss if self._objective.goal is Goal.MINIMIZE else 1.0 - loss
        uneven = run.lognormal(0.0, 0.3, len(self._resources))
        steps = np.diff(self._resources, prepend=0.0) * uneven
        return {
            "resource": self._resources,
            "seconds": np.cumsum(steps) * self._seconds * (1.0 + 2.0 * cost),
            "metrics": {self._objective.metric: value},
        }


def report_resources(resource: Resource, steps: int) -> Column:
    """Where training reports: every unit if that is few, else evenly on a log scale; ends at r_max.

    Returns: (n,) strictly ascending, n <= steps.
    """
    if resource.integer and resource.max <= steps:
        return np.arange(1.0, resource.max + 1.0)
    spaced = np.geomspace(resource.min, resource.max, steps)
    spaced = np.round(spaced) if resource.integer else spaced
    spaced[-1] = resource.max
    return np.unique(spaced)
