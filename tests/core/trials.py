"""Trial records that the tests of histories and searchers share."""

import itertools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from hyperband.core.records import RungValue, Study, Suggestion, Trial, TrialState
from hyperband.core.rungs import Ladder
from hyperband.core.searchers.base import Searcher
from hyperband.core.space import Value


def trial(
    index: int,
    state: TrialState,
    *values: tuple[int, float, int],
    parameters: Mapping[str, Value],
    bracket: int = 2,
) -> Trial:
    """A trial with (level, value, sequence) at its rungs. (Nobody asks for its resources.)"""
    rungs = tuple(RungValue(level, value, sequence, 1.0) for level, value, sequence in values)
    target = min(2, values[-1][0] + 1) if values else 0
    return Trial(index, Suggestion(parameters, "Random"), bracket, state, target, rungs=rungs)


def random_trials(study: Study, count: int, seed: int = 0) -> list[Trial]:
    """Trials of one bracket with many ties, some of them failed or pending, by index."""
    random, sequence = np.random.default_rng(seed), itertools.count()
    levels = len(Ladder(study.resource, study.eta))
    trials = []
    for index in range(count):
        parameters = study.space.sample(random.random(len(study.space.parameters)))
        reached = int(random.integers(levels + 1))
        values = [(k, float(random.integers(5)), next(sequence)) for k in range(reached)]
        states = [TrialState.PAUSED, TrialState.RUNNING, TrialState.STOPPED, TrialState.FAILED]
        state = states[random.integers(4)] if reached < levels else TrialState.COMPLETED
        trials.append(trial(index, state, *values, parameters=parameters, bracket=levels - 1))
    return trials


def lived_and_shuffled(
    make: type[Searcher], study: Study, trials: list[Trial]
) -> tuple[Searcher, Searcher]:
    """A searcher that has lived through the trials, and one told of them in another order."""
    ladder = Ladder(study.resource, study.eta)
    lived, shuffled = make(study, ladder), make(study, ladder)
    for new in trials:
        young = replace(new, state=TrialState.PENDING, rungs=())
        lived.record(None, young)
        lived.record(young, new)
    for position in np.random.default_rng(0).permutation(len(trials)).tolist():
        shuffled.record(None, trials[position])
    return lived, shuffled


def distinct(searcher: Searcher, suggestions: int) -> list[int]:
    """How many different configurations there are after each suggestion, all of them evaluated."""
    seen: set[str] = set()
    counts = []
    for index in range(suggestions):
        point = searcher.suggest(index).parameters
        seen.add(str(point))
        counts.append(len(seen))
        values = (0, index % 3, index)
        searcher.record(None, trial(index, TrialState.PAUSED, values, parameters=point))
    return counts
