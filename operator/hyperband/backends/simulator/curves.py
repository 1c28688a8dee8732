"""Learning curves: what training would have reported, and when.

A benchmark is any object with a `curve` method; `Training` is what the simulator makes of its
answer. `AnalyticCurves` needs no data and fits every study.
"""

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict

import numpy as np
import numpy.typing as npt

from hyperband.core.records import Goal, Objective, Report, Resource
from hyperband.core.seeds import generator
from hyperband.core.space import Space, Value

_show = reprlib.repr  # cuts what is long

Column = npt.NDArray[np.float64]
Numbers = Sequence[float] | npt.NDArray[Any]

_ROWS = "give a list or an array, with one number for each report"


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
    keys = ("resource", "seconds", "metrics")
    if not isinstance(curve, Mapping) or any(key not in curve for key in keys):
        wanted = f"a dict with the keys {', '.join(keys)}"
        raise BenchmarkError(f"{_show(curve)} is not {wanted}: return one")
    if not isinstance(curve["metrics"], Mapping):
        wanted = f"give a dict of columns by name, {{{objective.metric!r}: …}}"
        raise BenchmarkError(f"metrics is {_show(curve['metrics'])}: {wanted}")
    resources = _column("resource", curve["resource"])
    seconds = _column("seconds", curve["seconds"])
    metrics = {n: _column(f"metrics[{n!r}]", c) for n, c in curve["metrics"].items()}
    _check(resources, seconds, metrics, objective.metric, resource.max)
    rows = int(np.searchsorted(resources, resource.max)) + 1
    columns = {name: column[:rows].tolist() for name, column in metrics.items()}
    reports = (
        Report(reached, columns[objective.metric][row], {n: c[row] for n, c in columns.items()})
        for row, reached in enumerate(resources[:rows].tolist())
    )
    return Training(tuple(reports), tuple(np.diff(seconds[:rows], prepend=0.0).tolist()))


def _column(name: str, given: Numbers) -> Column:
    """What a benchmark gave as a column, in numbers; a stranger may have given anything."""
    try:
        column = np.asarray(given, dtype=float)
    except Exception as error:  # whatever the array of another library raises
        what = f"{name} is {_show(given)}"
        if isinstance(given, list | tuple):
            bad = (i for i, value in enumerate(given) if not _is_number(value))
            what = next((f"{name}[{i}] is {_show(given[i])}" for i in bad), what)
        raise BenchmarkError(f"{what}: {_ROWS}") from error
    if column.ndim == 0:
        raise BenchmarkError(f"{name} is {_show(given)}: {_ROWS}")
    if column.ndim > 1:
        raise BenchmarkError(f"{name} is of shape {column.shape}: {_ROWS}")
    return column


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _check(
    resources: Column, seconds: Column, metrics: Mapping[str, Column], metric: str, r_max: float
) -> None:
    if metric not in metrics:
        has = ", ".join(map(repr, metrics)) or "none"
        raise BenchmarkError(
            f"metrics has no {metric!r}, which spec.objective.metric names: set that to one that"
            f" there is ({has}), or return it too"
        )
    others = {"seconds": seconds} | {f"metrics[{name!r}]": c for name, c in metrics.items()}
    for name, column in others.items():
        if len(column) != len(resources):
            counts = f"{name} has {len(column)} rows, and resource has {len(resources)}"
            raise BenchmarkError(f"{counts}: {_ROWS}")
    if not len(resources):
        raise BenchmarkError(f"resource is empty: {_ROWS}, up to spec.resource.max {r_max:g}")
    if (row := _first(~(np.diff(resources) > 0))) is not None:
        values = f"resource[{row + 1}] is {resources[row + 1]:g}, after {resources[row]:g}"
        raise BenchmarkError(f"{values}: sort the reports, and give one for each resource")
    if not resources[-1] >= r_max:
        raise BenchmarkError(
            f"resource ends at {resources[-1]:g}, below spec.resource.max {r_max:g}:"
            " set that to what the benchmark has"
        )
    if (row := _first(~(np.diff(seconds, prepend=0.0) >= 0))) is not None:
        values = f"seconds[{row}] is {seconds[row]:g}, after {seconds[row - 1] if row else 0:g}"
        raise BenchmarkError(f"{values}: give those since the start of training, cumulative")


def _first(bad: npt.NDArray[np.bool_]) -> int | None:
    return int(np.argmax(bad)) if np.any(bad) else None


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
        at: Sequence[float] = (),
        landscape: int = 0,
    ) -> None:
        """Args:
        seconds: mean training time of one unit of resource.
        noise: standard deviation of a report.
        steps: at most so many reports up to r_max.
        at: where to report instead; ascending, r_max last.
        landscape: the seed of the hidden optimum.
        """
        self._space, self._objective = space, objective
        self._resources = np.array(at, float) if at else report_resources(resource, steps)
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
