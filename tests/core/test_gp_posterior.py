"""Predictions, fantasies and acquisition against dense computations, Monte Carlo, differences."""

import numpy as np
import pytest
from scipy.integrate import quad

from hyperband.core.gp.acquisition import log_improvement, log_improvement_gradient
from hyperband.core.gp.fitting import Data
from hyperband.core.gp.kernels import Array
from hyperband.core.gp.posterior import Factor, Posterior, Prediction
from tests.core.processes import RESOURCE_MODELS, data, model, theta
from tests.core.test_gp_model import dense

NEW = data(12, seed=9)


def posterior(name: str, given: Data, chunks: int = 1) -> Posterior:
    """The posterior, its factor made in one go or appended to."""
    process = model(name)
    factor = Factor.empty(process.kernel(theta(process)), given.x.shape[1])
    for rows in np.array_split(np.arange(len(given)), chunks):
        factor = factor.append(given.x[rows], given.k[rows])
    return Posterior.of(factor, given.y)


def textbook(name: str, given: Data, new: Data) -> tuple[Array, Array]:
    """Mean (m,) and covariance (m, m) of new values without noise, by inverting matrices."""
    process = model(name)
    both = given.with_more(new)
    mean, covariance = dense(process, theta(process), both)
    n = len(given)
    weights = np.linalg.inv(covariance[:n, :n])
    cross = covariance[n:, :n]
    noise = np.diag(process.kernel(theta(process)).tables.n[new.k])
    return (
        mean[n:] + cross @ weights @ (given.y - mean[:n]),
        covariance[n:, n:] - noise - cross @ weights @ cross.T,
    )


@pytest.mark.parametrize("name", RESOURCE_MODELS)
def test_predictions_are_the_textbooks(name: str) -> None:
    given = data(30)
    mean, covariance = textbook(name, given, NEW)
    prediction = posterior(name, given).predict(NEW.x, NEW.k)
    np.testing.assert_allclose(prediction.mean[:, 0], mean, atol=1e-7)
    np.testing.assert_allclose(prediction.deviation**2, np.diag(covariance), atol=1e-7)


@pytest.mark.parametrize("name", RESOURCE_MODELS)
def test_an_appended_factor_is_the_rebuilt_one(name: str) -> None:
    given = data(90)
    whole, grown = posterior(name, given), posterior(name, given, chunks=30)
    np.testing.assert_allclose(grown.factor.lower, whole.factor.lower, atol=1e-8)
    one, other = whole.predict(NEW.x, NEW.k), grown.predict(NEW.x, NEW.k)
    np.testing.assert_allclose(one.mean, other.mean, atol=1e-8)
    np.testing.assert_allclose(one.deviation, other.deviation, atol=1e-8)


@pytest.mark.parametrize("name", RESOURCE_MODELS)
def test_rows_are_the_same_to_the_last_bit_however_many_come_at_once(name: str) -> None:
    """Values arrive one or some at a time; after a restart all are there at once."""
    process, given = model(name), data(90)
    empty = Factor.empty(process.kernel(theta(process)), given.x.shape[1])
    together = empty.append_each(given.x, given.k)
    for chunks in (90, 20):
        factor = empty
        for rows in np.array_split(np.arange(90), chunks):
            factor = factor.append_each(given.x[rows], given.k[rows])
        np.testing.assert_array_equal(factor.lower, together.lower)
    whole = empty.append(given.x, given.k)
    np.testing.assert_allclose(together.lower, whole.lower, atol=1e-8)
    np.testing.assert_array_equal(together.u, whole.u)


def test_fantasies_are_joint_draws_and_never_add_variance() -> None:
    given, pending = data(20), data(3, seed=5)
    known = posterior("ExponentialDecay", given)
    normals = np.random.default_rng(0).standard_normal((3, 40_000))
    fantasized = known.fantasize(pending.x, pending.k, normals)
    before, after = known.predict(NEW.x, NEW.k), fantasized.predict(NEW.x, NEW.k)
    assert (after.deviation <= before.deviation + 1e-9).all()
    assert (after.deviation < 0.999 * before.deviation).any()
    # Averaged over its fantasies, a prediction is what it was before them.
    np.testing.assert_allclose(after.mean.mean(axis=1), before.mean[:, 0], atol=0.02)
    total = after.deviation**2 + after.mean.var(axis=1)
    np.testing.assert_allclose(total, before.deviation**2, rtol=0.03, atol=1e-4)
    # Given a fantasy's values, it is the textbook's posterior.
    drawn = _fantasy_values(given, pending, normals[:, 0])
    told = given.with_more(Data(pending.x, pending.k, drawn))
    mean, _ = textbook("ExponentialDecay", told, NEW)
    np.testing.assert_allclose(after.mean[:, 0], mean, atol=1e-6)


def _fantasy_values(given: Data, pending: Data, normals: Array) -> Array:
    """The values that a fantasy stands for: mean + chol(covariance with noise)·z."""
    mean, covariance = textbook("ExponentialDecay", given, pending)
    process = model()
    noise = process.kernel(theta(process)).tables.n[pending.k]
    return np.asarray(mean + np.linalg.cholesky(covariance + np.diag(noise)) @ normals)


def test_given_values_are_observations() -> None:
    given, more = data(20), data(4, seed=6)
    told = posterior("ExponentialDecay", given).given(more.x, more.k, more.y)
    expected = posterior("ExponentialDecay", given.with_more(more)).predict(NEW.x, NEW.k)
    prediction = told.predict(NEW.x, NEW.k)
    np.testing.assert_allclose(prediction.mean, expected.mean, atol=1e-9)
    np.testing.assert_allclose(prediction.deviation, expected.deviation, atol=1e-9)


def test_expected_improvement_is_the_mean_of_improvements() -> None:
    prediction = Prediction(np.array([[0.3, -0.2], [1.0, 1.2]]), np.array([0.5, 0.1]))
    threshold = np.array([0.2, 0.1])
    normals = np.random.default_rng(0).standard_normal(400_000)
    for row, value in enumerate(np.exp(log_improvement(prediction, threshold))):
        drawn = [
            np.maximum(0, limit - mean - prediction.deviation[row] * normals).mean()
            for limit, mean in zip(threshold, prediction.mean[row], strict=True)
        ]
        assert value == pytest.approx(np.mean(drawn), rel=0.01, abs=1e-6)


@pytest.mark.parametrize("z", [3.0, 0.0, -0.999, -1.001, -5.0, -40.0, -200.0, -9.9e3, -1.1e4, -1e6])
def test_improvement_has_a_logarithm_where_it_is_next_to_nothing(z: float) -> None:
    """h(z) = ∫ t·φ(t - z) dt over t > 0, with φ(z) taken out and t in units of 1/max(1, |z|)."""
    unit = 1.0 / max(1.0, abs(z))

    def integrand(s: float) -> float:
        return s * float(np.exp(-((s * unit) ** 2) / 2 + s * unit * z))

    integral, _ = quad(integrand, 0.0, 60.0, epsabs=0.0, epsrel=1e-12, limit=400)
    expected = -z * z / 2 - np.log(2 * np.pi) / 2 + np.log(integral) + 2 * np.log(unit)
    prediction = Prediction(np.array([[-z]]), np.ones(1))
    assert log_improvement(prediction, np.zeros(1))[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("below", [0.0, 30.0])  # from there, improvement is 0 in floating point
@pytest.mark.parametrize("name", RESOURCE_MODELS)
def test_the_gradient_of_expected_improvement(name: str, below: float) -> None:
    normals = np.random.default_rng(0).standard_normal((4, 7))
    pending = data(4, seed=5)
    known = posterior(name, data(25)).fantasize(pending.x, pending.k, normals)
    places = NEW.x * 0.9 + 0.05
    threshold = np.linspace(-0.5, 0.5, 7) - below
    value, gradient = log_improvement_gradient(known, places, NEW.k, threshold)
    plain = log_improvement(known.predict(places, NEW.k), threshold)
    np.testing.assert_allclose(value, plain, rtol=1e-8)
    for axis in range(places.shape[1]):
        step = np.zeros_like(places)
        step[:, axis] = 1e-6
        up, _ = log_improvement_gradient(known, places + step, NEW.k, threshold)
        down, _ = log_improvement_gradient(known, places - step, NEW.k, threshold)
        np.testing.assert_allclose(gradient[:, axis], (up - down) / 2e-6, rtol=1e-4, atol=1e-4)


def test_duplicates_without_noise_do_not_break_the_factor() -> None:
    one = data(3)
    rows = np.zeros(200, dtype=np.intp)
    process = model()
    parameters = theta(process)
    parameters[-6] = -12.0  # ln ν: noise of 4e-11
    factor = Factor.empty(process.kernel(parameters), 6)
    for _ in range(3):
        factor = factor.append(one.x[rows], one.k[rows])
    prediction = Posterior.of(factor, np.full(600, 0.7)).predict(one.x[:1], one.k[:1])
    assert prediction.mean[0, 0] == pytest.approx(0.7, abs=1e-3)
