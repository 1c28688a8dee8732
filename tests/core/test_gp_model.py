"""The model against textbook computations, and its gradients against finite differences."""

import numpy as np
import pytest
from scipy.special import gamma, kv
from scipy.stats import multivariate_normal

from hyperband.core.cube import Cube
from hyperband.core.gp.fitting import Data, fit, thinned
from hyperband.core.gp.kernels import Array, Layout, matern, squared_distances
from hyperband.core.gp.model import APART, JITTER, Model
from hyperband.core.gp.resources import MODELS, ExponentialDecay
from hyperband.core.space import Categorical, Float, Space
from tests.core.processes import LAYOUT, LEVELS, RESOURCE_MODELS, data, model, theta


def dense(model: Model, parameters: Array, given: Data) -> tuple[Array, Array]:
    """Mean and covariance of the targets, entry by entry as the documentation has it."""
    groups = model.groups
    numeric = np.flatnonzero(LAYOUT.numeric)
    a = np.exp(parameters[groups : groups + len(numeric)])
    b = np.exp(parameters[groups + len(numeric) : groups + 2 * len(numeric)])
    tables = model.resource.tables(parameters[groups + 2 * len(numeric) :])
    u = given.x.copy()
    for position, axis in enumerate(numeric):
        inner = 1e-4 + (1 - 2e-4) * u[:, axis]
        u[:, axis] = 1 - (1 - inner ** a[position]) ** b[position]
    n = len(given)
    covariance = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            weights = np.exp(parameters[LAYOUT.groups])
            s = np.sqrt(5 * np.sum(weights * (u[i] - u[j]) ** 2))
            ki, kj = given.k[i], given.k[j]
            kernel = (1 + s + s * s / 3) * np.exp(-s)
            covariance[i, j] = tables.b[ki, kj] * kernel + tables.c[ki, kj]
        covariance[i, i] += tables.n[given.k[i]] + JITTER
    return tables.m[given.k], covariance


def test_the_kernel_is_the_matern_of_order_five_halves() -> None:
    distance = np.linspace(0.05, 4.0, 30)
    scaled = np.sqrt(5.0) * distance
    textbook = 2 ** (1 - 2.5) / gamma(2.5) * scaled**2.5 * kv(2.5, scaled)
    value, slope = matern(distance**2)
    np.testing.assert_allclose(value, textbook, rtol=1e-10)
    up, down = matern(distance**2 + 1e-6)[0], matern(distance**2 - 1e-6)[0]
    np.testing.assert_allclose(slope, (up - down) / 2e-6, rtol=1e-6)
    assert matern(np.zeros(1))[0] == 1.0


@pytest.mark.parametrize("name", RESOURCE_MODELS)
def test_the_likelihood_is_the_normal_density(name: str) -> None:
    process, given = model(name), data(25)
    parameters = theta(process)
    mean, covariance = dense(process, parameters, given)
    deviations = np.array([p.deviation for p in process.priors])
    prior = 0.5 * np.sum(((parameters - process.start) / deviations) ** 2)
    expected = -multivariate_normal(mean, covariance).logpdf(given.y)
    expected += prior - 0.5 * len(given) * np.log(2 * np.pi)
    assert process.loss(parameters, given.x, given.k, given.y)[0] == pytest.approx(expected)


@pytest.mark.parametrize("name", RESOURCE_MODELS)
@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_of_the_likelihood(name: str, seed: int) -> None:
    process, given = model(name), data(40, seed)
    parameters = theta(process, seed)
    _, gradient = process.loss(parameters, given.x, given.k, given.y)
    numeric = []
    for step in 1e-5 * np.eye(len(parameters)):
        up, _ = process.loss(parameters + step, given.x, given.k, given.y)
        down, _ = process.loss(parameters - step, given.x, given.k, given.y)
        numeric.append((up - down) / 2e-5)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("name", RESOURCE_MODELS)
@pytest.mark.parametrize("levels", [[7.0], [1.0, 2.0], [0.1, 0.3, 0.9, 1.0]])
def test_resource_tables_are_covariances_on_any_ladder(name: str, levels: list[float]) -> None:
    resource = MODELS[name](np.array(levels))
    random = np.random.default_rng(1)
    for _ in range(20):
        spread = [p.deviation * random.standard_normal() for p in resource.priors]
        tables = resource.tables(np.array([p.mean for p in resource.priors]) + spread)
        for table in (tables.b, tables.c):
            np.testing.assert_allclose(table, table.T)
            assert np.linalg.eigvalsh(table).min() > -1e-9 * max(1.0, table.max())
        assert (tables.n > 0).all()


def test_the_resource_axis_goes_from_0_to_1_even_where_logarithms_are_equal() -> None:
    for levels in ([1.0, 3.0, 9.0], [2.0**53 - 2, 2.0**53 - 1]):
        axis = ExponentialDecay(np.array(levels)).axis
        assert axis == pytest.approx(np.linspace(0, 1, len(levels)))
    assert ExponentialDecay(np.array([27.0])).axis.tolist() == [0.0]


def test_exponential_decay_is_the_mean_over_its_rates() -> None:
    """B and C by Monte Carlo over λ ~ Gamma(α, β)."""
    resource = ExponentialDecay(LEVELS)
    parameters = np.array([0.2, -2.0, 0.1, -0.3, 0.4, 0.9, 0.5])
    tables = resource.tables(parameters)
    alpha, mean = np.exp(parameters[4]), np.exp(parameters[5])
    rates = np.random.default_rng(0).gamma(alpha, mean / alpha, 400_000)
    curves = np.exp(-rates[:, None] * resource.axis[None, :])
    delta = 1 / (1 + np.exp(-parameters[6]))
    effect = 1 - delta * curves
    np.testing.assert_allclose(
        tables.b, np.exp(0.4) * effect.T @ effect / len(rates), rtol=0.01, atol=2e-3
    )
    np.testing.assert_allclose(tables.c, np.exp(-0.6) * np.cov(curves.T, bias=True), atol=2e-3)
    np.testing.assert_allclose(tables.m, 0.1 + np.exp(-0.3) * curves.mean(axis=0), atol=2e-3)


def test_a_fit_finds_the_parameter_that_matters() -> None:
    random = np.random.default_rng(0)
    given = data(80)
    y = np.sin(6.0 * given.x[:, 0]) + 0.01 * random.standard_normal(80)
    process = model()
    found = fit(process, Data(given.x, given.k, y), process.start, 100)
    assert found[0] > found[1] + 2.0 and found[0] > found[3] + 2.0
    start = process.loss(process.start, given.x, given.k, y)[0]
    assert process.loss(found, given.x, given.k, y)[0] < start - 20.0


def test_a_fit_of_nothing_but_infinities_is_its_start() -> None:
    process, given = model(), data(5)
    broken = Data(given.x, given.k, np.full(5, np.inf))
    np.testing.assert_array_equal(fit(process, broken, process.start, 10), process.start)


def test_thinning_keeps_scarce_levels_and_the_best() -> None:
    random = np.random.default_rng(0)
    k = np.repeat([0, 1, 4], [500, 80, 9])
    given = Data(random.random((589, 2)), k, random.standard_normal(589))
    rows = thinned(given, 200)
    assert len(rows) == len(set(rows.tolist())) == 200
    assert (np.diff(rows) > 0).all()
    kept = given.rows(rows)
    assert np.bincount(kept.k).tolist() == [111, 80, 0, 0, 9]
    lowest = np.sort(given.y[k == 0])[:20]
    assert set(lowest) <= set(kept.y)
    assert given.y[k == 0].max() in kept.y
    np.testing.assert_array_equal(thinned(given, 589), np.arange(589))


@pytest.mark.parametrize("count", [1, 7, 40])
@pytest.mark.parametrize("choices", [0, 2, 7])
def test_random_configurations_are_as_far_apart_whatever_the_parameters(
    count: int, choices: int
) -> None:
    """A priori; where there are choices, half of the parameters are categoricals."""
    values = tuple(str(value) for value in range(choices))
    space = Space(
        tuple(
            Categorical(f"p{i}", values) if i % 2 and choices else Float(f"p{i}", 0, 1)
            for i in range(count)
        )
    )
    process = Model(Layout.of(space), ExponentialDecay(LEVELS))
    uniforms = np.random.default_rng(0).random((300, count))
    x = Cube(space).place(uniforms)
    weights = process.kernel(process.start).weights
    squares = squared_distances(x, x, weights)[np.triu_indices(300, 1)]
    assert squares.mean() == pytest.approx(APART, rel=0.1)
