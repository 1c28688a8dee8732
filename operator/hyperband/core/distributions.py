"""Truncated distributions of a number, by their CDF and its inverse.

Notation: x the value, t = x or ln x, G the CDF on t without truncation (t itself if uniform).
The CDF on [lower, upper] is F(x) = (G(t(x)) - G(t(lower))) / (G(t(upper)) - G(t(lower))).
"""

import math
from dataclasses import dataclass

from scipy.special import ndtr, ndtri

from hyperband.core.parameters import Distribution, Number, Scale

# Beyond it lies 6e-5 of a normal distribution. Bounds farther out than this are not reached, so
# that the faces of the unit cube, where optimizers like to end up, are values worth trying.
DEVIATIONS = 4.0


@dataclass(frozen=True, slots=True)
class Truncated:
    """A uniform or normal distribution of x or ln x, on [lower, upper]."""

    lower: float
    upper: float
    logarithmic: bool = False
    mean: float = 0.0  # of t
    deviation: float | None = None  # of t; None: uniform

    def _g(self, x: float) -> float:
        t = math.log(x) if self.logarithmic else x
        return t if self.deviation is None else float(ndtr((t - self.mean) / self.deviation))

    @property
    def mass(self) -> float:
        """What [lower, upper] holds of the distribution without truncation; 0 if it is empty."""
        return self._g(self.upper) - self._g(self.lower) if self.lower < self.upper else 0.0

    def cdf(self, x: float) -> float:
        """F(x) in [0, 1]."""
        if not self.lower < x < self.upper:
            return float(x >= self.upper)
        low = self._g(self.lower)
        return min(1.0, max(0.0, (self._g(x) - low) / (self._g(self.upper) - low)))

    def quantile(self, u: float) -> float:
        """The x in [lower, upper] with F(x) = u, for u in [0, 1]."""
        low = self._g(self.lower)
        t = low + u * (self._g(self.upper) - low)
        if self.deviation is not None:
            t = self.mean + self.deviation * float(ndtri(t))
        return min(self.upper, max(self.lower, math.exp(t) if self.logarithmic else t))


def reach(parameter: Number) -> tuple[float, float]:
    """Where the distribution ends if no bound does it earlier, in x.

    Raises:
        OverflowError: the upper end of a LogNormal is larger than any float.
    """
    if parameter.mean is None or parameter.deviation is None:
        return -math.inf, math.inf
    spread = DEVIATIONS * parameter.deviation
    low, high = parameter.mean - spread, parameter.mean + spread
    if parameter.distribution == Distribution.LOG_NORMAL:
        return math.exp(low), math.exp(high)
    return low, high


def truncated(parameter: Number, lower: float, upper: float) -> Truncated:
    """The parameter's distribution on [lower, upper], cut to its reach."""
    low, high = reach(parameter)
    return Truncated(
        lower=max(lower, low),
        upper=min(upper, high),
        logarithmic=parameter.scale == Scale.LOG
        or parameter.distribution == Distribution.LOG_NORMAL,
        mean=parameter.mean or 0.0,
        deviation=parameter.deviation,
    )
