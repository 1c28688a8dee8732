"""The densities of KernelDensity against textbook computations."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from scipy import stats

from hyperband.core.searchers.densities import FLOOR, Coding, Density, Points, bandwidths
from hyperband.core.space import Categorical, Constant, Float, Integer, Ordinal, Space, Value

MIXED = Space(
    (
        Float("x", 0, 1),
        Categorical("c", ("a", "b", "never"), weights=(3, 1, 0)),
        Float("depth", 0, 1, when={"c": ("a",)}),
        Constant("epsilon", 1e-8),
        Categorical("kind", (1, 2, True, "four"), when={"c": ("b",)}),
        Integer("n", 1, 4),
        Ordinal("size", ("s", "m", "l")),
    )
)


def drawn(space: Space, count: int, seed: int = 0) -> list[dict[str, Value]]:
    random = np.random.default_rng(seed)
    return [space.sample(random.random(len(space.parameters))) for _ in range(count)]


def density(space: Space, configurations: Sequence[Mapping[str, Value]]) -> Density:
    coding = Coding(space)
    return Density(coding, coding.points(configurations))


def by_hand(
    estimate: Density, observations: Sequence[Mapping[str, Value]], at: Mapping[str, Value]
) -> float:
    """The density at one configuration: loops, and distributions from scipy."""
    space = estimate.coding.space
    h = dict(zip(estimate.coding.names, estimate.bandwidths.tolist(), strict=True))
    total = 0.0
    for observed in observations:
        product = 1.0
        for parameter in space.parameters:
            name = parameter.name
            if name not in at or isinstance(parameter, Constant):
                continue
            if isinstance(parameter, Categorical):
                weights = parameter.weights or (1.0,) * len(parameter.values)
                prior = weights[[v is at[name] for v in parameter.values].index(True)]
                prior /= sum(weights)
                same = name in observed and observed[name] is at[name]
                kernel = (1 - h[name]) * same + h[name] * prior
                product *= kernel if name in observed else prior
            elif name in observed:
                block = space.blocks[name]
                c, x = (float(space.encode(each)[block][0]) for each in (at, observed))
                cut = (-x / h[name], (1 - x) / h[name])
                product *= float(stats.truncnorm.pdf(c, *cut, loc=x, scale=h[name]))
        total += product
    return total / len(observations)


@pytest.mark.parametrize("count", [1, 2, 30])
def test_a_density_is_the_mean_of_products_of_kernels(count: int) -> None:
    observations, candidates = drawn(MIXED, count), drawn(MIXED, 40, seed=1)
    estimate = density(MIXED, observations)
    found = estimate.log(estimate.coding.points(candidates))
    expected = [math.log(by_hand(estimate, observations, each)) for each in candidates]
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_a_density_sums_up_to_one_whatever_is_active() -> None:
    space = Space(
        (
            Float("x", 0, 1),
            Categorical("c", ("a", "b"), weights=(0.8, 0.2)),
            Float("depth", 0, 1, when={"c": ("a",)}),
            Categorical("kind", (1, 2, 3), when={"c": ("b",)}),
        )
    )
    near_a_face = [{**each, "x": float(each["x"]) ** 4} for each in drawn(space, 12)]
    estimate = density(space, near_a_face)
    middles = ((np.arange(400) + 0.5) / 400).tolist()
    with_a = [{"x": 0.0, "c": "a", "depth": depth} for depth in middles]
    with_b = [{"x": 0.0, "c": "b", "kind": kind} for kind in (1, 2, 3)]
    total = 0.0
    for configurations, width in ((with_a, 1 / 400), (with_b, 1.0)):
        points = estimate.coding.points(configurations)
        for x in middles:
            places = points.places.copy()
            places[:, 0] = x
            at = Points(places, points.active, points.widths)
            total += float(np.sum(np.exp(estimate.log(at)))) * width / 400
    assert total == pytest.approx(1.0, abs=1e-3)


def test_the_kernel_of_equal_weights_is_that_of_aitchison_and_aitken() -> None:
    space = Space((Categorical("c", ("a", "b", "c", "d")),))
    estimate = density(space, [{"c": "a"}, {"c": "a"}, {"c": "a"}, {"c": "b"}])
    points = estimate.coding.points([{"c": value} for value in "abcd"])
    shares = np.array([0.75, 0.25, 0.0, 0.0])
    width = float(estimate.bandwidths[0]) * 3 / 4
    expected = shares * (1 - width) + (1 - shares) * width / 3
    assert np.exp(estimate.log(points)) == pytest.approx(expected)
    assert float(np.sum(expected)) == pytest.approx(1.0)


def test_bandwidths_follow_the_normal_reference_rule() -> None:
    space = Space((Float("x", 0, 1), Categorical("c", ("a", "b")), Integer("n", 1, 1000)))
    observations = drawn(space, 50)
    coding = Coding(space)
    found = bandwidths(coding, coding.points(observations))
    places = space.encode_many(observations)  # x, a, b, n
    expected = 1.06 * np.std(places[:, [0, 2, 3]], axis=0) * 50 ** (-1 / 7)
    assert found == pytest.approx(expected)


def test_the_bandwidth_of_a_categorical_does_not_depend_on_the_order_of_its_values() -> None:
    observations: list[dict[str, Value]] = [{"c": value} for value in "aaaaabbc"]
    found = []
    for values in (("a", "b", "c"), ("b", "c", "a")):
        coding = Coding(Space((Categorical("c", values),)))
        found.append(bandwidths(coding, coding.points(observations)))
    assert found[0] == pytest.approx(found[1])


def test_a_bandwidth_has_a_floor() -> None:
    space = Space((Float("x", 0, 1), Categorical("c", ("a", "b")), Ordinal("o", (1, 2, 4))))
    coding = Coding(space)
    same = coding.points([{"x": 0.3, "c": "a", "o": 2}] * 9)
    # An ordinal that never changes still has its cell, a third of the axis, to lie in.
    inside = 1 / 3 / math.sqrt(12)
    assert bandwidths(coding, same) == pytest.approx([FLOOR, FLOOR, inside])


def test_what_is_hardly_ever_active_is_as_wide_as_the_prior() -> None:
    space = Space((Categorical("c", ("a", "b")), Float("depth", 0, 1, when={"c": ("a",)})))
    coding = Coding(space)
    points = coding.points([{"c": "b"}] * 5 + [{"c": "a", "depth": 0.5}])
    assert bandwidths(coding, points)[1] == pytest.approx(1.06 / math.sqrt(12))


def test_draws_follow_the_density_and_never_have_a_value_of_weight_zero() -> None:
    given: dict[str, Value] = {"x": 0.1, "c": "never", "n": 1, "size": "s"}
    observations = [*drawn(MIXED, 20), given]
    estimate = density(MIXED, observations)
    random = np.random.default_rng(0)
    configurations = [MIXED.decode(x) for x in estimate.draw(4000, 1.0, random)]
    for each in configurations:
        MIXED.validate_point(each, partial=False)
    assert "never" not in {each["c"] for each in configurations}
    x = np.array([float(each["x"]) for each in configurations])
    h = float(estimate.bandwidths[0])
    centres = np.array([float(each["x"]) for each in observations])
    laws = [stats.truncnorm(-m / h, (1 - m) / h, loc=m, scale=h) for m in centres]
    assert stats.kstest(x, lambda at: np.mean([law.cdf(at) for law in laws], axis=0)).pvalue > 1e-3


def test_wide_and_far_apart_is_no_trouble() -> None:
    space = Space(tuple(Float(f"x{i}", 0, 1) for i in range(60)))
    low: list[dict[str, Value]] = [{f"x{i}": 0.001 * k for i in range(60)} for k in range(3)]
    estimate = density(space, low)
    far = estimate.coding.points([{f"x{i}": 1.0 for i in range(60)}])
    assert np.all(np.isfinite(estimate.log(far)))
    assert estimate.log(far)[0] < -1e5
