"""The posterior at fixed parameters: a triangular factor that grows by rows.

Σ = L·Lᵀ over the observations; new ones append rows to L (O(n²) each). Pending evaluations are
appended on top for one suggestion, with joint draws from their posterior as targets (fantasies,
Snoek et al. 2012, arXiv 1206.2944, section 3.2), so that the mean depends on the fantasy and the
variance does not.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.linalg.lapack import dpotrf, dtrtrs

from hyperband.core.gp.kernels import Array, matern, squared_distances
from hyperband.core.gp.model import JITTER, Kernel, Levels


class Factor:
    """L (n, n) of the covariances of observations with noise; grows by rows, never changes."""

    def __init__(self, kernel: Kernel, u: Array, k: Levels, lower: Array) -> None:
        self.kernel = kernel
        self.u = u  # (n, d) warped places
        self.k = k  # (n,)
        self.lower = lower  # L, column-major: LAPACK takes it as it is

    @classmethod
    def empty(cls, kernel: Kernel, axes: int) -> "Factor":
        """The factor of no observations."""
        return cls(kernel, np.zeros((0, axes)), np.zeros(0, dtype=np.intp), np.zeros((0, 0)))

    def __len__(self) -> int:
        return len(self.k)

    def append(self, x: Array, k: Levels) -> "Factor":
        """The factor with places x (b, d) at levels k (b,) below the present ones."""
        if not len(k):
            return self
        u = self.kernel.warping(x)
        n, b = len(self), len(k)
        corner = self.kernel.cross(u, k, u, k)
        corner[np.diag_indices(b)] += JITTER + self.kernel.tables.n[k]
        lower = np.zeros((n + b, n + b), order="F")
        if n:
            lower[:n, :n] = self.lower
            rows = self.solve(self.kernel.cross(self.u, self.k, u, k))
            corner -= rows.T @ rows
            lower[n:, :n] = rows.T
        lower[n:, n:] = _cholesky(corner)
        grown_u, grown_k = np.concatenate([self.u, u]), np.concatenate([self.k, k])
        return Factor(self.kernel, grown_u, grown_k, lower)

    def append_each(self, x: Array, k: Levels) -> "Factor":
        """As `append` of one place after the other, to the last bit, with one copy of L."""
        if not len(k):
            return self
        n, kernel = len(self), self.kernel
        size = n + len(k)
        u = np.concatenate([self.u, *(kernel.warping(row[None, :]) for row in x)])
        levels = np.concatenate([self.k, k])
        lower = np.zeros((size, size), order="F")
        lower[:n, :n] = self.lower
        for i in range(n, size):
            own_u, own_k = u[i : i + 1], levels[i : i + 1]
            corner = kernel.cross(own_u, own_k, own_u, own_k)
            corner += JITTER + kernel.tables.n[own_k]
            if i:
                # LAPACK reads the part of L that is there in its place.
                row, _ = dtrtrs(
                    lower[:, :i], kernel.cross(u[:i], levels[:i], own_u, own_k), lower=1
                )
                corner -= row.T @ row
                lower[i, :i] = row[:, 0]
            lower[i, i] = _cholesky(corner)[0, 0]
        return Factor(kernel, u, levels, lower)

    def solve(self, y: Array, trans: Literal[0, 1] = 0) -> Array:
        """L⁻¹·y for y (n, …), or L⁻ᵀ·y with trans = 1."""
        if not len(self):
            return y.copy()
        solved, _ = dtrtrs(self.lower, y, lower=1, trans=trans)
        return np.reshape(solved, y.shape)


def _cholesky(matrix: Array) -> Array:
    """The lower factor; what rounding has made indefinite is mended by a larger diagonal."""
    extra = 0.0
    while True:
        shifted = matrix + extra * np.eye(len(matrix))
        factor, info = dpotrf(shifted, lower=1, clean=1)
        if info == 0:
            lower: Array = factor
            return lower
        extra = max(10.0 * extra, JITTER)


@dataclass(frozen=True, slots=True)
class Prediction:
    """Predictions of m values without noise, under f fantasies."""

    mean: Array  # (m, f)
    deviation: Array  # (m,)


class Posterior:
    """Predictions from observations, and from pending evaluations by fantasies."""

    def __init__(self, factor: Factor, white: Array) -> None:
        """Args:
        factor: of n observations.
        white: L⁻¹(y - M), (n, f), one column a fantasy.
        """
        self.kernel = factor.kernel
        self.factor = factor
        self._white = white
        self._weights: Array | None = None

    @classmethod
    def of(cls, factor: Factor, y: Array) -> "Posterior":
        """The posterior given the observations' targets y (n,)."""
        return cls(factor, factor.solve(y - factor.kernel.tables.m[factor.k])[:, None])

    def given(self, x: Array, k: Levels, y: Array) -> "Posterior":
        """The posterior given more targets y (b,) at x (b, d) and k (b,)."""
        if not len(k):
            return self
        n, factor = len(self.factor), self.factor.append(x, k)
        rest = (y - self.kernel.tables.m[k])[:, None] - factor.lower[n:, :n] @ self._white
        more, _ = dtrtrs(np.asfortranarray(factor.lower[n:, n:]), rest, lower=1)
        return Posterior(factor, np.concatenate([self._white, more]))

    def fantasize(self, x: Array, k: Levels, normals: Array) -> "Posterior":
        """The posterior given pending evaluations, with joint draws for their values.

        A draw, noise included, is M + rows·white + L_pp·z: whitened by the grown factor it is z.

        Args:
            x, k: (p, d) and (p,), where they are.
            normals: (p, f) standard normal numbers z.
        """
        if not len(k):
            return self
        white = np.broadcast_to(self._white, (len(self.factor), normals.shape[1]))
        return Posterior(self.factor.append(x, k), np.concatenate([white, normals]))

    def predict(self, x: Array, k: Levels) -> Prediction:
        """The values at places x (m, d) and levels k (m,)."""
        u = self.kernel.warping(x)
        cross = self.kernel.cross(self.factor.u, self.factor.k, u, k)
        return self._predict(self.factor.solve(cross), k)

    def _predict(self, half: Array, k: Levels) -> Prediction:
        """The prediction from L⁻¹ of the covariances with all observations, (n, m)."""
        mean = self.kernel.tables.m[k][:, None] + half.T @ self._white
        variance = self.kernel.variance(k) - np.einsum("nm,nm->m", half, half)
        return Prediction(mean, np.sqrt(np.maximum(variance, JITTER)))

    @property
    def weights(self) -> Array:
        """Σ⁻¹(y - M), (n, f)."""
        if self._weights is None:
            self._weights = self.factor.solve(self._white, trans=1)
        return self._weights

    def gradients(self, x: Array, k: Levels) -> "Gradients":
        """Predictions at x (m, d), prepared for derivatives by x."""
        kernel, factor = self.kernel, self.factor
        u = kernel.warping(x)
        value, slope = matern(squared_distances(factor.u, u, kernel.weights))
        b, c = kernel.between(factor.k, k)
        half = factor.solve(value * b + c)
        solved = factor.solve(half, trans=1)
        return Gradients(self, x, u, slope * b, solved, self._predict(half, k))


@dataclass(frozen=True, slots=True)
class Gradients:
    """Predictions at m places, and what their derivatives are made of."""

    posterior: Posterior
    x: Array  # (m, d)
    u: Array  # (m, d) warped
    slope: Array  # (n, m) derivatives of the covariances by ρ²
    solved: Array  # (n, m) Σ⁻¹ times the covariances
    prediction: Prediction

    def pull(self, by_mean: Array, by_deviation: Array) -> Array:
        """dF/dx (m, d) of a sum F = Σ_i F_i(mean_i, deviation_i).

        Args:
            by_mean: (m, f) dF/d mean.
            by_deviation: (m,) dF/d deviation.
        """
        posterior = self.posterior
        kernel, factor = posterior.kernel, posterior.factor
        # deviation² = prior - cᵀΣ⁻¹c, so d deviation/dc = -Σ⁻¹c/deviation
        by_cross = posterior.weights @ by_mean.T
        by_cross -= self.solved * (by_deviation / self.prediction.deviation)
        by_square = by_cross * self.slope  # dF/dρ², (n, m)
        by_u = (
            2.0
            * kernel.weights
            * (self.u * by_square.sum(axis=0)[:, None] - by_square.T @ factor.u)
        )
        by_x: Array = by_u * kernel.warping.derivative(self.x)
        return by_x
