"""Mutations: one parameter changes, whatever its kind, and any value can be reached."""

from itertools import pairwise

import numpy as np
import pytest

from hyperband.core.searchers.mutation import changeable, mutate, mutations
from hyperband.core.space import Categorical, Float, Integer, Ordinal, Parameter, Space, Value
from tests.core.spaces import CONDITIONAL, FEW, ONLY_CONSTANTS, SPACES


def walk(space: Space, start: dict[str, Value], steps: int) -> list[dict[str, Value]]:
    """Mutations of mutations."""
    random = np.random.default_rng(0)
    points = [start]
    for _ in range(steps):
        mutation = mutate(space, points[-1], random)
        assert mutation is not None
        points.append(dict(mutation.parameters))
    return points


@pytest.mark.parametrize("name", [name for name in SPACES if name != "only constants"])
def test_a_mutation_is_a_configuration_that_differs_in_the_parameter_it_names(name: str) -> None:
    space = SPACES[name]
    random = np.random.default_rng(1)
    for _ in range(200):
        parent = space.sample(random.random(len(space.parameters)))
        mutation = mutate(space, parent, random)
        assert mutation is not None
        space.validate_point(mutation.parameters, partial=False)
        changed = space.parameters[mutation.parameter].name
        new = mutation.parameters[changed]
        assert (type(parent[changed]), parent[changed]) != (type(new), new)
        others = parent.keys() & mutation.parameters.keys() - {changed}
        assert all(parent[other] == mutation.parameters[other] for other in others)


@pytest.mark.parametrize(
    ("parameter", "reached"),
    [
        (Integer("p", 1, 9), set(range(1, 10))),
        (Integer("p", 10, 30, step=5), {10, 15, 20, 25, 30}),
        (Float("p", 0, 0.6, step=0.1), {0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6}),
        (Ordinal("p", ("xs", "s", "m", "l", "xl")), {"xs", "s", "m", "l", "xl"}),
        (Ordinal("p", ("s", "m", "l"), weights=(1, 0, 1)), {"s", "l"}),
        (Categorical("p", ("a", "b", "c", "no"), weights=(1, 8, 1, 0)), {"a", "b", "c"}),
    ],
)
def test_every_value_is_reached_from_any_other(parameter: Parameter, reached: set[Value]) -> None:
    space = Space((parameter,))
    for start in reached:
        points = walk(space, {"p": start}, 300)
        assert {point["p"] for point in points} == reached
        assert all(a["p"] != b["p"] for a, b in pairwise(points))


def test_a_number_takes_small_steps_and_large_ones() -> None:
    space = Space((Float("x", 0, 1),))
    random = np.random.default_rng(0)
    steps = []
    for _ in range(1000):
        mutation = mutate(space, {"x": 0.1}, random)
        assert mutation is not None
        steps.append(float(mutation.parameters["x"]) - 0.1)
    assert min(steps) < -0.09
    assert max(steps) > 0.85
    assert 0.7 < np.mean(np.array(steps) < 0.4) < 0.95


def test_a_categorical_changes_by_weight() -> None:
    space = Space((Categorical("c", ("a", "b", "c"), weights=(5, 3, 1)),))
    random = np.random.default_rng(0)
    mutations = [mutate(space, {"c": "a"}, random) for _ in range(1000)]
    share = np.mean([m is not None and m.parameters["c"] == "b" for m in mutations])
    assert 0.7 < share < 0.8


def test_values_that_are_used_only_where_given_can_be_left() -> None:
    space = Space((Categorical("c", ("a", "no"), weights=(1, 0)), Ordinal("o", ("x", "y"), (0, 1))))
    random = np.random.default_rng(0)
    mutations = [mutate(space, {"c": "no", "o": "x"}, random) for _ in range(20)]
    found = [dict(m.parameters) for m in mutations if m]
    assert {str(point) for point in found} == {
        str({"c": "a", "o": "x"}),
        str({"c": "no", "o": "y"}),
    }
    assert mutate(space, {"c": "a", "o": "y"}, random) is None


def test_what_becomes_active_is_sampled_and_what_becomes_inactive_is_dropped() -> None:
    points = walk(CONDITIONAL, {"layers": 1, "optimizer": "adam"}, 600)
    for before, after in pairwise(points):
        CONDITIONAL.validate_point(after, partial=False)
        assert before != after
    assert {frozenset(point) for point in points} == {
        frozenset(("layers", "optimizer", *more))
        for dropout in ((), ("dropout",))
        for more in (
            dropout,
            (*dropout, "momentum", "nesterov"),
            (*dropout, "momentum", "nesterov", "decay"),
        )
    }


def test_constants_never_change() -> None:
    random = np.random.default_rng(0)
    assert mutate(ONLY_CONSTANTS, {"a": 1, "b": "x"}, random) is None


def test_a_small_space_is_walked_through() -> None:
    start: dict[str, Value] = {"a": 1, "b": 8, "c": 1}
    assert len({str(point) for point in walk(FEW, start, 300)}) == 12


def test_the_number_of_mutations_falls_as_one_over_k_up_to_half_of_the_parameters() -> None:
    random = np.random.default_rng(3)
    counts = np.bincount([mutations(9, random) for _ in range(20_000)])
    assert counts[1:] / 20_000 == pytest.approx(np.array([12, 6, 4, 3]) / 25, abs=0.015)
    assert {mutations(able, random) for able in (0, 1, 2, 3) for _ in range(50)} == {1}


def test_what_has_one_value_cannot_change() -> None:
    space = Space((*ONLY_CONSTANTS.parameters, Float("x", 0, 1), Categorical("one", ("only",))))
    point = space.sample([0.5] * len(space.parameters))
    assert [space.parameters[k].name for k in changeable(space, point)] == ["x"]
    assert changeable(space, {k: v for k, v in point.items() if k != "x"}) == []
