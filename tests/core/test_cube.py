"""Places of a space in arrays are those that the space gives one at a time."""

import numpy as np
import pytest

from hyperband.core.cube import Cube
from hyperband.core.space import (
    Categorical,
    Constant,
    Distribution,
    Float,
    Integer,
    Ordinal,
    Scale,
    Space,
)

MIXED = Space(
    (
        Float("rate", 1e-5, 1e-1, scale=Scale.LOG),
        Categorical("kind", ("a", "b", "c"), weights=(0.6, 0.4, 0.0)),
        Integer("layers", 1, 4, when={"kind": ("a",)}),
        Float("dropout", 0.0, 0.6, step=0.1, when={"layers": (2, 3)}),
        Ordinal("batch", (32, 64, 128), weights=(1.0, 0.0, 3.0)),
        Integer("width", distribution=Distribution.LOG_NORMAL, mean=4.0, deviation=1.0),
        Constant("epsilon", 1e-8),
        Categorical("late", (1, 2), when={"epsilon": (1e-8,), "batch": (128,)}),
    )
)
FINE = Space((Integer("seed", 0, 10**9), Float("x", 0, 1, step=1e-7)))


@pytest.mark.parametrize("space", [MIXED, FINE, Space((Constant("only", 1),))])
def test_places_are_those_of_the_space(space: Space) -> None:
    cube = Cube(space)
    uniforms = np.random.default_rng(0).random((300, len(space.parameters)))
    expected = space.encode_many([space.sample(row) for row in uniforms])
    np.testing.assert_allclose(cube.place(uniforms), expected, atol=6e-8)  # half a cell of FINE


def test_a_draw_has_values_for_inactive_parameters_too() -> None:
    cube = Cube(MIXED)
    uniforms = np.random.default_rng(0).random((300, len(MIXED.parameters)))
    drawn, places = cube.draw(uniforms), cube.place(uniforms)
    active = cube.active(places)
    for i, own in enumerate(cube.slices):
        np.testing.assert_array_equal(drawn[active[:, i], own], places[active[:, i], own])
    late = drawn[~active[:, -1], cube.slices[-1]]
    np.testing.assert_array_equal(late.sum(axis=1), 1.0)
    assert late[:, 0].mean() == pytest.approx(0.5, abs=0.1)


def test_snapping_is_decoding_and_encoding() -> None:
    cube = Cube(MIXED)
    places = np.random.default_rng(0).random((300, MIXED.dimension))
    expected = MIXED.encode_many([MIXED.decode(row) for row in places])
    snapped = cube.snap(places)
    np.testing.assert_allclose(snapped, expected, atol=1e-12)
    np.testing.assert_array_equal(cube.snap(snapped), snapped)


def test_activity_is_that_of_the_configurations() -> None:
    cube = Cube(MIXED)
    places = cube.place(np.random.default_rng(1).random((300, len(MIXED.parameters))))
    active = cube.active(places)
    for place, flags in zip(places, active, strict=True):
        decoded = MIXED.decode(place)
        assert [name in decoded for name in cube.names] == flags.tolist()
    assert 0 < active[:, 3].sum() < 300
