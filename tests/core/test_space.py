"""The search space: what may be declared, how it is sampled, and the codec to the unit cube."""

import json
import math
import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hyperband.core.space import (
    Categorical,
    Constant,
    Distribution,
    Float,
    Integer,
    Ordinal,
    Parameter,
    Scale,
    Space,
    Value,
)

LOG, NORMAL, LOG_NORMAL = Scale.LOG, Distribution.NORMAL, Distribution.LOG_NORMAL

DESIGN = Space(
    (
        Float("learning_rate", 1e-5, 1e-1, scale=LOG),
        Integer("layers", 1, 4),
        Categorical("activation", ("relu", "tanh"), weights=(0.8, 0.2)),
        Float("dropout", 0, 0.6, step=0.1, when={"layers": (2, 3, 4)}),
        Float("momentum", 0, 1, distribution=NORMAL, mean=0.9, deviation=0.05),
    )
)


def values_over(parameter: Parameter, n: int) -> list[Value]:
    """The values at the middles of n equal parts of [0, 1), were there no conditions."""
    space = Space((_with_when(parameter, {}),))
    return [space.sample([(i + 0.5) / n])[parameter.name] for i in range(n)]


# --- Random spaces -------------------------------------------------------------------------------

units = st.floats(0, 1, exclude_max=True)
plain_values = st.one_of(
    st.integers(-9, 9), st.booleans(), st.text("abc", max_size=2), st.sampled_from([0.5, 1.5])
)


@st.composite
def numbers(draw: st.DrawFn, name: str) -> Parameter:
    mean, deviation = draw(st.floats(-3, 3)), draw(st.floats(0.3, 2))
    low, width = draw(st.integers(-50, 50)), draw(st.integers(1, 200))
    kind = draw(st.sampled_from(range(9)))
    start = max(low, 1)
    return [
        Float(name, low, low + width / 7),
        Float(name, 1e-6 * start, 1e-6 * start + width, scale=LOG),
        Float(
            name,
            low / 10,
            (low + 10 * width) / 10,
            step=draw(st.sampled_from([0.1, 0.25, 1 / 3, 1])),
        ),
        Float(name, distribution=NORMAL, mean=mean, deviation=deviation),
        Float(name, distribution=LOG_NORMAL, mean=mean, deviation=deviation),
        Float(name, -20, 20, distribution=NORMAL, mean=mean, deviation=deviation, step=0.5),
        Integer(name, low, low + width, step=draw(st.sampled_from([None, 1]))),
        Integer(name, start, start + width, scale=LOG),
        Integer(name, distribution=NORMAL, mean=mean, deviation=deviation + 1),
    ][kind]


@st.composite
def choices(draw: st.DrawFn, name: str) -> Parameter:
    unique = draw(
        st.lists(plain_values, min_size=1, max_size=4, unique_by=lambda v: (type(v) is bool, v))
    )
    n = len(unique)
    weights = draw(st.none() | st.lists(st.sampled_from([0, 1, 2.5]), min_size=n, max_size=n))
    if weights is not None and not any(weights):
        weights = None
    kind = draw(st.sampled_from([Categorical, Ordinal]))
    return kind(name, tuple(unique), None if weights is None else tuple(weights))


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Up to six parameters; later ones may depend on earlier ones, then all are shuffled."""
    made: list[Parameter] = []
    for i in range(draw(st.integers(1, 6))):
        name = f"p{i}"
        constant = st.builds(Constant, st.just(name), plain_values)
        parameter = draw(st.one_of(numbers(name), choices(name), constant))
        parents = [p for p in made if not isinstance(p, Float)]
        when = {}
        for parent in draw(st.lists(st.sampled_from(parents), max_size=2)) if parents else []:
            possible = sorted({json.dumps(v) for v in values_over(parent, 5)})
            # Conditions of the parent itself do not matter to what it can be.
            chosen = draw(st.lists(st.sampled_from(possible), min_size=1, max_size=3))
            when[parent.name] = tuple(json.loads(v) for v in chosen)
        made.append(_with_when(parameter, when))
    return Space(tuple(draw(st.permutations(made))))


def _with_when(parameter: Parameter, when: dict[str, tuple[Value, ...]]) -> Parameter:
    fields = {name: getattr(parameter, name) for name in parameter.__dataclass_fields__}
    return type(parameter)(**{**fields, "when": when})


@st.composite
def samples(draw: st.DrawFn) -> tuple[Space, dict[str, Value]]:
    space = draw(spaces())
    n = len(space.parameters)
    return space, space.sample(draw(st.lists(units, min_size=n, max_size=n)))


# --- The codec -----------------------------------------------------------------------------------


@settings(max_examples=300)
@given(samples())
def test_decode_returns_what_encode_was_given(made: tuple[Space, dict[str, Value]]) -> None:
    space, point = made
    place = space.encode(point)
    assert place.shape == (space.dimension,)
    assert np.all((place >= 0) & (place <= 1))
    again = space.decode(place)
    assert list(again) == list(point)
    for parameter in space.parameters:
        if parameter.name not in point:
            continue
        old, new = point[parameter.name], again[parameter.name]
        assert type(new) is type(old)
        if isinstance(parameter, Float) and parameter.step is None:
            assert new == pytest.approx(old, rel=1e-9, abs=1e-9)
        else:
            assert new == old


@settings(max_examples=200)
@given(samples())
def test_samples_are_plain_valid_and_complete(made: tuple[Space, dict[str, Value]]) -> None:
    space, point = made
    assert all(type(value) in (bool, int, float, str) for value in point.values())
    assert json.loads(json.dumps(point)) == point
    space.validate_point(point, partial=False)
    for parameter in space.parameters:
        holds = all(
            parent in point and any(_same(point[parent], value) for value in values)
            for parent, values in parameter.when.items()
        )
        assert (parameter.name in point) == holds
    names = [p.name for p in space.parameters]
    assert list(point) == [name for name in names if name in point]


def _same(a: Value, b: Value) -> bool:
    return a == b and isinstance(a, bool) == isinstance(b, bool)


@settings(max_examples=100)
@given(spaces(), st.data())
def test_every_place_in_the_cube_decodes_to_a_valid_point(
    space: Space, data: st.DataObject
) -> None:
    d = space.dimension
    place = data.draw(st.lists(st.floats(0, 1), min_size=d, max_size=d))
    point = space.decode(place)
    space.validate_point(point, partial=False)
    np.testing.assert_array_equal(
        space.encode_many([point, point]), np.stack([space.encode(point)] * 2)
    )


def test_the_places_of_the_design_example() -> None:
    point = {"learning_rate": 1e-3, "layers": 1, "activation": "tanh", "momentum": 0.9}
    place = DESIGN.encode(point)
    assert DESIGN.dimension == 6
    # dropout is inactive with one layer; half the mass of momentum lies below 0.9, cut at 1 and
    # at 4 deviations below.
    below, above = 0.5 - stats.norm.cdf(-4), stats.norm.cdf(2) - 0.5
    np.testing.assert_allclose(place, [0.5, 0.125, 0, 1, 0.5, below / (below + above)], atol=1e-12)
    assert DESIGN.numeric.tolist() == [True, True, False, False, True, True]
    assert DESIGN.blocks["activation"] == slice(2, 4)


def test_an_inactive_one_hot_block_is_zero() -> None:
    space = Space((Integer("n", 1, 2), Categorical("c", ("a", "b"), when={"n": (2,)})))
    assert space.encode({"n": 1}).tolist() == [0.25, 0, 0]
    assert space.decode([0.1, 1, 0]) == {"n": 1}


def test_a_wrong_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(2,\) for dimension 6"):
        DESIGN.decode([0.1, 0.2])
    with pytest.raises(ValueError, match="2 uniforms for 5 parameters"):
        DESIGN.sample([0.1, 0.2])


# --- Distributions -------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [None, 3])
def test_every_integer_of_a_linear_range_is_equally_likely(step: int | None) -> None:
    expected = range(-2, 8, step or 1)
    counts = Counter(values_over(Integer("n", -2, 7, step=step), 100 * len(expected)))
    assert counts == dict.fromkeys(expected, 100)


def test_steps_are_equally_likely_and_free_of_noise() -> None:
    counts = Counter(values_over(Float("x", 0, 0.6, step=0.1), 700))
    assert counts == dict.fromkeys([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 100)
    # 1.0 is not reached from 0.1 in steps of 0.4.
    assert set(values_over(Float("x", 0.1, 1, step=0.4), 99)) == {0.1, 0.5, 0.9}


def test_integers_on_a_log_scale_have_the_mass_of_their_cells() -> None:
    counts = Counter(values_over(Integer("n", 1, 20, scale=LOG), 10_000))
    for n in range(1, 21):
        mass = math.log((n + 0.5) / (n - 0.5)) / math.log(20.5 / 0.5)
        assert counts[n] == pytest.approx(10_000 * mass, abs=1.01)


@pytest.mark.parametrize(
    ("parameter", "law"),
    [
        (Float("x", -1, 3), stats.uniform(-1, 4)),
        (Float("x", 1e-5, 1e-1, scale=LOG), stats.loguniform(1e-5, 1e-1)),
        (
            Float("x", -1, 2.5, distribution=NORMAL, mean=1, deviation=1),
            stats.truncnorm(-2, 1.5, 1),
        ),
        (
            Float("x", distribution=NORMAL, mean=-3, deviation=0.1),
            stats.truncnorm(-4, 4, -3, 0.1),
        ),
        (
            Float("x", 0, 1, distribution=NORMAL, mean=0.9, deviation=0.05),
            stats.truncnorm(-4, 2, 0.9, 0.05),
        ),
    ],
)
def test_the_axis_is_the_cdf(parameter: Float, law: stats.distributions.rv_frozen) -> None:
    space = Space((parameter,))
    for u in (0.001, 0.1, 0.5, 0.77, 0.999):
        x = space.sample([u])["x"]
        assert x == pytest.approx(law.ppf(u), rel=1e-9)
        assert space.encode({"x": x})[0] == pytest.approx(law.cdf(x), abs=1e-12)


def test_a_log_normal_is_normal_in_the_logarithm() -> None:
    bounded = Float("x", 0, math.exp(2), distribution=LOG_NORMAL, mean=1, deviation=0.5)
    law = stats.truncnorm(-4, 2, 1, 0.5)
    for u in (0.001, 0.3, 0.999):
        assert Space((bounded,)).sample([u])["x"] == pytest.approx(math.exp(law.ppf(u)), rel=1e-9)


def test_normal_integers_and_steps_have_the_mass_of_their_cells() -> None:
    integer = Integer("n", distribution=NORMAL, mean=0.3, deviation=1.5)
    stepped = Float("n", -9, 9, distribution=NORMAL, mean=0.3, deviation=1.5, step=1)
    law = stats.norm(0.3, 1.5)
    for parameter in (integer, stepped):
        counts = Counter(values_over(parameter, 10_000))
        assert counts.total() == 10_000
        for n in range(-2, 4):
            mass = law.cdf(n + 0.5) - law.cdf(n - 0.5)
            assert counts[n] == pytest.approx(10_000 * mass, abs=3)
    assert isinstance(values_over(integer, 1)[0], int)
    assert isinstance(values_over(stepped, 1)[0], float)


@pytest.mark.parametrize("kind", [Categorical, Ordinal])
def test_weights_are_normalized_and_zero_is_never_drawn(kind: type[Ordinal]) -> None:
    parameter = kind("c", ("never", "a", "b", "nor"), weights=(0, 3, 1, 0))
    assert Counter(values_over(parameter, 400)) == {"a": 300, "b": 100}
    space = Space((parameter,))
    assert space.sample([0.0]) == {"c": "a"}
    assert space.sample([1 - 2**-53]) == {"c": "b"}
    rng = np.random.default_rng(0)
    drawn = {space.decode(rng.random(space.dimension))["c"] for _ in range(50)}
    assert drawn == {"a", "b"}
    assert space.complete({"c": "never"}, [0.5]) == {"c": "never"}


def test_ordinals_lie_in_order_on_one_axis() -> None:
    space = Space((Ordinal("size", ("s", "m", "l")),))
    places = space.encode_many([{"size": "s"}, {"size": "m"}, {"size": "l"}])
    np.testing.assert_allclose(places, [[1 / 6], [1 / 2], [5 / 6]])


def test_bounds_far_out_do_not_become_the_faces_of_the_cube() -> None:
    momentum = Space(DESIGN.parameters[4:])
    assert momentum.decode([0.0])["momentum"] == pytest.approx(0.7)
    assert momentum.decode([1.0])["momentum"] == 1.0
    momentum.validate_point({"momentum": 0.1})  # declared, so a user may give it


# --- Conditions ----------------------------------------------------------------------------------


def test_an_inactive_parent_makes_its_child_inactive() -> None:
    space = Space(
        (
            Integer("grandchild", 1, 3, when={"child": ("x",)}),
            Categorical("child", ("x", "y"), when={"root": (True,)}),
            Categorical("root", (True, 1)),
        )
    )
    assert space.sample([0.5, 0.1, 0.1]) == {"grandchild": 2, "child": "x", "root": True}
    assert space.sample([0.5, 0.9, 0.1]) == {"child": "y", "root": True}
    assert space.sample([0.5, 0.1, 0.9]) == {"root": 1}  # 1 is not true


def test_all_conditions_must_hold() -> None:
    space = Space(
        (
            Integer("n", 1, 2),
            Constant("k", 1),
            Categorical("c", ("a", "b")),
            Integer("m", 1, 2, when={"n": (2,), "c": ("a",), "k": (1.0,)}),
        )
    )
    active = {(u, v): "m" in space.sample([u, 0, v, 0]) for u in (0, 0.9) for v in (0, 0.9)}
    assert active == {(0, 0): False, (0, 0.9): False, (0.9, 0): True, (0.9, 0.9): False}


# --- Given points --------------------------------------------------------------------------------


def test_complete_keeps_what_is_given_and_drops_what_is_inactive() -> None:
    given = {"layers": 1.0, "dropout": 0.2, "learning_rate": 0.01}
    point = DESIGN.complete(given, [0.5] * 5)
    assert list(point) == ["learning_rate", "layers", "activation", "momentum"]
    assert point["learning_rate"] == 0.01
    assert point["layers"] == 1 and isinstance(point["layers"], int)
    assert point["activation"] == "relu"
    noisy = DESIGN.complete({"layers": 2, "dropout": 0.1 + 0.2}, [0.5] * 5)
    assert noisy["dropout"] == 0.3


@settings(max_examples=50)
@given(samples(), st.data())
def test_complete_of_a_sample_is_the_sample(
    made: tuple[Space, dict[str, Value]], data: st.DataObject
) -> None:
    space, point = made
    n = len(space.parameters)
    other = data.draw(st.lists(units, min_size=n, max_size=n))
    assert space.complete(point, other) == point
    assert space.sample(other) == space.complete({}, other)


def test_a_space_survives_pickling_and_compares_by_its_parameters() -> None:
    again = pickle.loads(pickle.dumps(DESIGN))
    assert again == DESIGN and hash(again) == hash(DESIGN)
    assert again.sample([0.3] * 5) == DESIGN.sample([0.3] * 5)
    assert Space(DESIGN.parameters[:1]) != DESIGN


@pytest.mark.parametrize(
    ("parameter", "value", "expected"),
    [
        (Float("p", 0, 2), 0.5, (0.25, 0.25)),
        (Integer("p", 1, 4), 3, (0.5, 0.75)),
        (Float("p", 0, 1, step=0.25), 1.0, (0.8, 1.0)),
        (Ordinal("p", ("s", "m", "l"), weights=(1, 1, 2)), "l", (0.5, 1.0)),
    ],
)
def test_a_cell_is_what_decodes_to_the_value(
    parameter: Parameter, value: Value, expected: tuple[float, float]
) -> None:
    space = Space((parameter,))
    low, high = space.cell("p", value)
    assert (low, high) == pytest.approx(expected)
    for place in np.linspace(low, high, 7)[1:-1].tolist():
        assert space.decode_block("p", [place]) == pytest.approx(value)


def test_only_a_numeric_axis_has_cells() -> None:
    with pytest.raises(ValueError, match="c has no numeric axis"):
        Space((Categorical("c", ("a", "b")),)).cell("c", "a")


def test_a_block_is_decoded_whether_its_parameter_is_active_or_not() -> None:
    space = Space((Constant("c", 1), Float("x", 0, 4, when={"c": (1,)})))
    assert space.decode_block("x", [0.25]) == 1.0
    assert space.decode_block("x", [7.0]) == 4.0
    assert space.decode_block("c", []) == 1
