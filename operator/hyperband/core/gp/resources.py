"""How values at different levels of the ladder hang together.

A study has few levels, so a resource model is a set of tables over them. With k_x the kernel over
configurations,

    cov[f(x, k), f(x', k')] = B[k, k']·k_x(x, x') + C[k, k'],   mean[f(x, k)] = M[k],

and a recorded value has independent noise of variance N[k]. A model has parameters θ on an
unbounded scale with normal priors (log-normal ones on the quantities themselves), and gives the
tables and their derivatives by θ.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hyperband.core.gp.kernels import Array


@dataclass(frozen=True, slots=True)
class Prior:
    """A normal prior of one parameter; the optimizer stays within `reach` deviations."""

    mean: float
    deviation: float
    reach: float = 4.0


@dataclass(frozen=True, slots=True)
class Tables:
    """B, C (K, K), M, N (K,), and their derivatives by the P parameters, stacked in front."""

    b: Array
    c: Array
    m: Array
    n: Array
    db: Array  # (P, K, K)
    dc: Array  # (P, K, K)
    dm: Array  # (P, K)
    dn: Array  # (P, K)


class ResourceModel(ABC):
    """Tables over the levels of one ladder."""

    def __init__(self, levels: Array) -> None:
        """Args:
        levels: (K,) the ladder's resources, ascending and above 0.
        """
        self.levels = levels
        logs = np.log(levels)
        span = logs[-1] - logs[0]
        # The resource axis: 0 at the lowest level, 1 at r_max, logarithmic, as rungs are; also
        # where levels are so close that floats do not tell their logarithms apart.
        self.axis = (logs - logs[0]) / span if span > 0 else np.linspace(0.0, 1.0, len(levels))

    @property
    @abstractmethod
    def priors(self) -> list[Prior]:
        """One a parameter, (P,)."""

    @abstractmethod
    def tables(self, theta: Array) -> Tables:
        """The tables at parameters θ (P,)."""

    def _empty(self) -> Tables:
        count, size = len(self.levels), len(self.priors)
        square, line = (count, count), (count,)
        return Tables(
            *(np.zeros(square), np.zeros(square), np.zeros(line), np.zeros(line)),
            *(np.zeros((size, *square)), np.zeros((size, *square))),
            *(np.zeros((size, *line)), np.zeros((size, *line))),
        )


class ExponentialDecay(ResourceModel):
    """Curves that decay exponentially, with a gamma distribution of rates.

    With κ(t) = E[exp(-λt)] = (β/(t + β))^α, λ ~ Gamma(α, β), on the axis t of the ladder:

        B = σ²·(1 - δ(κ(t) + κ(t')) + δ²κ(t + t')),  C = γ²(κ(t + t') - κ(t)κ(t')),
        M = μ + γκ(t),  N = ν²,

    after Swersky et al. 2014 (arXiv 1406.3896) with the mean and the parameter δ of Tiao et al.
    2020 (arXiv 2003.10865): how much of a configuration's effect is still to come at t = 0.
    γ is not theirs: it stands for their γ - δμ, which the paper and Syne Tune's code work out where
    they need it. Theirs can have either sign; here it is positive, so M can only fall with the
    resource, as losses do.
    θ = (ln σ, ln ν, μ, ln γ, ln α, ln E[λ], logit δ).
    """

    @property
    def priors(self) -> list[Prior]:
        return [
            Prior(0.3, 0.7),
            Prior(-4.0, 1.0),
            Prior(0.0, 0.5),
            Prior(0.0, 1.0),
            Prior(0.0, 0.7),
            Prior(0.7, 0.7),
            Prior(0.0, 1.5),
        ]

    def tables(self, theta: Array) -> Tables:
        out = self._empty()
        sigma2, nu2, gamma = np.exp(2.0 * theta[0]), np.exp(2.0 * theta[1]), np.exp(theta[3])
        alpha, rate = np.exp(theta[4]), np.exp(theta[5])
        delta = 1.0 / (1.0 + np.exp(-theta[6]))
        t = self.axis
        both = t[:, None] + t[None, :]
        kappa, by_alpha, by_rate = _kappa(t, alpha, rate)
        sums, sums_by_alpha, sums_by_rate = _kappa(both, alpha, rate)
        outer = kappa[:, None] + kappa[None, :]
        shape = 1.0 - delta * outer + delta**2 * sums
        out.b[:] = sigma2 * shape
        out.c[:] = gamma**2 * (sums - kappa[:, None] * kappa[None, :])
        out.m[:] = theta[2] + gamma * kappa
        out.n[:] = nu2
        out.db[0] = 2.0 * out.b
        out.dn[1] = 2.0 * out.n
        out.dm[2] = 1.0
        out.dc[3], out.dm[3] = 2.0 * out.c, gamma * kappa
        for row, dk, ds in ((4, by_alpha, sums_by_alpha), (5, by_rate, sums_by_rate)):
            out.db[row] = sigma2 * (-delta * (dk[:, None] + dk[None, :]) + delta**2 * ds)
            cross = dk[:, None] * kappa[None, :]
            out.dc[row] = gamma**2 * (ds - cross - cross.T)
            out.dm[row] = gamma * dk
        slope = delta * (1.0 - delta)
        out.db[6] = sigma2 * slope * (-outer + 2.0 * delta * sums)
        return out


def _kappa(t: Array, alpha: float, rate: float) -> tuple[Array, Array, Array]:
    """κ(t) = (β/(t + β))^α with β = α/rate, and its derivatives by ln α and ln rate."""
    beta = alpha / rate
    ratio = beta / (t + beta)
    value = ratio**alpha
    # d ln κ/d ln β = α·t/(t + β); ln α moves the exponent and β, ln rate moves β alone.
    by_beta = value * alpha * (1.0 - ratio)
    return value, value * alpha * np.log(ratio) + by_beta, -by_beta


class Coregionalized(ResourceModel):
    """Levels as correlated tasks: a scale for each level, and a chain of correlations between them.

        B = a_k·a_k'·Π ρ_j over the steps j between k and k',  N = ν²·a_k²,
        C = c²·(1 + min(k, k')): the levels' offsets, a random walk, integrated over.

    An intrinsic model of coregionalization (Bonilla et al. 2008) whose task matrix is that of a
    Markov chain, as rungs follow one another. θ = (ln ν, ln c, ln a_0 … ln a_{K-1},
    logit ρ_1 … logit ρ_{K-1}).
    """

    @property
    def priors(self) -> list[Prior]:
        count = len(self.levels)
        scales = [Prior(0.0, 0.7)] * count
        return [Prior(-4.0, 1.0), Prior(0.0, 0.5), *scales, *([Prior(4.0, 1.5)] * (count - 1))]

    def tables(self, theta: Array) -> Tables:
        out = self._empty()
        count = len(self.levels)
        nu2, c2 = np.exp(2.0 * theta[0]), np.exp(2.0 * theta[1])
        scales = np.exp(theta[2 : 2 + count])
        logits = theta[2 + count :]
        log_rho = -np.log1p(np.exp(-logits))
        chain = np.concatenate([[0.0], np.cumsum(log_rho)])
        positions = np.arange(count)
        correlation = np.exp(-np.abs(chain[:, None] - chain[None, :]))
        out.b[:] = scales[:, None] * scales[None, :] * correlation
        out.n[:] = nu2 * scales**2
        out.c[:] = c2 * (1.0 + np.minimum(positions[:, None], positions[None, :]))
        out.dn[0] = 2.0 * out.n
        out.dc[1] = 2.0 * out.c
        for k in range(count):
            touched = (positions == k).astype(float)
            out.db[2 + k] = out.b * (touched[:, None] + touched[None, :])
            out.dn[2 + k] = 2.0 * out.n * touched
        low = np.minimum(positions[:, None], positions[None, :])
        high = np.maximum(positions[:, None], positions[None, :])
        for j in range(count - 1):
            between = (low <= j) & (high > j)
            out.db[2 + count + j] = out.b * between * (1.0 - np.exp(log_rho[j]))
        return out


class Independent(ResourceModel):
    """Levels that tell nothing of one another but the length scales they share.

        B = a_k² if k = k', else 0,  N = ν²·a_k²,  C = c² if k = k', else 0.

    θ = (ln ν, ln c, ln a_0 … ln a_{K-1}).
    """

    @property
    def priors(self) -> list[Prior]:
        return [Prior(-4.0, 1.0), Prior(0.0, 0.5), *([Prior(0.0, 0.7)] * len(self.levels))]

    def tables(self, theta: Array) -> Tables:
        out = self._empty()
        scales2 = np.exp(2.0 * theta[2:])
        nu2, c2 = np.exp(2.0 * theta[0]), np.exp(2.0 * theta[1])
        diagonal = np.arange(len(self.levels))
        out.b[diagonal, diagonal] = scales2
        out.c[diagonal, diagonal] = c2
        out.n[:] = nu2 * scales2
        out.dn[0] = 2.0 * out.n
        out.dc[1] = 2.0 * out.c
        out.db[2 + diagonal, diagonal, diagonal] = 2.0 * scales2
        out.dn[2 + diagonal, diagonal] = 2.0 * out.n
        return out


MODELS: Mapping[str, type[ResourceModel]] = {
    "ExponentialDecay": ExponentialDecay,
    "Coregionalized": Coregionalized,
    "Independent": Independent,
}
