"""The logarithm of expected improvement, averaged over fantasies, and its gradient in closed form.

EI = E[max(0, η - f)] = σ·h(z) with h(z) = z·Φ(z) + φ(z) and z = (η - μ)/σ (Jones et al. 1998), for
values to be small; η is the least posterior mean known, one for each fantasy. Where the best places
have been tried, EI is too small for a floating-point number all around, and its logarithm still
tells which place is better (Ament et al. 2023, arXiv 2310.20708).
"""

import numpy as np
from scipy.special import erfcx, log_ndtr, ndtr

from hyperband.core.gp.kernels import Array
from hyperband.core.gp.model import Levels
from hyperband.core.gp.posterior import Posterior, Prediction

_LOG_ROOT = 0.5 * np.log(2.0 * np.pi)
_FAR = -1e4  # below, h(z) is φ(z)/z² to eight digits


def log_improvement(prediction: Prediction, threshold: Array) -> Array:
    """ln EI (m,) of a prediction, with the fantasies' thresholds η (f,)."""
    total = _sums(prediction, threshold)[1]
    total -= np.log(len(threshold))
    return total


def log_improvement_gradient(
    posterior: Posterior, x: Array, k: Levels, threshold: Array
) -> tuple[Array, Array]:
    """ln EI (m,) at places x (m, d) and levels k (m,), and its gradient (m, d)."""
    gradients = posterior.gradients(x, k)
    z, total = _sums(gradients.prediction, threshold)
    # dEI/dμ = -Φ(z), dEI/dσ = φ(z)
    by_mean = -np.exp(log_ndtr(z) - total[:, None])
    by_deviation = np.exp(-0.5 * z * z - _LOG_ROOT - total[:, None]).sum(axis=1)
    return total - np.log(len(threshold)), gradients.pull(by_mean, by_deviation)


def _sums(prediction: Prediction, threshold: Array) -> tuple[Array, Array]:
    """z (m, f), and the logarithm (m,) of the sum of EI over the fantasies."""
    deviation = prediction.deviation[:, None]
    z = (threshold[None, :] - prediction.mean) / deviation
    logs = _log_h(z)
    largest = logs.max(axis=1, keepdims=True)
    total: Array = np.log(np.exp(logs - largest).sum(axis=1)) + largest[:, 0]
    total += np.log(prediction.deviation)
    return z, total


def _log_h(z: Array) -> Array:
    """ln h(z), shaped as z: from -1 on as it stands, below from φ(z)·(1 + z·Φ(z)/φ(z))."""
    near, below = np.maximum(z, -1.0), np.minimum(z, -1.0)
    plain = np.log(near * ndtr(near) + np.exp(-0.5 * near * near - _LOG_ROOT))
    rest = 1.0 + np.sqrt(0.5 * np.pi) * below * erfcx(-below / np.sqrt(2.0))
    rest = np.where(below > _FAR, rest, below**-2.0)
    log: Array = np.where(z > -1.0, plain, -0.5 * below * below - _LOG_ROOT + np.log(rest))
    return log
