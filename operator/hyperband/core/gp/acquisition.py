"""Expected improvement, averaged over fantasies, with its gradient in closed form.

EI = E[max(0, η - f)] = σ·(z·Φ(z) + φ(z)) with z = (η - μ)/σ (Jones et al. 1998), for values to be
small; η is the least posterior mean known, one for each fantasy.
"""

import numpy as np
from scipy.special import ndtr

from hyperband.core.gp.kernels import Array
from hyperband.core.gp.model import Levels
from hyperband.core.gp.posterior import Posterior, Prediction

_TINY = 1e-300


def expected_improvement(prediction: Prediction, threshold: Array) -> Array:
    """EI (m,) of a prediction, with the fantasies' thresholds η (f,)."""
    return _improvement(prediction, threshold)[0]


def log_improvement(
    posterior: Posterior, x: Array, k: Levels, threshold: Array
) -> tuple[Array, Array]:
    """ln EI (m,) at places x (m, d) and levels k (m,), and its gradient (m, d)."""
    gradients = posterior.gradients(x, k)
    value, cdf, density = _improvement(gradients.prediction, threshold)
    value = np.maximum(value, _TINY)
    # dEI/dμ = -Φ(z), dEI/dσ = φ(z)
    by_mean = -cdf / (cdf.shape[1] * value[:, None])
    return np.log(value), gradients.pull(by_mean, density.mean(axis=1) / value)


def _improvement(prediction: Prediction, threshold: Array) -> tuple[Array, Array, Array]:
    """EI (m,), and the Φ(z) and φ(z) that it is made of, (m, f)."""
    deviation = prediction.deviation[:, None]
    z = (threshold[None, :] - prediction.mean) / deviation
    cdf, density = ndtr(z), _density(z)
    return (deviation * (z * cdf + density)).mean(axis=1), cdf, density


def _density(z: Array) -> Array:
    density: Array = np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
    return density
