"""A Gaussian process: its parameters, its covariances, its likelihood with gradient.

θ = (ln w_1 … ln w_g, ln a and ln b of each numeric axis, the resource model's own).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve
from scipy.linalg.lapack import dpotrf, dpotri

from hyperband.core.gp.kernels import Array, Indices, Layout, Warping, matern, squared_distances
from hyperband.core.gp.resources import Prior, ResourceModel, Tables

Levels = Indices  # positions in the ladder

# ρ² between two random configurations, a priori; parameters have equal shares. So length scales
# grow with the square root of their number, as in Hvarfner et al. 2024 (arXiv 2402.02229); with
# scales that stay, all configurations would be far from each other where there are many parameters.
APART = 0.8
SLACK = 1e-6  # of bounds: a start that is at one is still one
JITTER = 1e-8  # added to variances, relative to 1: targets are standardized


def all_at(level: int, places: Array) -> Levels:
    """The levels (m,) of places (m, d) that are all at one."""
    return np.full(len(places), level, dtype=np.intp)


@dataclass(frozen=True, slots=True)
class Kernel:
    """The covariance function at fixed parameters."""

    weights: Array  # (d,) inverse squared length scales
    warping: Warping
    tables: Tables

    def cross(self, u: Array, k: Levels, v: Array, j: Levels) -> Array:
        """Covariances between warped places u (n, d) at levels k and v (m, d) at j: (n, m)."""
        value, _ = matern(squared_distances(u, v, self.weights))
        b, c = self.between(k, j)
        value *= b
        value += c
        return value

    def between(self, k: Levels, j: Levels) -> tuple[Array, Array]:
        """B and C between levels k (n,) and j (m,): (n, m), or (n, 1) where all of j are one."""
        if len(j) and (j == j[0]).all():  # as candidates are: one column stands for all
            j = j[:1]
        at = np.ix_(k, j)
        return self.tables.b[at], self.tables.c[at]

    def variance(self, k: Levels) -> Array:
        """Variances at levels k, without noise: k's shape."""
        return self.tables.b[k, k] + self.tables.c[k, k]


class Model:
    """Packs and unpacks θ for one space and one ladder."""

    def __init__(self, layout: Layout, resource: ResourceModel) -> None:
        self.layout, self.resource = layout, resource
        self.groups = layout.count
        self._numeric = int(layout.numeric.sum())
        scales = [Prior(np.log(APART / (self.groups * own)), 1.2) for own in layout.apart]
        warps = [Prior(0.0, 0.6)] * (2 * self._numeric)
        self.priors = [*scales, *warps, *resource.priors]
        self.start = np.array([p.mean for p in self.priors])
        self._deviation = np.array([p.deviation for p in self.priors])
        reach = np.array([p.reach for p in self.priors]) * self._deviation
        self.bounds = list(zip(self.start - reach, self.start + reach, strict=True))

    def accepts(self, theta: Sequence[float]) -> bool:
        """Whether these can be parameters of this model: records may be of another version."""
        if len(theta) != len(self.bounds):
            return False
        return all(
            low - SLACK <= value <= high + SLACK
            for value, (low, high) in zip(theta, self.bounds, strict=True)
        )

    def kernel(self, theta: Array) -> Kernel:
        """The covariance function at θ."""
        weights = np.exp(theta[: self.groups])[self.layout.groups]
        return Kernel(weights, self._warping(theta), self.resource.tables(self._resource(theta)))

    def _resource(self, theta: Array) -> Array:
        return theta[self.groups + 2 * self._numeric :]

    def _warping(self, theta: Array) -> Warping:
        a, b = np.exp(theta[self.groups : self.groups + 2 * self._numeric]).reshape(2, -1)
        return Warping(a, b, self.layout.numeric)

    def loss(self, theta: Array, x: Array, k: Levels, y: Array) -> tuple[float, Array]:
        """The negative log posterior density of θ up to a constant, and its gradient (P,).

        -ln p(y | θ) = ½ rᵀΣ⁻¹r + ½ ln|Σ| with r = y - M (Rasmussen and Williams 2006, eq. 5.8 and
        5.9), minus the log prior. Infinite where Σ is not positive definite in floating point.
        """
        kernel = self.kernel(theta)
        tables, warping = kernel.tables, kernel.warping
        u = warping(x)
        kx, slope = matern(squared_distances(u, u, kernel.weights))
        b = tables.b[np.ix_(k, k)]
        sigma = kx * b + tables.c[np.ix_(k, k)]
        sigma[np.diag_indices_from(sigma)] += tables.n[k] + JITTER
        factor, info = dpotrf(sigma, lower=1, overwrite_a=1)
        if info:
            return np.inf, np.zeros_like(theta)
        r = y - tables.m[k]
        alpha = cho_solve((factor, True), r, check_finite=False)
        z = (theta - self.start) / self._deviation
        value = 0.5 * r @ alpha + np.log(np.diagonal(factor)).sum() + 0.5 * z @ z

        inverse, _ = dpotri(factor, lower=1, overwrite_c=1)
        g = np.tril(inverse, -1)
        g = g + g.T
        g[np.diag_indices_from(g)] = np.diagonal(inverse)
        g -= np.outer(alpha, alpha)
        g *= 0.5  # d value/d Σ
        one = np.zeros((len(k), len(tables.m)))
        one[np.arange(len(k)), k] = 1.0
        by_b, by_c = one.T @ ((g * kx) @ one), one.T @ (g @ one)
        by_m, by_n = -(one.T @ alpha), one.T @ np.diagonal(g)
        by_resource = (
            np.einsum("pij,ij->p", tables.db, by_b)
            + np.einsum("pij,ij->p", tables.dc, by_c)
            + tables.dm @ by_m
            + tables.dn @ by_n
        )
        slope *= b
        slope *= g  # d value/d ρ²
        rows, product = slope.sum(axis=1), slope @ u
        by_axis = 2.0 * kernel.weights * (rows @ (u * u) - (u * product).sum(axis=0))
        by_weight = np.bincount(self.layout.groups, by_axis, self.groups)
        by_u = 4.0 * kernel.weights * (u * rows[:, None] - product)
        du_a, du_b = warping.gradients(x)
        by_warp = by_u[:, self.layout.numeric]
        gradient = np.concatenate(
            [by_weight, (by_warp * du_a).sum(axis=0), (by_warp * du_b).sum(axis=0), by_resource]
        )
        return float(value), gradient + z / self._deviation
