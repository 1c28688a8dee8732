"""A-BOHB: a joint Gaussian process over configuration and resource proposes what to try next.

After Tiao et al. 2020 (arXiv 2003.10865): one process over all values at all rungs, pending
evaluations fantasized, expected improvement at the highest level that has at least three values.
Without rungs (mode None) this is asynchronous Bayesian optimization on full runs.
"""

import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from hyperband.core import seeds
from hyperband.core.cube import Cube
from hyperband.core.gp.fitting import Data, fit, thinned
from hyperband.core.gp.kernels import Array, Indices, Layout
from hyperband.core.gp.model import Levels, Model, all_at
from hyperband.core.gp.posterior import Factor, Posterior
from hyperband.core.gp.resources import MODELS
from hyperband.core.gp.search import AcquisitionSearch
from hyperband.core.gp.targets import Targets, standardize
from hyperband.core.records import Fit, Study, Suggestion, Trial
from hyperband.core.rungs import Ladder
from hyperband.core.searchers.base import Searcher
from hyperband.core.searchers.history import Evaluation, History
from hyperband.core.searchers.tried import Tried, draw_new
from hyperband.core.space import Value

ENOUGH = 3  # values that a level needs to be where improvement is expected
START = 6  # values before the first fit
MOST_FITTED = 300  # observations that a fit looks at: its cost is cubic
MOST_KNOWN = 1000  # observations that the posterior is made of at a fit; later ones are appended
FANTASIES = 20
MOST_PENDING = 200  # the newest ones
MOST_FAILED = 50
FAILED_TARGET = 1.0  # what a failure is taken for: spreads of the good half above the median
BEST = 8  # places around which candidates are looked for


@dataclass(frozen=True, slots=True)
class _Grown:
    """A factor, and how far it has come."""

    values: int  # that its parameters were fitted to
    theta: Array  # these parameters: a fit is made again when a trial has failed meanwhile
    rows: Indices  # of the history that it knows, in its own order
    upto: int  # the next row to append
    factor: Factor


class GaussianProcess(Searcher):
    """Model-based proposals, from the first few values on."""

    quasi_random = True  # a model learns more from points that lie apart

    def __init__(self, study: Study, ladder: Ladder) -> None:
        super().__init__(study, ladder)
        self._history = History(study, ladder)
        resource = MODELS[study.options.resource_model](np.array(ladder.levels, dtype=float))
        self._model = Model(Layout.of(study.space), resource)
        self._search = AcquisitionSearch(Cube(study.space))
        self._places: dict[int, Array] = {}  # by trial
        self._kept: dict[int, Array] = {}  # θ by the values fitted to, of written suggestions
        self._fresh: Fit | None = None  # the last one made, of no written suggestion yet
        self._grown: _Grown | None = None
        self._tried = Tried(study)

    # -- what is known -----------------------------------------------------------------------

    def record(self, old: Trial | None, new: Trial) -> None:
        if old is None:
            self._tried.add(new.parameters)
            fit = new.suggestion.fit
            if fit and self._model.accepts(fit.hyperparameters):
                self._kept[fit.values] = np.array(fit.hyperparameters)
        self._history.record(old, new)

    def _data(self, count: int) -> tuple[Data, Targets]:
        """The first `count` observations, standardized."""
        first = self._history.observations[:count]
        targets = standardize(np.array([o.loss for o in first]))
        x = np.array([self._place(o.trial, o.parameters) for o in first])
        k = np.array([o.level for o in first], dtype=np.intp)
        return Data(x, k, targets.values), targets

    def _failures(self) -> Data:
        """Failed evaluations as observations: bad, but no worse than bad values are."""
        failed = self._history.failed[-MOST_FAILED:]
        return Data(*self._at(failed), np.full(len(failed), FAILED_TARGET))

    def _place(self, trial: int, parameters: Mapping[str, Value]) -> Array:
        if trial not in self._places:
            self._places[trial] = self.study.space.encode(parameters)
        return self._places[trial]

    # -- fits --------------------------------------------------------------------------------

    def fitting(self) -> Callable[[], Fit] | None:
        count = self._due()
        if count is None or count in self._kept or self._fresh_for(count) is not None:
            return None
        earlier = max((c for c in self._kept if c < count), default=None)
        start = None if earlier is None else self._kept[earlier]
        made_from = self._data(count)[0], self._failures()
        return partial(make_fit, self._model, *made_from, len(self._history.failed), start)

    def fitted(self, fit: Fit) -> None:
        self._fresh = fit

    def _fresh_for(self, count: int) -> Fit | None:
        """The fit to so many values that no suggestion was made from yet, unless trials have
        failed since: a restart would make it anew, and know of them."""
        fit, failures = self._fresh, len(self._history.failed)
        return fit if fit and (fit.values, fit.failures) == (count, failures) else None

    def _due(self) -> int | None:
        """How many values the present fit is made from; None before the first one."""
        recorded = len(self._history.observations)
        if recorded < START or not self._search.free or self._level() is None:
            return None
        return fitted_to(recorded)

    def _level(self) -> int | None:
        """The highest level with enough values."""
        return self._history.highest_level(ENOUGH)

    # -- proposals -----------------------------------------------------------------------------

    def propose(self, index: int) -> Suggestion:
        count, level = self._due(), self._level()
        if count is None or level is None:
            return Suggestion(draw_new(self, self._tried, index), "Random")
        if (job := self.fitting()) is not None:
            self.fitted(made := job())
            if made.error:
                warnings.warn(f"not fitted to {count} values:\n{made.error}", stacklevel=2)
        fit = self._fresh_for(count)
        theta = self._kept[count] if fit is None else np.array(fit.hyperparameters)
        data, targets = self._data(len(self._history.observations))
        failures = self._failures()
        known = self._observed(count, theta, data).given(failures.x, failures.k, failures.y)
        random = seeds.generator(self.study.seed, index, "acquisition")
        pending = self._history.pending[-MOST_PENDING:]
        normals = random.standard_normal((len(pending), FANTASIES))
        posterior = known.fantasize(*self._at(pending), normals)
        best, threshold = self._incumbents(posterior, data, pending, level)
        places, logs = self._search.run(posterior, level, threshold, best, random)
        chosen = self._first_untried(places)
        if chosen is None:
            return Suggestion(draw_new(self, self._tried, index), "Random")
        row, parameters = chosen
        mean, deviation = _moments(posterior, places[row], level)
        sign = self.study.objective.loss(1.0)
        detail = {
            "level": float(level),
            "mean": sign * targets.loss(mean),
            "deviation": targets.spread * deviation,
            "improvement": targets.spread * float(np.exp(logs[row])),
            "incumbent": sign * targets.loss(float(threshold.mean())),
            "values": float(len(data)),
            "modelAge": float(len(data) - count),
            "pending": float(len(pending)),
        }
        return Suggestion(parameters, "GaussianProcess", detail, Fit(count, tuple(theta.tolist())))

    def _observed(self, count: int, theta: Array, data: Data) -> Posterior:
        """The posterior given the values recorded: those at the fit thinned, later ones all."""
        grown = self._grown
        if grown is None or grown.values != count or not np.array_equal(grown.theta, theta):
            rows = thinned(self._data(count)[0], MOST_KNOWN)
            empty = Factor.empty(self._model.kernel(theta), data.x.shape[1])
            factor = empty.append(data.x[rows], data.k[rows])
            grown = _Grown(count, theta, rows, count, factor)
        new = np.arange(grown.upto, len(data))
        # One after the other, as they came: a restart gets the very same numbers.
        factor = grown.factor.append_each(data.x[new], data.k[new])
        rows = np.concatenate([grown.rows, new])
        self._grown = _Grown(count, theta, rows, len(data), factor)
        return Posterior.of(factor, data.y[rows])

    def _at(self, evaluations: Sequence[Evaluation]) -> tuple[Array, Levels]:
        places = [self._place(e.index, e.parameters) for e in evaluations]
        levels = np.array([e.level for e in evaluations], dtype=np.intp)
        return np.array(places).reshape(len(places), self.study.space.dimension), levels

    def _incumbents(
        self, posterior: Posterior, data: Data, pending: Sequence[Evaluation], level: int
    ) -> tuple[Array, Array]:
        """The best places (b, d) by posterior mean, and the least means (f,) of all fantasies.

        Of the observed places, those that could be the best are enough: the best values over all,
        and at the level itself.
        """
        order = np.argsort(data.y, kind="stable")
        promising = np.concatenate([order[: 4 * BEST], order[data.k[order] == level][:BEST]])
        places = np.concatenate([data.x[promising], self._at(pending)[0]])
        places = np.unique(places, axis=0)
        mean = posterior.predict(places, all_at(level, places)).mean
        best = np.argsort(mean.mean(axis=1), kind="stable")[:BEST]
        return places[best], mean.min(axis=0)

    def _first_untried(self, places: Array) -> tuple[int, Mapping[str, Value]] | None:
        for row, place in enumerate(places):
            parameters = self.study.space.decode(place)
            if parameters not in self._tried:
                return row, parameters
        return None


def fitted_to(recorded: int) -> int:
    """The number of values that the model is fitted to when so many are recorded.

    Fits come at fixed counts, each an eighth above the one before, so that a restart makes the same
    ones and their cost over a study is that of a few.
    """
    count = START
    while (following := count + max(1, count // 8)) <= recorded:
        count = following
    return count


def make_fit(model: Model, data: Data, failed: Data, failures: int, start: Array | None) -> Fit:
    """Fits the model, from the last fit's parameters if there are any.

    Whatever goes wrong would go wrong again, as nothing but the data counts: then the fit is the
    start, which is what a restart comes to, too, and its `error` says why.

    Args:
        data, failed: what it is fitted to, of the failed evaluations the newest ones.
        failures: how many there are of these in all.
    """
    begin, iterations = (model.start, 50) if start is None else (start, 15)
    try:
        chosen = data.rows(thinned(data, MOST_FITTED)).with_more(failed)
        theta, error = fit(model, chosen, begin, iterations), ""
    except Exception:
        theta, error = begin, traceback.format_exc()
    return Fit(len(data), tuple(theta.tolist()), failures, error)


def _moments(posterior: Posterior, place: Array, level: int) -> tuple[float, float]:
    """Mean and deviation of the prediction at a place, over the fantasies."""
    prediction = posterior.predict(place[None, :], all_at(level, place[None, :]))
    return float(prediction.mean.mean()), float(
        np.hypot(prediction.deviation[0], prediction.mean.std())
    )
