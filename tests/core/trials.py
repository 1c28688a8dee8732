"""Trial records that the tests of histories and searchers share."""

import itertools
from collections.abc import Mapping

import numpy as np

from hyperband.core.records import RungValue, Study, Suggestion, Trial, TrialState
from hyperband.core.rungs import Ladder
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
