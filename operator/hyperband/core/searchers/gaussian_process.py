"""A-BOHB: a joint Gaussian process over configuration and resource proposes what to try next.

After Tiao et al. 2020 (arXiv 2003.10865): one process over all values at all rungs, pending
evaluations fantasized, expected improvement at the highest level that has at least three values.
Without rungs (mode None) this is asynchronous Bayesian optimization on full runs.
"""

import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from hyperband.core.cube import Cube
from hyperband.core.gp.fitting import Data, fit, thinned
from hyperband.core.gp.kernels import Array, Indices, Layout
from hyperband.core.gp.model import Levels, Model
from hyperband.core.gp.proposing import BEST, Grown, Proposal, Proposing
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
MOST_APPENDED = 1000  # then those until there are thinned, too
MOST_PENDING = 200  # the newest ones
MOST_FAILED = 50
FAILED_TARGET = 1.0  # what a failure is taken for: spreads of the good half above the median


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
        self._table = _Table(study.space.dimension)
        self._moment = 0  # how many records there were
        # The last ones asked for, by moment and count.
        self._standardized: tuple[int, int, tuple[Data, Targets]] | None = None
        self._kept: dict[int, Array] = {}  # θ by the values fitted to, of written suggestions
        self._fresh: Fit | None = None  # the last one made, of no written suggestion yet
        self._thinned: tuple[int, Indices] | None = None  # the rows that stand for so many values
        self._grown: Grown | None = None
        self._proposal: Proposal | None = None
        self._tried = Tried(study)

    # -- what is known -----------------------------------------------------------------------

    def record(self, old: Trial | None, new: Trial) -> None:
        if old is None:
            self._tried.add(new.parameters)
            fit = new.suggestion.fit
            if fit and self._model.accepts(fit.hyperparameters):
                self._kept[fit.values] = np.array(fit.hyperparameters)
        self._moment += 1
        first = self._history.record(old, new)
        if first < len(self._table):
            self._table.keep(first)
        if self._thinned is not None and first < self._thinned[0]:
            self._thinned = None

    def _data(self, count: int) -> tuple[Data, Targets]:
        """The first `count` observations, standardized."""
        if self._standardized is not None and self._standardized[:2] == (self._moment, count):
            return self._standardized[2]
        observations = self._history.observations
        for o in observations[len(self._table) :]:
            self._table.append(self._place(o.trial, o.parameters), o.level, o.loss)
        x, k, losses = self._table.first(count)
        targets = standardize(losses)
        made = Data(x, k, targets.values), targets
        self._standardized = self._moment, count, made
        return made

    def _failures(self) -> Data:
        """Failed evaluations as observations: bad, but no worse than bad values are."""
        failed = self._history.last_failed(MOST_FAILED)
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
        return partial(make_fit, self._model, *made_from, self._history.failures, start)

    def fitted(self, fit: Fit) -> None:
        self._fresh, self._proposal = fit, None

    def _fresh_for(self, count: int) -> Fit | None:
        """The fit to so many values that no suggestion was made from yet, unless trials have
        failed since: a restart would make it anew, and know of them."""
        fit, failures = self._fresh, self._history.failures
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
        count = self._due()
        if count is not None and (job := self.fitting()) is not None:
            self.fitted(made := job())
            if made.error:
                warnings.warn(f"not fitted to {count} values:\n{made.error}", stacklevel=2)
        proposing = self.proposing(index)
        if proposing is not None:
            made_here, self._grown = proposing(self._grown)
            self.proposed(made_here)
        proposal = self._proposal_for(index)
        chosen = self._first_untried(proposal.ranking.places) if proposal else None
        if proposal is None or chosen is None:
            return Suggestion(draw_new(self, self._tried, index), "Random")
        return self._explained(proposal, *chosen)

    def proposing(self, index: int) -> Proposing | None:
        count, level = self._due(), self._level()
        if count is None or level is None or self._proposal_for(index) is not None:
            return None
        theta = self._theta(count)
        if theta is None:
            return None
        data, _ = self._data(len(self._history.observations))
        base = thinned_at(count, len(data))
        begin = self._rows(base)
        known = data.rows(np.concatenate([begin, np.arange(base, len(data))]))
        return Proposing(
            model=self._model,
            search=self._search,
            theta=theta,
            known=known,
            begin=len(begin),
            failures=self._failures(),
            pending=self._at(self._history.pending[-MOST_PENDING:]),
            promising=data.x[_promising(data, level)],
            level=level,
            seed=self.study.seed,
            index=index,
            moment=self._moment,
        )

    def proposed(self, proposal: Proposal) -> None:
        self._proposal = proposal

    def _proposal_for(self, index: int) -> Proposal | None:
        """What was proposed from these very records."""
        made = self._proposal
        return made if made and (made.index, made.moment) == (index, self._moment) else None

    def _theta(self, count: int) -> Array | None:
        """The parameters fitted to so many values, if that has been done."""
        fit = self._fresh_for(count)
        return self._kept.get(count) if fit is None else np.array(fit.hyperparameters)

    def _rows(self, count: int) -> Indices:
        """The rows that stand for the first `count`."""
        if self._thinned is None or self._thinned[0] != count:
            self._thinned = count, thinned(self._data(count)[0], MOST_KNOWN)
        return self._thinned[1]

    def _explained(
        self, proposal: Proposal, row: int, parameters: Mapping[str, Value]
    ) -> Suggestion:
        """A place that was proposed, and what is expected there."""
        recorded, ranking = len(self._history.observations), proposal.ranking
        count, fitted = fitted_to(recorded), tuple(proposal.theta.tolist())
        _, targets = self._data(recorded)
        sign = self.study.objective.loss(1.0)
        detail = {
            "level": float(proposal.level),
            "mean": sign * targets.loss(float(ranking.means[row])),
            "deviation": targets.spread * float(ranking.deviations[row]),
            "improvement": targets.spread * float(np.exp(ranking.logs[row])),
            "incumbent": sign * targets.loss(proposal.incumbent),
            "values": float(recorded),
            "modelAge": float(recorded - count),
            "pending": float(min(len(self._history.pending), MOST_PENDING)),
        }
        return Suggestion(parameters, "GaussianProcess", detail, Fit(count, fitted))

    def _at(self, evaluations: Sequence[Evaluation]) -> tuple[Array, Levels]:
        places = [self._place(e.index, e.parameters) for e in evaluations]
        levels = np.array([e.level for e in evaluations], dtype=np.intp)
        return np.array(places).reshape(len(places), self.study.space.dimension), levels

    def _first_untried(self, places: Array) -> tuple[int, Mapping[str, Value]] | None:
        for row, place in enumerate(places):
            parameters = self.study.space.decode(place)
            if parameters not in self._tried:
                return row, parameters
        return None


class _Table:
    """Observations as arrays, kept so that no suggestion makes them again."""

    def __init__(self, dimension: int) -> None:
        self._x = np.zeros((16, dimension))
        self._k = np.zeros(16, dtype=np.intp)
        self._losses = np.zeros(16)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def keep(self, count: int) -> None:
        """Forgets all but the first ones."""
        self._resize(len(self._k))  # others may have what `first` gave
        self._count = count

    def append(self, x: Array, k: int, loss: float) -> None:
        if self._count == len(self._k):
            self._resize(2 * self._count)
        self._x[self._count], self._k[self._count], self._losses[self._count] = x, k, loss
        self._count += 1

    def first(self, count: int) -> tuple[Array, Levels, Array]:
        """Places (count, d), levels and losses (count,)."""
        return self._x[:count], self._k[:count], self._losses[:count]

    def _resize(self, size: int) -> None:
        for name in ("_x", "_k", "_losses"):
            old = getattr(self, name)
            grown = np.zeros((size, *old.shape[1:]), dtype=old.dtype)
            grown[: len(old)] = old
            setattr(self, name, grown)


def _promising(data: Data, level: int) -> Indices:
    """The rows of places that could be the best: the best values over all, and at the level."""
    order = np.argsort(data.y, kind="stable")
    return np.concatenate([order[: 4 * BEST], order[data.k[order] == level][:BEST]])


def fitted_to(recorded: int) -> int:
    """The number of values that the model is fitted to when so many are recorded.

    Fits come at fixed counts, each an eighth above the one before, so that a restart makes the same
    ones and their cost over a study is that of a few.
    """
    count = START
    while (following := count + max(1, count // 8)) <= recorded:
        count = following
    return count


def thinned_at(fitted: int, recorded: int) -> int:
    """The number of values, the first ones, of which the posterior knows only some.

    It is that of the fit, and grows with each `MOST_APPENDED` more: so the factor is of bounded
    size, and a restart makes the same one.
    """
    return recorded - (recorded - fitted) % MOST_APPENDED


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
