"""Densities over configurations: a product of one kernel a parameter, averaged over observations.

Notation: n observations x, m candidates c, P parameters (constants do not count), N of them
numbers (ordinals and integers, too), D axes of the unit cube, h a parameter's bandwidth. The kernel
k(c | x)

- of a number is a Gaussian of deviation h about x, cut to [0, 1] and normalized there, so that
  nothing gets lost beyond a face of the cube, where optima like to lie;
- of a categorical is (1 - h)·[c = x] + h·w(c) with w its weights: the kernel of Aitchison and
  Aitken (1976), of bandwidth h·(C - 1)/C if its C weights are equal;
- of a parameter that is inactive in x is the prior, as x says nothing of it; that of a parameter
  that is inactive in c is 1. So no value has to be made up, and among all configurations with the
  same active parameters the product still sums up to one.

Ordinals, integers and steps are numbers that lie in the middles of their cells: their order means
something. All that is known of their place is the cell, so h is at least the deviation inside of
it; without that, values that all the good ones share would have no neighbours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from hyperband.core.cube import Cube
from hyperband.core.parameters import Categorical, Constant, Value
from hyperband.core.space import Space

Array = npt.NDArray[np.float64]

FLOOR = 1e-3  # of a bandwidth, as in the paper on BOHB
TINY = 1e-300  # stands for a weight of 0


@dataclass(frozen=True, slots=True)
class Points:
    """n configurations."""

    places: Array  # (n, D), of the unit cube
    active: Array  # (n, P), 1 or 0
    widths: Array  # (n, N), of the numbers' cells; 0 on a continuous axis and where inactive

    def take(self, rows: npt.NDArray[np.intp]) -> "Points":
        return Points(self.places[rows], self.active[rows], self.widths[rows])


class Coding:
    """Which axes of a space are of which kind, and its configurations as `Points`."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self._cube = Cube(space)
        tuned = [p for p in space.parameters if not isinstance(p, Constant)]
        self._tuned = [not isinstance(p, Constant) for p in space.parameters]
        categorical = [p for p in tuned if isinstance(p, Categorical)]
        self.names = [p.name for p in tuned]
        self.is_number = np.array([not isinstance(p, Categorical) for p in tuned], dtype=np.bool_)
        self.numbers = np.flatnonzero(space.numeric)  # axes, (N,)
        self.choices = np.flatnonzero(~space.numeric)  # axes, (D - N,)
        self.weights = [_normalized(p) for p in categorical]  # (C,) each
        self.prior = np.concatenate([*self.weights, np.empty(0)])  # the same, (D - N,)
        # Whose each one-hot axis is, (D - N, categoricals).
        self.owner = np.repeat(
            np.eye(len(categorical)), [len(w) for w in self.weights], axis=0
        ).reshape(len(self.choices), len(categorical))

    @property
    def size(self) -> int:
        """P."""
        return len(self.names)

    def points(self, configurations: Sequence[Mapping[str, Value]]) -> Points:
        """Configurations (n,) as observations."""
        active = [[name in each for name in self.names] for each in configurations]
        numbers = [name for name, number in zip(self.names, self.is_number, strict=True) if number]
        cells = [[self._width(name, each) for name in numbers] for each in configurations]
        rows = len(configurations)
        return Points(
            self.space.encode_many(configurations),
            np.array(active, dtype=np.float64).reshape(rows, self.size),
            np.array(cells, dtype=np.float64).reshape(rows, len(numbers)),
        )

    def candidates(self, drawn: Array) -> Points:
        """The configurations nearest to places (m, D), as candidates: their cells do not count."""
        places = self._cube.snap(drawn)
        active = self._cube.active(places)[:, self._tuned].astype(np.float64)
        return Points(places, active, np.zeros((len(places), len(self.numbers))))

    def _width(self, name: str, configuration: Mapping[str, Value]) -> float:
        if name not in configuration:
            return 0.0
        low, high = self.space.cell(name, configuration[name])
        return high - low


def _normalized(parameter: Categorical) -> Array:
    given = parameter.weights or (1.0,) * len(parameter.values)
    weights: Array = np.array(given) / max(given)
    return weights / float(np.sum(weights))


class Density:
    """The density of n >= 1 observations."""

    def __init__(self, coding: Coding, points: Points) -> None:
        self.coding, self.points = coding, points
        self.bandwidths = bandwidths(coding, points)
        self._numbers = self.bandwidths[coding.is_number]
        self._choices = self.bandwidths[~coding.is_number]
        self._data = self._features()

    def _features(self) -> Array:
        """What the logarithms of kernels are linear in, for each observation, (n, 2N + D + P)."""
        coding, points, h = self.coding, self.points, self._numbers
        x, choices = points.places[:, coding.numbers], points.places[:, coding.choices]
        of_numbers = points.active[:, coding.is_number]
        mass = ndtr((1.0 - x) / h) - ndtr(-x / h)
        constant = -0.5 * (x / h) ** 2 - np.log(h * np.sqrt(2.0 * np.pi) * mass)
        parts = [of_numbers, of_numbers * x, of_numbers * constant, choices]
        return np.hstack([*parts, points.active[:, ~coding.is_number]])

    def log(self, candidates: Points) -> Array:
        """ln of the density at m candidates, (m,)."""
        coding, h = self.coding, self._numbers
        c, choices = candidates.places[:, coding.numbers], candidates.places[:, coding.choices]
        of_numbers = candidates.active[:, coding.is_number]
        of_choices = candidates.active[:, ~coding.is_number]
        weights = np.maximum(coding.prior, TINY)
        own = coding.owner @ self._choices
        same = np.log1p((1.0 - own) / (own * weights))  # what [c = x] adds to ln(h·w(c))
        parts = [-0.5 * of_numbers * (c / h) ** 2, of_numbers * c / h**2, of_numbers]
        features = np.hstack([*parts, choices * same, of_choices * np.log(self._choices)])
        kernels = self._data @ features.T  # (n, m), logarithms but for ln w(c)
        largest = np.max(kernels, axis=0)
        kernels -= largest
        mean: Array = np.log(np.mean(np.exp(kernels, out=kernels), axis=0))
        total: Array = mean + largest + choices @ np.log(weights)
        return total

    def draw(self, count: int, factor: float, random: np.random.Generator) -> Array:
        """Places drawn from the density with its bandwidths times a factor, (count, D).

        A categorical never comes out with a value of weight 0.
        """
        coding = self.coding
        rows = random.integers(len(self.points.places), size=count)
        x, active = self.points.places[rows], self.points.active[rows] > 0
        places = np.empty_like(x)
        h = factor * self._numbers
        own, u = x[:, coding.numbers], random.random((count, len(h)))
        low, high = ndtr(-own / h), ndtr((1.0 - own) / h)
        drawn = np.clip(own + h * ndtri(low + u * (high - low)), 0.0, 1.0)
        places[:, coding.numbers] = np.where(active[:, coding.is_number], drawn, u)
        mixed = np.minimum(1.0, factor * self._choices)
        kept, u = random.random((2, count, len(mixed)))
        stays = active[:, ~coding.is_number] & (kept >= mixed)
        start = 0
        for k, weights in enumerate(coding.weights):
            axes = coding.choices[start : start + len(weights)]
            start += len(weights)
            stays[:, k] &= x[:, axes] @ weights > 0
            other = np.eye(len(weights))[_pick(weights, u[:, k])]
            places[:, axes] = np.where(stays[:, k, None], x[:, axes], other)
        return places


def _pick(weights: Array, u: Array) -> npt.NDArray[np.intp]:
    """The values at CDF positions u in [0, 1)."""
    ends = np.cumsum(weights)
    last = np.flatnonzero(weights)[-1]  # where rounding may lead beyond it
    picked: npt.NDArray[np.intp] = np.searchsorted(ends[:last], u * ends[-1], side="right")
    return picked


def bandwidths(coding: Coding, points: Points) -> Array:
    """The normal reference rule 1.06·s·n^(-1/(4 + P)), by parameter, (P,).

    n counts the observations in which the parameter is active, s is their standard deviation; of
    fewer than two, that of the prior. A categorical's s² is (1 - Σ p²)/2 with p the shares of its
    values: that of 0 and 1 if it has two, and the same in whatever order they are listed. Its h is
    at most 1, where the kernel is the prior.
    """
    number = np.sum(points.active, axis=0)
    least = np.maximum(number, 1.0)
    of_numbers, n = points.active[:, coding.is_number], least[coding.is_number]
    x = points.places[:, coding.numbers]
    mean = np.sum(of_numbers * x, axis=0) / n
    spread = np.empty((2, coding.size))  # variances: of the observations, of the prior
    spread[0, coding.is_number] = np.sum(of_numbers * (x - mean) ** 2, axis=0) / n
    spread[1, coding.is_number] = 1.0 / 12.0
    seen = np.sum(points.places[:, coding.choices], axis=0)
    shares = seen / (coding.owner @ least[~coding.is_number])
    spread[:, ~coding.is_number] = (1.0 - np.stack([shares, coding.prior]) ** 2 @ coding.owner) / 2
    deviation = np.sqrt(np.maximum(np.where(number < 2, spread[1], spread[0]), 0.0))
    h = 1.06 * deviation * least ** (-1.0 / (4.0 + coding.size))
    inside = np.sqrt(np.sum(points.widths**2, axis=0) / n / 12.0)
    h[coding.is_number] = np.maximum(h[coding.is_number], inside)
    h[~coding.is_number] = np.minimum(h[~coding.is_number], 1.0)
    floored: Array = np.maximum(h, FLOOR)
    return floored
