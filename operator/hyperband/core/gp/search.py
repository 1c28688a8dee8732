"""Where the acquisition is largest: quasi-random and local candidates, then local refinement.

Gradients refine numbers and ordinals, which are snapped to their values afterwards; categoricals
and all that has few values are refined by exchanging one parameter at a time. All that is returned
is canonical: some configuration encodes to it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, minimize
from scipy.stats import qmc

from hyperband.core.cube import Cells, Cube, OneHot
from hyperband.core.gp.acquisition import log_improvement, log_improvement_gradient
from hyperband.core.gp.kernels import Array, Indices
from hyperband.core.gp.model import all_at
from hyperband.core.gp.posterior import Posterior, Prediction

CANDIDATES = 256  # spread over the whole cube
NEIGHBOURS = 16  # around each of the best places known
STARTS = 5  # that are refined
GRADIENT_STEPS = 25
EXCHANGE_STARTS = 3  # where there are categoricals; gradients have refined numbers already
EXCHANGE_ROUNDS = 8
EXCHANGES = 256  # at most so many neighbours a round
_WIDTHS = np.array([0.3, 0.1, 0.03, 0.01])  # of local steps on numeric axes


@dataclass(frozen=True, slots=True)
class Ranking:
    """Places (m, d), the one of largest expected improvement first, and what is thought of them.

    Attributes:
        logs: (m,) the logarithms of their expected improvements.
        means, deviations: (m,) of what is predicted there, over the fantasies.
    """

    places: Array
    logs: Array
    means: Array
    deviations: Array


class AcquisitionSearch:
    """Maximizes expected improvement over one space."""

    def __init__(self, cube: Cube) -> None:
        self.cube = cube
        count = len(cube.blocks)
        self._grid = qmc.Sobol(max(count, 1), scramble=False).random(CANDIDATES)[:, :count]
        self.free = [i for i, block in enumerate(cube.blocks) if block.varies]
        self._smooth = np.zeros(cube.space.dimension, dtype=np.bool_)
        for own, block in zip(cube.slices, cube.blocks, strict=True):
            self._smooth[own] = not isinstance(block, OneHot)
        categorical = any(isinstance(block, OneHot) for block in cube.blocks)
        self._exchange_starts = EXCHANGE_STARTS if categorical else 1
        self._discrete = [i for i in self.free if isinstance(cube.blocks[i], OneHot | Cells)]

    def run(
        self,
        posterior: Posterior,
        level: int,
        threshold: Array,
        best: Array,
        random: np.random.Generator,
    ) -> Ranking:
        """What is found.

        Args:
            level: at which improvement is expected.
            threshold: (f,) the least posterior mean known.
            best: (b, d) the best places known.
        """

        def predict(places: Array) -> Prediction:
            return posterior.predict(places, all_at(level, places))

        def improvement(places: Array) -> Array:
            return log_improvement(predict(places), threshold)

        places = np.concatenate([self._spread(random), self._around(best, random)])
        predictions = [predict(places)]
        values = log_improvement(predictions[0], threshold)
        starts = places[_largest(values, STARTS)]
        found = [places]
        if self._smooth.any():
            found.append(self._climb(posterior, level, threshold, starts))
        if self._discrete:
            scored = np.concatenate([starts, *found[1:]])
            found.append(self._exchange(improvement, scored, random))
        predictions += [predict(more) for more in found[1:]]
        logs = [values, *(log_improvement(each, threshold) for each in predictions[1:])]
        return _ranked(np.concatenate(found), np.concatenate(logs), predictions)

    def _spread(self, random: np.random.Generator) -> Array:
        """Quasi-random candidates: a Sobol set, shifted (Cranley and Patterson 1976)."""
        return self.cube.place((self._grid + random.random(self._grid.shape[1])) % 1.0)

    def _around(self, best: Array, random: np.random.Generator) -> Array:
        """Candidates that differ from the best places in some parameters."""
        cube, count = self.cube, len(best) * NEIGHBOURS
        places = np.repeat(best, NEIGHBOURS, axis=0)
        fresh = cube.draw(random.random((count, len(cube.blocks))))
        active = cube.active(places)
        changed = random.random((count, len(cube.blocks))) < max(0.3, 1.0 / len(cube.blocks))
        step = _WIDTHS[random.integers(len(_WIDTHS), size=count)]
        for i in self.free:
            own, rows = cube.slices[i], np.flatnonzero(changed[:, i])
            if isinstance(cube.blocks[i], OneHot):
                places[rows, own] = fresh[rows, own]
            else:
                noise = step[rows, None] * random.standard_normal((len(rows), 1))
                places[rows, own] = np.clip(places[rows, own] + noise, 0.0, 1.0)
            places[~active[:, i], own] = fresh[~active[:, i], own]  # if it gets active
        return cube.snap(places)

    def _climb(self, posterior: Posterior, level: int, threshold: Array, starts: Array) -> Array:
        """Follows the gradients on numeric axes, from all starts at once."""
        smooth = np.flatnonzero(self._smooth)
        shape = (len(starts), len(smooth))

        def objective(flat: Array) -> tuple[float, Array]:
            places = starts.copy()
            places[:, smooth] = flat.reshape(shape)
            value, gradient = log_improvement_gradient(
                posterior, places, all_at(level, places), threshold
            )
            return -float(value.sum()), -gradient[:, smooth].ravel()

        result = minimize(
            objective,
            starts[:, smooth].ravel(),
            jac=True,
            method="L-BFGS-B",
            bounds=Bounds(*self._bounds(starts)[..., smooth].reshape(2, -1)),
            options={"maxiter": GRADIENT_STEPS, "maxfun": GRADIENT_STEPS + 5},
        )
        places = starts.copy()
        places[:, smooth] = np.clip(result.x.reshape(shape), 0.0, 1.0)
        return self.cube.snap(places)

    def _bounds(self, places: Array) -> Array:
        """The least and the largest place on each axis, (2, m, d); inactive ones are held."""
        bounds = np.stack([np.zeros_like(places), np.ones_like(places)])
        active = self.cube.active(places)
        for i in self.free:
            own, rows = self.cube.slices[i], np.flatnonzero(~active[:, i])
            bounds[:, rows, own] = places[rows, own]
        return bounds

    def _exchange(
        self, improvement: Callable[[Array], Array], starts: Array, random: np.random.Generator
    ) -> Array:
        """Exchanges one discrete parameter at a time, as long as that helps."""
        starts = np.unique(starts, axis=0)
        values = improvement(starts)
        seen = []
        for row in _largest(values, self._exchange_starts):
            best, value = starts[row : row + 1], values[row]
            seen.append(best)
            for _ in range(EXCHANGE_ROUNDS):
                neighbours = self._neighbours(best, random)
                gains = improvement(neighbours)
                order = _largest(gains, 4)
                seen.append(neighbours[order])
                if gains[order[0]] <= value:
                    break
                best, value = neighbours[order[:1]], gains[order[0]]
        return np.concatenate(seen)

    def _neighbours(self, place: Array, random: np.random.Generator) -> Array:
        """A place (1, d), and at most `EXCHANGES` that differ from it in one discrete parameter."""
        cube, active = self.cube, self.cube.active(place)[0]
        changes = [change for i in self._discrete if active[i] for change in self._others(i, place)]
        if len(changes) > EXCHANGES:
            changes = [changes[row] for row in random.permutation(len(changes))[:EXCHANGES]]
        places = np.repeat(place, 1 + len(changes), axis=0)
        for row, (i, value) in enumerate(changes, 1):
            places[row, cube.slices[i]] = value
        if cube.conditional:  # what becomes active needs a value
            fresh = cube.draw(random.random((len(places), len(cube.blocks))))
            for i in self.free:
                if not active[i]:
                    places[:, cube.slices[i]] = fresh[:, cube.slices[i]]
        return cube.snap(places)

    def _others(self, i: int, place: Array) -> Iterator[tuple[int, Array]]:
        """Other values of a discrete parameter, of numbers and ordinals the next ones around."""
        own, block = self.cube.slices[i], self.cube.blocks[i]
        if isinstance(block, OneHot):
            chosen = int(np.argmax(place[0, own]))
            yield from ((i, block.places[v]) for v in np.flatnonzero(block.likely) if v != chosen)
        else:
            assert isinstance(block, Cells)
            at = int(np.searchsorted(block.inner, place[0, own.start], side="right"))
            near = block.middles[max(0, at - 2) : at + 3, None]
            yield from ((i, middle) for middle in near if middle != place[0, own])


def _ranked(places: Array, logs: Array, predictions: list[Prediction]) -> Ranking:
    means = np.concatenate([each.mean.mean(axis=1) for each in predictions])
    spreads = np.concatenate([each.mean.std(axis=1) for each in predictions])
    deviations = np.hypot(np.concatenate([each.deviation for each in predictions]), spreads)
    order = _largest(logs, len(logs))
    return Ranking(places[order], logs[order], means[order], deviations[order])


def _largest(values: Array, count: int) -> Indices:
    return np.argsort(-values, kind="stable")[:count]
