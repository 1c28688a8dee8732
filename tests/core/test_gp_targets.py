"""Targets: the good half as it is, the bad half by ranks."""

import numpy as np
import pytest

from hyperband.core.gp.targets import standardize


def test_the_good_half_is_kept_and_the_bad_half_ranked() -> None:
    losses = np.array([0.4, 0.1, 1e12, 0.2, 0.3, 0.9, 5.0])
    targets = standardize(losses)
    good = losses <= 0.4
    np.testing.assert_allclose(targets.values[good], (losses[good] - 0.4) / targets.spread)
    assert targets.spread == pytest.approx(np.sqrt(np.mean((losses[good] - 0.4) ** 2)))
    assert (np.diff(targets.values[np.argsort(losses)]) > 0).all()
    assert 0 < targets.values.max() < 2.0
    assert targets.loss(targets.values[1]) == pytest.approx(0.1)


@pytest.mark.parametrize("worst", [0.4, 1e8, 1e200])
def test_what_is_above_a_tie_keeps_its_order(worst: float) -> None:
    """As accuracies that have come to their end: the best are all the same."""
    values = standardize(np.array([0.1] * 6 + [0.12, 0.15, 0.3, worst])).values
    np.testing.assert_array_equal(values[:6], 0.0)
    assert (np.diff(values[5:]) > 0.1).all()
    assert values[-1] < 2.0


def test_a_constant_metric_says_nothing() -> None:
    np.testing.assert_array_equal(standardize(np.full(5, 3.0)).values, 0.0)
