"""Runs our methods: the counterpart of `peer_driver`, with the same lines in and out."""

import sys
from collections.abc import Mapping
from typing import Any

from benchmarks.search_quality.benchmark import problem
from benchmarks.search_quality.methods import ETA, Ours, method
from benchmarks.search_quality.runs import serve
from hyperband.backends.simulator.record import run_record
from hyperband.backends.simulator.simulation import Simulation
from hyperband.core.records import Study
from hyperband.core.rungs import geometric_levels

ENDLESS = 10**9  # trials: time alone ends a run


def study(job: Mapping[str, Any]) -> Study:
    """The study of a job."""
    given, chosen = problem(job["task"]), method(job["method"])
    if not isinstance(chosen, Ours):
        raise TypeError(f"{chosen.name} is a method of the peer")
    return Study(
        name="search-quality",
        objective=given.objective,
        resource=given.resource,
        space=given.space,
        max_trials=ENDLESS,
        seed=job["seed"],
        parallelism=job["workers"],
        eta=ETA,
        mode=chosen.mode,
        brackets=chosen.brackets(len(geometric_levels(given.resource, ETA))),
        searcher=chosen.searcher,
    )


def run(job: Mapping[str, Any]) -> dict[str, Any]:
    """One study, never cut short."""
    simulated = study(job)
    result = Simulation(simulated, problem(job["task"]).benchmark).run(job["seconds"])
    return {"run": run_record(simulated, result), "cut": False}


if __name__ == "__main__":
    serve(run, sys.stdin, sys.stdout)
