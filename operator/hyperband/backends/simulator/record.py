"""What a simulated study came to, as the plain data that `hyperband simulate` writes."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from hyperband.backends.simulator.simulation import Result
from hyperband.core.decisions import Action
from hyperband.core.records import Study, Trial, TrialState


class Costs(TypedDict):
    """Real time spent on decisions, in seconds; zeros if there were none."""

    count: int
    seconds: float
    p50: float
    p99: float


class RunRecord(TypedDict):
    """One run of a study."""

    seed: int
    workers: int
    seconds: float  # simulated
    finish: str | None  # the reason of its end, null if its time was up
    incumbent: list[list[float]]  # [simulated seconds, best objective reported so far]
    noResult: str | None  # if it is empty, what the first trial says
    trials: int
    completed: int  # trained in full
    resourceUnits: float  # trained, repetitions included
    stoppedUnits: float  # of them, on trials that were given up: stopped, failed, left paused
    utilization: float  # training time over the time of all workers
    decisions: Costs
    suggestions: Costs  # those of the decisions that start a new configuration


def run_record(study: Study, result: Result) -> RunRecord:
    """The record of a run of this very study (its seed, its workers)."""
    costs = [decided.cost for decided in result.decisions]
    starts = [d.cost for d in result.decisions if d.decision.action is Action.START]
    states = [trial.state for trial in result.trials]
    return {
        "seed": study.seed,
        "workers": study.parallelism,
        "seconds": result.seconds,
        "finish": result.finish.reason if result.finish else None,
        "incumbent": [[seconds, value] for seconds, value in result.incumbent],
        "noResult": None if result.incumbent else result.trials[0].message,
        "trials": len(result.trials),
        "completed": states.count(TrialState.COMPLETED),
        "resourceUnits": result.resource_units,
        "stoppedUnits": sum(_given_up(trial) for trial in result.trials),
        "utilization": result.utilization,
        "decisions": summarize(costs),
        "suggestions": summarize(starts),
    }


def summarize(costs: Sequence[float]) -> Costs:
    """Count, sum, median and 99th percentile of real seconds."""
    p50, p99 = np.quantile(costs, [0.5, 0.99]).tolist() if costs else (0.0, 0.0)
    return {"count": len(costs), "seconds": float(sum(costs)), "p50": p50, "p99": p99}


def _given_up(trial: Trial) -> float:
    """The resource up to the last rung of a trial that did not make it to r_max."""
    over = (TrialState.STOPPED, TrialState.PAUSED, TrialState.FAILED)
    return trial.rungs[-1].resource if trial.state in over and trial.rungs else 0.0
