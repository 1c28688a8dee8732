"""What is searched while suggestions are timed: the spaces of the studies beside this package."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks import lcbench, nb301
from benchmarks.search_quality.benchmark import Task
from benchmarks.surrogate import MissingDataError
from hyperband.api.files import load_manifest
from hyperband.api.study import parse_study
from hyperband.backends.simulator.curves import AnalyticCurves, Benchmark
from hyperband.core.space import Value

STUDIES = Path(__file__).parents[1] / "studies"
LCBENCH = "189908"
SPACES = ("lcbench", "nb301")  # 7 numbers; 34 categoricals with conditions on 224 axes


def available(space: str) -> str:
    """The name of the task over a space: its surrogate where that is there, else power laws."""
    try:
        _surrogate(space)
    except MissingDataError:
        return f"{space}-analytic"
    return space


@cache
def task(name: str) -> Task:
    """The task of this name: `lcbench`, `nb301`, `lcbench-analytic` or `nb301-analytic`.

    Raises:
        MissingDataError: a surrogate's data are not there.
    """
    space, _, analytic = name.partition("-")
    manifest = load_manifest(STUDIES / f"{space}.yaml")
    study = parse_study(manifest).study
    given: Benchmark = (
        AnalyticCurves(study.space, study.resource, study.objective)
        if analytic
        else _surrogate(space)
    )
    return Task(
        name=name,
        parameters=manifest["spec"]["parameters"],
        space=study.space,
        objective=study.objective,
        resource=study.resource,
        benchmark=given,
    )


def value(given: Task, parameters: Mapping[str, Value], resource: float) -> float:
    """The objective at the first report at or above a resource."""
    curve = given.benchmark.curve(dict(parameters), 0)
    row = int(np.searchsorted(np.asarray(curve["resource"]), resource))
    return float(curve["metrics"][given.objective.metric][row])


def _surrogate(space: str) -> Benchmark:
    return lcbench.task(LCBENCH) if space == "lcbench" else nb301.benchmark()
