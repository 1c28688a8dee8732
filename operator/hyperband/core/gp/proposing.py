"""Where to look next, given what is known: work that may be done in another process.

Nothing but what a `Proposing` holds counts, so that it comes to the same wherever it is called. It
takes along the factor of the last call, as it was or grown since, which saves most of the time.
"""

from dataclasses import dataclass

import numpy as np

from hyperband.core import seeds
from hyperband.core.gp.fitting import Data
from hyperband.core.gp.kernels import Array
from hyperband.core.gp.model import Levels, Model, all_at
from hyperband.core.gp.posterior import Factor, Posterior
from hyperband.core.gp.search import AcquisitionSearch, Ranking

FANTASIES = 20
BEST = 8  # places around which candidates are looked for


@dataclass(frozen=True, slots=True)
class Grown:
    """A factor, and what it was made of."""

    theta: Array  # a fit is made again when a trial has failed meanwhile
    begin: int  # how many observations were decomposed at once
    x: Array  # (n, d)
    k: Levels  # (n,)
    factor: Factor

    @property
    def size(self) -> int:
        """In bytes, about."""
        return self.factor.lower.nbytes


@dataclass(frozen=True, slots=True)
class Proposal:
    """Places to try, the most promising first; the rest is explained at `Proposing`."""

    index: int
    moment: int
    theta: Array
    level: int
    ranking: Ranking
    incumbent: float  # the least mean known at the level


@dataclass(frozen=True, slots=True)
class Proposing:
    """All that a proposal depends on; calling it makes that.

    Attributes:
        theta: the model's parameters.
        known: what the posterior is made of.
        begin: the first ones of these are decomposed at once; later ones are appended one after
            the other, as they came, so that a restart gets the very same numbers.
        failures: failed evaluations as observations.
        pending: places (p, d) and levels (p,) of evaluations under way.
        promising: (b, d) observed places that could be the best.
        level: at which improvement is expected.
        index: of the trial to propose for.
        moment: of the searcher that asks, so that it knows an answer that is out of date.
    """

    model: Model
    search: AcquisitionSearch
    theta: Array
    known: Data
    begin: int
    failures: Data
    pending: tuple[Array, Levels]
    promising: Array
    level: int
    seed: int
    index: int
    moment: int

    def __call__(self, last: Grown | None) -> tuple[Proposal, Grown]:
        """The proposal, and what the next call can begin with.

        Args:
            last: what an earlier call has come to, of any study at any time.
        """
        grown = self._grow(last if last is not None and self._goes_on_from(last) else None)
        known = Posterior.of(grown.factor, self.known.y)
        known = known.given(self.failures.x, self.failures.k, self.failures.y)
        random = seeds.generator(self.seed, self.index, "acquisition")
        normals = random.standard_normal((len(self.pending[0]), FANTASIES))
        posterior = known.fantasize(*self.pending, normals)
        best, threshold = self._incumbents(posterior)
        ranking = self.search.run(posterior, self.level, threshold, best, random)
        asked = (self.index, self.moment, self.theta, self.level)
        return Proposal(*asked, ranking, float(threshold.mean())), grown

    def _goes_on_from(self, last: Grown) -> bool:
        n, known = len(last.k), self.known
        return (
            last.begin == self.begin
            and np.array_equal(last.theta, self.theta)
            and np.array_equal(last.x, known.x[:n])
            and np.array_equal(last.k, known.k[:n])
        )

    def _grow(self, last: Grown | None) -> Grown:
        x, k = self.known.x, self.known.k
        if last is not None:
            n, factor = len(last.k), last.factor
        else:
            n, empty = self.begin, Factor.empty(self.model.kernel(self.theta), x.shape[1])
            factor = empty.append(x[:n], k[:n])
        return Grown(self.theta, self.begin, x, k, factor.append_each(x[n:], k[n:]))

    def _incumbents(self, posterior: Posterior) -> tuple[Array, Array]:
        """The best places (b, d) by posterior mean, and the least means (f,) of all fantasies."""
        places = np.unique(np.concatenate([self.promising, self.pending[0]]), axis=0)
        mean = posterior.predict(places, all_at(self.level, places)).mean
        best = np.argsort(mean.mean(axis=1), kind="stable")[:BEST]
        return places[best], mean.min(axis=0)
