"""Runs our methods: the counterpart of `peer_driver`, with the same lines in and out."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from benchmarks.search_quality.benchmark import problem
from benchmarks.search_quality.methods import ETA, Ours, method
from benchmarks.search_quality.runs import serve
from hyperband.backends.simulator.record import run_record
from hyperband.backends.simulator.simulation import Simulation
from hyperband.core.records import Study
from hyperband.core.rungs import geometric_levels


def study(job: Mapping[str, Any]) -> Study:
    """The study of a job."""
    given, chosen = problem(job["task"]), method(job["method"])
    if not isinstance(chosen, Ours):
        raise TypeError(f"{chosen.name} is a method of the peer")
    how = (job["seed"], job["workers"], chosen.mode, chosen.searcher)
    levels = geometric_levels(given.resource, ETA)
    return replace(given.study("search-quality", *how), brackets=chosen.brackets(len(levels)))


def run(job: Mapping[str, Any]) -> dict[str, Any]:
    """One study, never cut short."""
    simulated = study(job)
    result = Simulation(simulated, problem(job["task"]).benchmark).run(job["seconds"])
    return {"run": run_record(simulated, result), "cut": False}


if __name__ == "__main__":
    serve(run, sys.stdin, sys.stdout)
