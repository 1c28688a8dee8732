"""A benchmark's surrogate without its files, and a problem made of it."""

import numpy as np

from benchmarks.search_quality.benchmark import Problem
from benchmarks.surrogate import Array
from hyperband.backends.simulator.curves import AnalyticCurves
from hyperband.core.records import Goal, Objective, Resource
from hyperband.core.space import Float, Space


def lcbench_model(categorical: Array, continuous: Array) -> Array:
    """Time goes back at epoch 20, as that of the true surrogate does now and then."""
    epoch, rate = continuous[:, 0], continuous[:, 2]
    time = 5.0 + 2.0 * epoch - np.where(epoch == 20, 3.0, 0.0)
    columns = [time, 50.0 + epoch, 1 / epoch, categorical[:, 0] + rate, epoch, epoch]
    return np.column_stack(columns)


def nb301_model(categorical: Array, continuous: Array) -> Array:
    epoch = continuous[:, 0]
    total = categorical.sum(axis=1)
    return np.column_stack([total + epoch / 100, 1 / epoch, 7.0 * epoch, total])


def problem(name: str = "fake", goal: Goal = Goal.MAXIMIZE) -> Problem:
    """One parameter; best 1, median of random configurations 0.5."""
    space, objective = Space((Float("x", 0.0, 1.0),)), Objective("value", goal)
    resource = Resource("epochs", 1, 9)
    return Problem(
        name=name,
        parameters=[{"name": "x", "type": "Float", "min": 0.0, "max": 1.0}],
        space=space,
        objective=objective,
        resource=resource,
        benchmark=AnalyticCurves(space, resource, objective),
        full_run=10.0,
        best=1.0,
        median=0.5,
    )
