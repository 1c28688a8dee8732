"""The tasks that methods are compared on, one name each: `lcbench/189908`, `nb301`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain

import numpy as np

from benchmarks import lcbench, nb301
from benchmarks.search_quality.methods import ETA
from benchmarks.spaces import Parameters, parameters
from benchmarks.surrogate import data
from hyperband.api.parameters import parse_space
from hyperband.backends.simulator.curves import Benchmark
from hyperband.core.records import Goal, Objective, Resource, Study
from hyperband.core.seeds import generator
from hyperband.core.space import Space, Value

ENDLESS = 10**9  # trials
RANDOM_CONFIGURATIONS = 2_000  # of NAS-Bench-301, whose files state no best value
CLIMBS = 5  # from the best of them, one choice at a time


@dataclass(frozen=True, slots=True)
class Task:
    """What is searched, and how training goes there."""

    name: str
    parameters: Parameters  # as in spec.parameters
    space: Space
    objective: Objective
    resource: Resource
    benchmark: Benchmark

    def study(self, name: str, seed: int, parallelism: int, mode: str, searcher: str) -> Study:
        """A study of the task that time alone ends."""
        return Study(
            name=name,
            objective=self.objective,
            resource=self.resource,
            space=self.space,
            max_trials=ENDLESS,
            seed=seed,
            parallelism=parallelism,
            eta=ETA,
            mode=mode,
            searcher=searcher,
        )


@dataclass(frozen=True, slots=True)
class Problem(Task):
    """A task, and by what results are judged.

    `best` and `median` are of values at r_max: the best that an extensive search has found, and
    the median of random configurations.
    """

    full_run: float  # mean seconds of a random configuration up to r_max
    best: float
    median: float


def names() -> list[str]:
    """All tasks."""
    return [*(f"lcbench/{number}" for number in lcbench.references()), "nb301"]


@cache
def problem(name: str) -> Problem:
    """The task of this name.

    Raises:
        KeyError: there is none.
        MissingDataError: its data are not there.
    """
    family, _, task = name.partition("/")
    if family == "lcbench":
        return _lcbench(name, task)
    if name == "nb301":
        return _nb301()
    raise KeyError(f"there is no task {name}: use one of {', '.join(names())}")


def _lcbench(name: str, task: str) -> Problem:
    benchmark = lcbench.task(task)
    rows = parameters(data("lcbench", "config_space.json"), ("OpenML_task_id", "epoch"), "")
    known = lcbench.references()[task]
    return Problem(
        name=name,
        parameters=rows,
        space=parse_space(rows),
        objective=Objective(lcbench.METRIC, Goal.MAXIMIZE),
        resource=Resource("epochs", 1, lcbench.R_MAX),
        benchmark=benchmark,
        full_run=known.full_run,
        best=known.best,
        median=known.median,
    )


def _nb301() -> Problem:
    rows = parameters(data("nb301", "config_space.json"), ("epoch",), nb301.PREFIX)
    space, benchmark = parse_space(rows), nb301.benchmark()
    draws = generator(0, 0, "reference").random((RANDOM_CONFIGURATIONS, len(rows)))
    configurations: list[Mapping[str, Value]] = [space.sample(u) for u in draws]
    last = benchmark.outputs(configurations, np.array([nb301.R_MAX]))[:, 0]
    order = np.argsort(-last[:, 0])[:CLIMBS]
    best = max(_climb(benchmark, space, configurations[i]) for i in order)
    return Problem(
        name="nb301",
        parameters=rows,
        space=space,
        objective=Objective(nb301.METRIC, Goal.MAXIMIZE),
        resource=Resource("epochs", 1, nb301.R_MAX),
        benchmark=benchmark,
        full_run=float(np.mean(last[:, 2])),
        best=best,
        median=float(np.median(last[:, 0])),
    )


def _climb(benchmark: nb301.NasBench301, space: Space, start: Mapping[str, Value]) -> float:
    """The value of the local optimum above a configuration, one choice changed at a time."""
    best, value = start, -np.inf
    while True:
        neighbours = [best, *chain.from_iterable(_changes(space, best))]
        values = benchmark.outputs(neighbours, np.array([nb301.R_MAX]))[:, 0, 0]
        if values.max() <= value:
            return float(value)
        value, best = values.max(), neighbours[int(np.argmax(values))]


def _changes(space: Space, best: Mapping[str, Value]) -> list[list[Mapping[str, Value]]]:
    middle = [0.5] * len(space.parameters)
    return [
        [space.complete({**best, p.name: value}, middle) for value in getattr(p, "values", ())]
        for p in space.parameters
    ]
