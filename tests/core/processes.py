"""Data and models that the tests of the Gaussian process share."""

import numpy as np

from hyperband.core.gp.fitting import Data
from hyperband.core.gp.kernels import Array, Layout
from hyperband.core.gp.model import Model
from hyperband.core.gp.resources import MODELS

LEVELS = np.array([1.0, 3.0, 9.0, 27.0, 50.0])
# Two numbers, a categorical of three values, another number.
LAYOUT = Layout(np.array([0, 1, 2, 2, 2, 3]), np.array([1, 1, 0, 0, 0, 1], dtype=np.bool_))
RESOURCE_MODELS = list(MODELS)


def model(name: str = "ExponentialDecay") -> Model:
    return Model(LAYOUT, MODELS[name](LEVELS))


def data(count: int, seed: int = 0) -> Data:
    """Random places at random levels, with targets."""
    random = np.random.default_rng(seed)
    x = random.random((count, 6))
    x[:, 2:5] = np.eye(3)[random.integers(0, 3, count)]
    k = random.integers(0, len(LEVELS), count)
    y = np.sin(3.0 * x[:, 0]) + x[:, 3] - 0.3 * k + 0.05 * random.standard_normal(count)
    return Data(x, k, y - y.mean())


def theta(model: Model, seed: int = 0) -> Array:
    """Parameters somewhere around the prior's means."""
    random = np.random.default_rng(seed)
    return np.asarray(model.start + 0.3 * random.standard_normal(len(model.start)))
