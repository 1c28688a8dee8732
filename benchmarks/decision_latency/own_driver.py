"""Measures our searchers: the counterpart of `peer_driver`, with the same lines in and out."""

import cProfile
import pstats
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from benchmarks.decision_latency import memory
from benchmarks.decision_latency.measurements import LEAST, OURS
from benchmarks.decision_latency.samples import Samples
from benchmarks.decision_latency.shares import profile_record
from benchmarks.decision_latency.tasks import task, value
from benchmarks.player import Cost, Player, suggestions, timed
from benchmarks.search_quality.runs import serve
from hyperband.core.decisions import Decision
from hyperband.core.engine import Engine
from hyperband.core.records import Fit, SearcherOptions, Study, Trial


def study(job: Mapping[str, Any], method: str) -> Study:
    """The study of a job, with a method's searcher; one slot is free while the others pend."""
    given, (searcher, model) = task(job["task"]), OURS[method]
    how = (job["seed"], job["pending"] + 1, "Promotion", searcher)
    options = SearcherOptions(resource_model=model) if model else SearcherOptions()
    return replace(given.study("decision-latency", *how), options=options)


class Profiled(Player):
    """Profiles fits, and all else that a launch takes, by CPU time."""

    def __init__(self, engine: Engine, value: Callable[[Trial, float], float], seed: int) -> None:
        super().__init__(engine, value, seed)
        self.start()

    def start(self) -> None:
        """Forgets what there was."""
        self.fits, self.launches = (cProfile.Profile(time.process_time) for _ in range(2))

    def fit(self, job: Callable[[], Fit]) -> tuple[Fit, Cost]:
        return timed(lambda: self.fits.runcall(job))

    def launch(self) -> tuple[Decision | None, Cost]:
        return timed(lambda: self.launches.runcall(self.engine.launch))


def player(job: Mapping[str, Any], kind: Callable[..., Player] = Player) -> Player:
    """A study that has its observations, of configurations drawn at random."""
    given = task(job["task"])

    def report(trial: Trial, resource: float) -> float:
        return value(given, trial.parameters, resource)

    filling = Player(Engine(study(job, "random")), report, job["seed"])
    for _ in range(job["observations"]):
        for _ in filling.play():
            pass
    engine = Engine(study(job, job["method"]), filling.engine.trials.values())
    return kind(engine, report, job["seed"])


def latency(job: Mapping[str, Any]) -> dict[str, Any]:
    """Seconds of each suggestion; the first one, whose fit starts from nothing, apart."""
    before = memory.peak()
    playing = player(job)
    made = suggestions(playing)
    first = next(made)
    samples = Samples()
    for each in islice(made, job["suggestions"]):
        samples.add(each.cost, each.fit)
        if samples.enough(LEAST, job["cap"]):
            break
    return {
        **samples.record(),
        "first": first.cost.cpu,
        "values": playing.values,
        "memory": memory.peak(),
        "memoryBefore": before,
    }


def profile(job: Mapping[str, Any]) -> dict[str, Any]:
    """Where the CPU time of suggestions goes, that of fits apart."""
    playing = player(job, Profiled)
    assert isinstance(playing, Profiled)
    made = suggestions(playing)
    next(made)
    playing.start()
    count = sum(1 for _ in islice(made, job["suggestions"]))
    parts = {"launch": playing.launches, "fit": playing.fits}
    records = {name: profile_record(pstats.Stats(own), count) for name, own in parts.items()}
    return {"suggestions": count, **records}


def run(job: Mapping[str, Any]) -> dict[str, Any]:
    """One measurement."""
    make = profile if job["kind"] == "profile" else latency
    return {job["kind"]: make(job)}


if __name__ == "__main__":
    serve(run, sys.stdin, sys.stdout)
