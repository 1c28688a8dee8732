"""BOHB's search: where good configurations are dense and bad ones are not.

Falkner, Klein and Hutter 2018 (arXiv 1807.01774), sections 3.2 and 4: at the highest level with
enough values, the densities l of the good and g of the bad ones are estimated; of some candidates
drawn from a widened l, the one with the largest l/g is proposed. A share of the proposals is drawn
from the prior, so that the search converges whatever the densities believe.
"""

from bisect import insort
from math import floor

import numpy as np
import numpy.typing as npt

from hyperband.core import seeds
from hyperband.core.exact import exact
from hyperband.core.records import Study, Suggestion, Trial
from hyperband.core.rungs import Ladder
from hyperband.core.searchers.base import Searcher
from hyperband.core.searchers.densities import Coding, Density, Points
from hyperband.core.searchers.history import History
from hyperband.core.searchers.tried import Tried, draw_new

CANDIDATES = 64
WIDENING = 3.0  # of the good ones' bandwidths, for drawing candidates
ROUNDS = 4  # of candidates, until one has not been tried


class KernelDensity(Searcher):
    """Values of all brackets at a level count together.

    A trial that failed counts as one of the bad at the level that it was on the way to; its loss
    is needed for nothing, so that a failure weighs no more than any other bad configuration.
    """

    def __init__(self, study: Study, ladder: Ladder) -> None:
        super().__init__(study, ladder)
        self._history = History(study, ladder)
        # By level: (loss, sequence number, trial) of each value, from the best to the worst.
        self._ranked: list[list[tuple[float, int, int]]] = [[] for _ in ladder.levels]
        for o in self._history.observations:
            insort(self._ranked[o.level], (o.loss, o.sequence, o.trial))
        self._coding = Coding(study.space)
        self._table = _Table(self._coding)
        self._tried = Tried(study)
        for index, trial in enumerate(study.earlier, -len(study.earlier)):
            self._table.add(index, self._coding.points([trial.parameters]))

    def record(self, old: Trial | None, new: Trial) -> None:
        self._history.record(old, new)
        for value in new.rungs[len(old.rungs) if old else 0 :]:
            loss = self.study.objective.loss(value.value)
            insort(self._ranked[value.level], (loss, value.sequence, new.index))
        if old is None:
            self._table.add(new.index, self._coding.points([new.parameters]))
            self._tried.add(new.parameters)

    def propose(self, index: int) -> Suggestion:
        options, seed = self.study.options, self.study.seed
        at_random = seeds.uniform(seed, index, "kernel density") < options.random_fraction
        level = None if at_random else self._level()
        if level is None:
            return Suggestion(draw_new(self, self._tried, index), "Random")
        good, bad, failed = self._split(level)
        better = Density(self._coding, self._table.points(good))
        worse = Density(self._coding, self._table.points(bad + failed))
        detail = {
            "level": float(level),
            "good": float(len(good)),
            "bad": float(len(bad)),
            "failed": float(len(failed)),
        }
        return self._best(index, better, worse, detail)

    def _best(
        self, index: int, better: Density, worse: Density, detail: dict[str, float]
    ) -> Suggestion:
        """The candidate with the largest l/g among those that have not been tried.

        A space of which little is left may have none: then the prior is asked, as it may reach
        what the good ones do not, and after that the best candidate comes again.
        """
        random = seeds.generator(self.study.seed, index, "candidates")
        space, first = self.study.space, None
        for _ in range(ROUNDS):
            drawn = better.draw(CANDIDATES, WIDENING, random)
            points = self._coding.candidates(drawn)
            ratios = better.log(points) - worse.log(points)
            for k in np.argsort(-ratios, kind="stable").tolist():
                candidate = space.decode(drawn[k])
                first = first or (candidate, ratios[k])
                if candidate not in self._tried:
                    detail["logRatio"] = float(ratios[k])
                    return Suggestion(candidate, "KernelDensity", detail)
        drawn_new = draw_new(self, self._tried, index)
        if drawn_new not in self._tried:
            return Suggestion(drawn_new, "Random")
        assert first is not None
        return Suggestion(first[0], "KernelDensity", detail | {"logRatio": float(first[1])})

    def _level(self) -> int | None:
        """The highest level with at least two values more than N_min = P + 1, if there is one."""
        return self._history.highest_level(self._coding.size + 3)

    def _split(self, level: int) -> tuple[list[int], list[int], list[int]]:
        """Trials at a level: the good, the bad (from the best to the worst), the failed.

        The paper's equation 3: the best max(N_min, ⌊q·n⌋) are good and the others are bad, but at
        least N_min of them: while there are few values, some count as both.
        """
        ranked = [trial for _, _, trial in self._ranked[level]]
        least = self._coding.size + 1
        good = max(least, floor(exact(self.study.options.good_fraction) * len(ranked)))
        bad = max(least, len(ranked) - good)
        failed = [e.index for e in self._history.failed if e.level == level]
        return ranked[:good], ranked[-bad:], failed


class _Table:
    """Trials as points, kept so that no suggestion encodes them again."""

    def __init__(self, coding: Coding) -> None:
        self._points = coding.points([])
        self._rows: dict[int, int] = {}  # by trial

    def add(self, trial: int, point: Points) -> None:
        row = self._rows[trial] = len(self._rows)
        if row == len(self._points.places):
            self._points = Points(*(_doubled(each) for each in _columns(self._points)))
        for column, value in zip(_columns(self._points), _columns(point), strict=True):
            column[row] = value[0]

    def points(self, trials: list[int]) -> Points:
        """In the order of the trials given, so that sums come out the same to the last bit."""
        rows = self._rows
        return self._points.take(np.array([rows[trial] for trial in trials], dtype=np.intp))


def _columns(points: Points) -> tuple[npt.NDArray[np.float64], ...]:
    return points.places, points.active, points.widths


def _doubled(array: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    grown = np.zeros((max(16, 2 * len(array)), array.shape[1]))
    grown[: len(array)] = array
    return grown
