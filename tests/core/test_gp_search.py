"""The search for the largest acquisition: what it returns, and that it finds what is there."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest

from hyperband.core.cube import Cube
from hyperband.core.gp.acquisition import log_improvement
from hyperband.core.gp.kernels import Array, Layout
from hyperband.core.gp.model import Levels, Model, all_at
from hyperband.core.gp.posterior import Factor, Posterior
from hyperband.core.gp.resources import ExponentialDecay
from hyperband.core.gp.search import CANDIDATES, EXCHANGES, AcquisitionSearch
from hyperband.core.space import Categorical, Float, Integer, Ordinal, Space, Value
from tests.core.spaces import SPACES

LEVEL = 1
SQUARE = Space((Float("x", 0, 1), Float("y", 0, 1)))
DISCRETE = Space(
    (
        *(Categorical(f"edge{i}", ("a", "b", "c", "d")) for i in range(4)),
        Integer("layers", 1, 6),
        Ordinal("size", ("s", "m", "l")),
    )
)  # 4608 configurations
NESTED = Space(
    (
        Categorical("stem", ("plain", "conv")),
        Ordinal("pool", (1, 2, 4), when={"stem": ("conv",)}),
        Integer("layers", 1, 4),
        Categorical("skip", (False, True), when={"layers": (2, 3, 4)}),
        Categorical("source", ("stem", "first"), when={"skip": (True,)}),
        *(Categorical(f"edge{i}", ("a", "b", "c")) for i in range(4)),
    )
)


def levels(places: Array) -> Levels:
    return all_at(LEVEL, places)


def known_places(space: Space, count: int = 8) -> Array:
    """Some random configurations."""
    return Cube(space).place(np.random.default_rng(1).random((count, len(space.parameters))))


def posterior(space: Space, loss: Callable[[Array], Array], count: int = 30) -> Posterior:
    """What is known after some random configurations, with the priors' means as parameters."""
    model = Model(Layout.of(space), ExponentialDecay(np.array([1.0, 3.0, 9.0])))
    x = known_places(space, count)
    factor = Factor.empty(model.kernel(model.start), space.dimension).append(x, levels(x))
    return Posterior.of(factor, loss(x))


def search(
    space: Space, known: Posterior, threshold: float | Array, seed: int = 0
) -> tuple[Array, Array]:
    """Places and improvements on the thresholds, one or (fantasies,)."""
    best, random = known_places(space, 4), np.random.default_rng(seed)
    limits = np.atleast_1d(threshold)
    found = AcquisitionSearch(Cube(space)).run(known, LEVEL, limits, best, random)
    return found.places, np.exp(found.logs)


def improvement(known: Posterior, places: Array, threshold: float | Array) -> Array:
    prediction = known.predict(places, levels(places))
    return np.exp(log_improvement(prediction, np.atleast_1d(threshold)))


def total(x: Array) -> Array:
    """Smaller towards the corner at 0, and for the first values of categoricals."""
    return np.asarray(x @ np.linspace(1.0, 2.0, x.shape[1])) / np.sqrt(max(1, x.shape[1])) - 1.0


def every_place(space: Space) -> Array:
    """All canonical places of a discrete space, inactive parameters at their fixed point."""
    cells: list[list[Value]] = [
        list(range(p.min or 0, (p.max or 0) + 1)) if isinstance(p, Integer) else list(p.values)
        for p in space.parameters
        if isinstance(p, Integer | Categorical | Ordinal)
    ]
    names = [p.name for p in space.parameters]
    all_set = space.encode_many([dict(zip(names, row, strict=True)) for row in product(*cells)])
    return np.unique(Cube(space).snap(all_set), axis=0)


@pytest.mark.parametrize(
    "space",
    [space for name, space in SPACES.items() if name != "only constants"],
    ids=[name for name in SPACES if name != "only constants"],
)
def test_results_are_canonical_and_ordered(space: Space) -> None:
    known = posterior(space, total)
    places, gains = search(space, known, -0.5)
    assert len(places) == len(gains) > CANDIDATES
    np.testing.assert_allclose(Cube(space).snap(places), places, atol=1e-12)
    encoded = space.encode_many([space.decode(place) for place in places])
    np.testing.assert_allclose(encoded, places, atol=1e-9)
    assert (np.diff(gains) <= 0).all()
    np.testing.assert_allclose(gains, improvement(known, places, -0.5), rtol=1e-6, atol=1e-12)


def test_what_is_next_to_nothing_still_has_an_order() -> None:
    """Far below what can be hoped for, improvements are 0 in floating point."""
    known, far = posterior(SQUARE, lambda x: 3.0 * x.sum(axis=1) - 3.0), np.array([-60.0])
    places, gains = search(SQUARE, known, far)
    assert gains[0] == 0.0
    axis = np.linspace(0.0, 1.0, 101)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    found, *others = (
        log_improvement(known.predict(x, levels(x)), far) for x in (places[:1], places, grid)
    )
    assert found[0] == pytest.approx(max(others[0]))
    assert found[0] > max(others[1]) - 1e-3 * abs(found[0])


def test_the_same_random_numbers_give_the_same_places() -> None:
    known = posterior(NESTED, total)
    one, other = search(NESTED, known, -0.5), search(NESTED, known, -0.5)
    np.testing.assert_array_equal(one[0], other[0])
    assert not np.array_equal(one[0], search(NESTED, known, -0.5, seed=1)[0])


def test_what_an_exchange_makes_active_may_have_any_value() -> None:
    names = ("s", "m", "l")
    sizes = Categorical("size", names, when={"stem": ("conv",)})
    space = Space((Categorical("stem", ("plain", "conv")), sizes))
    plain = space.encode_many([{"stem": "plain"}])
    search, random = AcquisitionSearch(Cube(space)), np.random.default_rng(0)
    found = [space.decode(search._neighbours(plain, random)[1])["size"] for _ in range(300)]
    assert [found.count(name) / 300 for name in names] == pytest.approx([1 / 3] * 3, abs=0.1)


def test_exchanges_of_many_categoricals_are_a_sample() -> None:
    """All at once would be quadratic in the number of axes: gigabytes here."""
    space = Space(tuple(Categorical(f"c{i}", tuple(range(100))) for i in range(60)))
    cube, random = Cube(space), np.random.default_rng(0)
    place = cube.place(random.random((1, 60)))
    found = AcquisitionSearch(cube)._neighbours(place, random)
    assert len(found) == 1 + EXCHANGES
    np.testing.assert_array_equal(found[:1], place)
    differences = np.abs(found[1:] - place).sum(axis=1)
    np.testing.assert_array_equal(differences, 2.0)  # of one value for another
    changed = {int(np.flatnonzero(row - place[0])[0]) // 100 for row in found[1:]}
    assert len(changed) > 40


@pytest.mark.parametrize("corner", list(product((0.0, 1.0), repeat=2)))
def test_corners_are_reached(corner: tuple[float, float]) -> None:
    known = posterior(SQUARE, lambda x: 3.0 * np.abs(x - corner).sum(axis=1) - 3.0)
    places, _ = search(SQUARE, known, -2.9)
    np.testing.assert_array_equal(places[0], corner)


@pytest.mark.parametrize("seed", range(5))
def test_no_fine_grid_has_a_better_place(seed: int) -> None:
    known = posterior(SQUARE, lambda x: np.sin(7.0 * x[:, 0]) * np.cos(5.0 * x[:, 1]))
    _, gains = search(SQUARE, known, -0.9, seed)
    axis = np.linspace(0.0, 1.0, 201)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    assert gains[0] >= improvement(known, grid, -0.9).max() * (1 - 1e-3)


@pytest.mark.parametrize("space", [DISCRETE, NESTED], ids=["plain", "conditional"])
def test_exchanges_find_the_best_of_a_discrete_space(
    space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nearly always: in a landscape of several hills, one parameter at a time may end on a low one.

    Most configurations are not among the candidates.
    """
    everything = every_place(space)
    assert len(everything) > 3 * CANDIDATES

    def shares() -> Array:
        """The improvement found in 20 searches, as a part of the largest one."""
        found = []
        for landscape, seed in product(range(5), range(4)):
            slopes = np.random.default_rng(landscape).standard_normal(space.dimension)
            known = posterior(space, lambda x, w=slopes: x @ w + np.sin(3.0 * x @ w[::-1]))
            threshold = known.predict(everything, levels(everything)).mean.min()
            best = improvement(known, everything, threshold).max()
            found.append(search(space, known, threshold, seed)[1][0] / best)
        return np.array(found)

    with_exchanges = shares()
    assert with_exchanges.max() <= 1.0 + 1e-9
    assert (with_exchanges > 1.0 - 1e-9).mean() >= 0.8
    monkeypatch.setattr(AcquisitionSearch, "_exchange", lambda self, _, starts, __: starts)
    assert (shares() > 1.0 - 1e-9).mean() < 0.7


def test_what_is_being_evaluated_is_left_alone() -> None:
    known = posterior(SQUARE, lambda x: 2.0 * ((x - 0.3) ** 2).sum(axis=1) - 1.0, count=8)
    least = known.predict(known_places(SQUARE), levels(known_places(SQUARE))).mean.min()
    free, gains = search(SQUARE, known, least)
    busy = known.fantasize(
        free[:1], levels(free[:1]), np.random.default_rng(0).standard_normal((1, 20))
    )
    # As the searcher has it: each fantasy has a best place of its own.
    at = np.concatenate([known_places(SQUARE), free[:1]])
    thresholds = busy.predict(at, levels(at)).mean.min(axis=0)
    assert improvement(busy, free[:1], thresholds)[0] < 0.3 * gains[0]
    places, less = search(SQUARE, busy, thresholds)
    assert less[0] < gains[0]
    assert np.abs(places[0] - free[0]).max() > 0.02
