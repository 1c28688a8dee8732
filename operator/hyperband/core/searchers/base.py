"""What a searcher does: given the trials so far, it suggests the next configuration.

Whatever the searcher, the configurations that the user gave come first, then the best one of each
earlier study that this one starts warm from; only then does it propose its own.
"""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import qmc

from hyperband.core import seeds
from hyperband.core.gp.proposing import Proposal, Proposing
from hyperband.core.records import EarlierTrial, Fit, Objective, Study, Suggestion, Trial
from hyperband.core.rungs import Ladder
from hyperband.core.space import Value


class Searcher(ABC):
    """Suggests configurations for one study.

    A searcher that was told all trial records, in any order, suggests what one that has lived
    through them would: what it keeps beside them is an optimization. Where the order of values
    matters, their sequence numbers give it.

    Attributes:
        best: the best trial of each earlier study, in the order in which they are tried.
    """

    quick = False  # whether a suggestion takes less time than a thread's start
    quasi_random = False  # where the study does not say
    learns = True  # from the values of trials

    def __init__(self, study: Study, ladder: Ladder) -> None:
        self.study = study
        self.ladder = ladder
        self.best = best_of_each_study(study.earlier, study.objective, ladder)
        given = [("Initial", point) for point in study.initial]
        self._given = given + [("Earlier", trial.parameters) for trial in self.best]

    def record(self, old: Trial | None, new: Trial) -> None:  # noqa: B027  # may learn nothing
        """Takes note of a new or changed trial record.

        Args:
            old: the record that it replaces, if there was one.
        """

    def suggest(self, index: int) -> Suggestion:
        """The configuration of the trial with this index."""
        if self.given(index):
            origin, point = self._given[index]
            return Suggestion(self.study.space.complete(point, self.uniforms(index)), origin)
        return self.propose(index)

    def given(self, index: int) -> bool:
        """Whether the configuration is known before any trial: no model is needed for it."""
        return index < len(self._given)

    @abstractmethod
    def propose(self, index: int) -> Suggestion:
        """A configuration of the searcher's own."""

    def fitting(self) -> Callable[[], Fit] | None:
        """The fit of a surrogate that the next proposal waits for, if there is one.

        It depends on nothing but itself and can be pickled, so it may be made in another process,
        and its result given to `fitted`. If nobody does, `propose` makes it.
        """
        return None

    def fitted(self, fit: Fit) -> None:  # noqa: B027  # most have no surrogate
        """Takes in what `fitting` has come to."""

    def proposing(self, index: int) -> Proposing | None:
        """The work of `propose` where that is much: it may be done in another process.

        Its result is given to `proposed`; the next `propose` then makes it no more, unless the
        trials have changed meanwhile.
        """
        return None

    def proposed(self, proposal: Proposal) -> None:  # noqa: B027  # most have no surrogate
        """Takes in what `proposing` has come to."""

    def draw(self, index: int) -> Mapping[str, Value]:
        """The configuration that the prior gives this index: a function of seed and index alone."""
        return self.study.space.sample(self.uniforms(index))

    def uniforms(self, index: int) -> npt.NDArray[np.float64]:
        """One number in [0, 1) for each parameter, (n_parameters,)."""
        seed, count = self.study.seed, len(self.study.space.parameters)
        asked = self.study.options.quasi_random
        if self.quasi_random if asked is None else asked:
            return sobol(seed, index, count)
        return seeds.generator(seed, index, "parameters").random(count)


def sobol(seed: int, index: int, dimension: int) -> npt.NDArray[np.float64]:
    """Point `index` of a Sobol sequence that the seed has scrambled, (dimension,) in [0, 1)."""
    sequence = qmc.Sobol(dimension, rng=seeds.generator(seed, 0, "sobol"))
    if index:  # scipy 1.15 fails at going forward by nothing
        sequence.fast_forward(index)
    point: npt.NDArray[np.float64] = sequence.random()[0]
    return np.minimum(point, np.nextafter(1.0, 0.0))


def best_of_each_study(
    earlier: Sequence[EarlierTrial], objective: Objective, ladder: Ladder
) -> list[EarlierTrial]:
    """The best trial of each earlier study: of those that came to the highest level of this
    study's ladder, the least loss."""

    def rank(trial: EarlierTrial) -> tuple[int, float]:
        resource, value = trial.values[-1]
        return -bisect_right(ladder.levels, resource), objective.loss(value)

    best: dict[str, EarlierTrial] = {}
    for trial in earlier:
        if trial.values and (trial.study not in best or rank(trial) < rank(best[trial.study])):
            best[trial.study] = trial
    return list(best.values())
