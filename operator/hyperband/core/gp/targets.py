"""Losses as targets of the Gaussian process: robust, and on a scale where 1 is much.

Losses of bad configurations are often many deviations away, and a smooth surface has nothing to
gain from following them. After the half-rank warping of Song et al. 2024 (arXiv 2408.11527): the
good half of the losses is kept as it is, in units of its spread around the median; the bad half is
replaced by the normal quantiles of its ranks, where those are less.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from hyperband.core.gp.kernels import Array

_LARGEST = 1e150  # whose square is still a number


@dataclass(frozen=True, slots=True)
class Targets:
    """Standardized losses: y = (loss - middle)/spread in the good half."""

    values: Array  # (n,)
    middle: float
    spread: float

    def loss(self, y: float) -> float:
        """The loss that a target stands for, by the good half's scale."""
        return self.middle + self.spread * y


def standardize(losses: Array) -> Targets:
    """Targets of finite losses (n,), n > 0: monotone, 0 at the median, -1 well below it."""
    count = len(losses)
    losses = np.clip(losses, -_LARGEST, _LARGEST)
    middle = float(np.median(losses))
    good = losses <= middle
    spread = float(np.sqrt(np.mean((losses[good] - middle) ** 2)))
    if spread <= 1e-12 * max(1.0, abs(middle)):
        # The good half is tied: all the others are a spread away at least, so that ranks count.
        spread = float(losses[~good].min() - middle) if not good.all() else 1.0
    values = (losses - middle) / spread
    bad = ~good
    if bad.any():
        # Equal losses get equal ranks: the middle of the places that they take.
        _, inverse, sizes = np.unique(losses[bad], return_inverse=True, return_counts=True)
        ranks = (np.cumsum(sizes) - sizes / 2.0)[inverse] / count
        values[bad] = np.minimum(ndtri(0.5 + ranks), values[bad])
    return Targets(values, middle, spread)
