"""The kernel over configurations: Matérn-5/2 with a length scale a parameter, on warped axes.

k(x, x') = (1 + s + s²/3)·exp(-s) with s² = 5·ρ² and ρ² = Σ_j w_j·(u_j - u'_j)², where w_j is the
inverse squared length scale of the parameter that axis j belongs to (Rasmussen and Williams 2006,
eq. 4.17), and u the warped place: u = 1 - (1 - x^a)^b on numeric axes, Kumaraswamy's distribution
(Snoek et al. 2014, arXiv 1402.0929, use the beta distribution), and u = x on one-hot axes.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hyperband.core.space import Space

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

_SQRT5 = float(np.sqrt(5.0))
_EDGE = 1e-4  # the warping's derivatives are infinite on the faces of the cube: stay off by this


@dataclass(frozen=True, slots=True)
class Layout:
    """How parameters lie on the axes of the unit cube."""

    groups: Indices  # (d,) the parameter of each axis, 0 … g-1
    numeric: npt.NDArray[np.bool_]  # (d,) axes that are warped

    @classmethod
    def of(cls, space: Space) -> "Layout":
        """The layout of a space."""
        widths = [own.stop - own.start for own in space.blocks.values() if own.stop > own.start]
        groups = np.repeat(np.arange(len(widths)), np.array(widths, dtype=np.intp))
        return cls(groups, space.numeric)

    @property
    def count(self) -> int:
        """g, the number of parameters that have axes."""
        return int(self.groups.max()) + 1 if len(self.groups) else 0

    @property
    def apart(self) -> Array:
        """The mean squared distance between two values of each parameter, (g,).

        1/6 between places on a numeric axis, 2·(1 - 1/n) between n categories; a lone category is
        never apart from itself, and takes the least of these, 1.
        """
        widths = np.bincount(self.groups, minlength=self.count)
        numeric = np.bincount(self.groups, self.numeric, self.count) > 0
        return np.where(numeric, 1.0 / 6.0, 2.0 - 2.0 / np.maximum(widths, 2))


@dataclass(frozen=True, slots=True)
class Warping:
    """The warping of numeric axes, with an exponent a and b for each of them."""

    a: Array
    b: Array
    numeric: npt.NDArray[np.bool_]  # (d,) the axes that are warped

    def __call__(self, x: Array) -> Array:
        """Warped places, (…, d)."""
        u = x.copy()
        inner = _inside(x[..., self.numeric])
        u[..., self.numeric] = 1.0 - (1.0 - inner**self.a) ** self.b
        return u

    def derivative(self, x: Array) -> Array:
        """du/dx, (…, d)."""
        slope = np.ones_like(x)
        inner = _inside(x[..., self.numeric])
        power = inner**self.a
        slope[..., self.numeric] = (
            (1.0 - 2.0 * _EDGE)
            * (self.a * self.b)
            * (power / inner)
            * (1.0 - power) ** (self.b - 1.0)
        )
        return slope

    def gradients(self, x: Array) -> tuple[Array, Array]:
        """du/d(ln a) and du/d(ln b), each (n, numeric axes)."""
        inner = _inside(x[..., self.numeric])
        power = inner**self.a
        rest = 1.0 - power
        by_a = self.a * self.b * rest ** (self.b - 1.0) * power * np.log(inner)
        by_b = -self.b * rest**self.b * np.log(rest)
        return by_a, by_b


def _inside(x: Array) -> Array:
    return _EDGE + (1.0 - 2.0 * _EDGE) * x


def squared_distances(u: Array, v: Array, weights: Array) -> Array:
    """ρ² between the rows of u (n, d) and v (m, d), with weights w (d,): (n, m)."""
    scaled = u * weights
    squares: Array = (scaled * u).sum(axis=1)[:, None] + (v * weights * v).sum(axis=1)[None, :]
    squares -= 2.0 * (scaled @ v.T)
    np.maximum(squares, 0.0, out=squares)
    return squares


def matern(squares: Array) -> tuple[Array, Array]:
    """The kernel at ρ², and its derivative by ρ²: -(5/6)·(1 + s)·exp(-s). Both shaped as given."""
    s = np.sqrt(squares)  # in place from here: new arrays of this size cost more than the sums
    s *= _SQRT5
    decay = np.negative(s)
    np.exp(decay, out=decay)
    value: Array = s * s
    value *= decay
    value /= 3.0
    s += 1.0
    s *= decay
    value += s
    s *= -5.0 / 6.0
    return value, s
