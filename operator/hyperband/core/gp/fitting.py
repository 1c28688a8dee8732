"""Fitting: the parameters of largest posterior density, by L-BFGS from warm starts."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from hyperband.core.gp.kernels import Array, Indices
from hyperband.core.gp.model import Levels, Model


@dataclass(frozen=True, slots=True)
class Data:
    """Observations."""

    x: Array  # (n, d)
    k: Levels  # (n,)
    y: Array  # (n,)

    def __len__(self) -> int:
        return len(self.y)

    def rows(self, chosen: Indices) -> "Data":
        """Some of the observations."""
        return Data(self.x[chosen], self.k[chosen], self.y[chosen])

    def with_more(self, more: "Data") -> "Data":
        """These observations, then more."""
        return Data(
            np.concatenate([self.x, more.x]),
            np.concatenate([self.k, more.k]),
            np.concatenate([self.y, more.y]),
        )


def fit(model: Model, data: Data, start: Array, iterations: int) -> Array:
    """θ (P,) of the largest posterior density found from a start.

    A start that leads nowhere (nothing but infinities) is the answer itself: whatever the data,
    there is one.
    """
    low, high = np.array(model.bounds).T
    result = minimize(
        model.loss,
        np.clip(start, low, high),
        args=(data.x, data.k, data.y),
        jac=True,
        method="L-BFGS-B",
        bounds=model.bounds,
        options={"maxiter": iterations, "maxfun": 2 * iterations, "ftol": 1e-6},
    )
    return result.x if np.isfinite(result.fun) else start


def thinned(data: Data, most: int) -> Indices:
    """The rows, ascending, of at most `most` observations that stand for all.

    Levels share the room evenly, scarce ones keep all that they have; within a level, the best
    quarter of its share is kept and the rest taken evenly over the ranks.
    """
    if len(data) <= most:
        return np.arange(len(data))
    levels, counts = np.unique(data.k, return_counts=True)
    shares, room = dict.fromkeys(levels.tolist(), 0), most
    for position, (level, count) in enumerate(
        sorted(zip(levels, counts, strict=True), key=lambda c: (c[1], c[0]))
    ):
        shares[int(level)] = min(int(count), room // (len(levels) - position))
        room -= shares[int(level)]
    chosen = []
    for level in levels.tolist():
        rows = np.flatnonzero(data.k == level)
        rows = rows[np.argsort(data.y[rows], kind="stable")]
        share = shares[level]
        best = share // 4
        rest = np.linspace(best, len(rows) - 1, share - best).round().astype(np.intp)
        chosen.append(np.concatenate([rows[:best], rows[rest]]))
    return np.sort(np.concatenate(chosen))
