"""What a study may be expected to come to, before it runs: simulated with several seeds."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

from hyperband.backends.simulator.curves import AnalyticCurves
from hyperband.backends.simulator.simulation import Simulation
from hyperband.core.brackets import in_use, rung_sizes, start_size
from hyperband.core.records import SearcherOptions, Study, TrialState
from hyperband.core.rungs import Ladder

# A unit of resource takes this many times `AnalyticCurves(seconds=…)`, averaged over configurations
# (1 + 2·cost) and steps (lognormal).
_MEAN_PACE = 2.0 * math.exp(0.3**2 / 2)


@dataclass(frozen=True, slots=True)
class Run:
    """One simulated run of a study."""

    trials: int
    completed: int  # trained in full
    values: Counter[tuple[int, int]]  # how many trials have one, by (bracket, level)
    resource_units: float
    seconds: float  # from the first pod to the end
    finish: str


@dataclass(frozen=True, slots=True)
class Range:
    """A number as several runs have it."""

    low: float
    middle: float  # the median
    high: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Range":
        """Of at least one number."""
        return cls(min(numbers), median(numbers), max(numbers))


@dataclass(frozen=True, slots=True)
class Rung:
    """A level of a bracket: how many trials get a value there."""

    bracket: int
    resource: float
    trials: Range
    size: int | None  # of one instance of the bracket, where brackets have sizes


def simulate_run(study: Study, seed: int, *, gpus: float, unit_seconds: float | None) -> Run:
    """A run of the study with random configurations: who comes how far hardly depends on whose.

    Training follows synthetic curves, with a report at each rung. Targets are left out, as these
    curves know nothing of them; so are bounds in time, unless `unit_seconds` tells what a unit of
    the resource takes.
    """
    budget = study.budget
    if unit_seconds is None:
        budget = replace(budget, gpu_seconds=None, seconds=None)
    changed = replace(
        study,
        seed=seed,
        searcher="Random",
        options=SearcherOptions(),
        targets=(),
        budget=budget,
        stop=False,
    )
    curves = AnalyticCurves(
        study.space,
        study.resource,
        study.objective,
        seconds=(unit_seconds or 1.0) / _MEAN_PACE,
        at=Ladder.of(study).levels,
    )
    result = Simulation(changed, curves, gpus=gpus).run()
    states = [trial.state for trial in result.trials]
    return Run(
        trials=len(result.trials),
        completed=states.count(TrialState.COMPLETED),
        values=Counter((t.bracket, rung.level) for t in result.trials for rung in t.rungs),
        resource_units=result.resource_units,
        seconds=result.seconds,
        finish=result.finish.reason if result.finish else "",
    )


def rungs(study: Study, runs: Sequence[Run]) -> Iterator[Rung]:
    """The rungs of each bracket in use, from the lowest on."""
    ladder = Ladder.of(study)
    for bracket in in_use(len(ladder), study.brackets):
        sizes: Sequence[int | None] = [None] * (bracket + 1)
        if study.mode == "Synchronous":
            start = start_size(len(ladder), bracket, study.eta, study.sizes)
            sizes = rung_sizes(start, bracket + 1, study.eta)
        for level, size in zip(range(ladder.first(bracket), len(ladder)), sizes, strict=True):
            counts = [run.values[bracket, level] for run in runs]
            yield Rung(bracket, ladder[level], Range.of(counts), size)
