"""Each mistake in a space is refused at its field, with the value and the mend."""

import math
from typing import Any

import pytest

from hyperband.core.errors import InvalidStudyError
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


def normal(**fields: Any) -> Float:
    return Float("x", **{"distribution": NORMAL, "mean": 0, "deviation": 1, **fields})


def log_normal(**fields: Any) -> Float:
    return normal(**{"distribution": LOG_NORMAL, **fields})


@pytest.mark.parametrize(
    ("parameter", "field", "value", "mend"),
    [
        (Float("x", 2, 1), "min", "2 is above max 1", "exchange"),
        (Float("x", 1, 1), "min", "1 is also max", "Constant"),
        (Integer("x", 3, 3), "min", "3 is also max", "Constant"),
        (Float("x", max=1), "min", "is missing", "needs min and max"),
        (Integer("x", 1), "max", "is missing", "needs min and max"),
        (Float("x", 0, 1, scale=LOG), "min", "0 has no logarithm", "min above 0"),
        (Integer("x", 0, 9, scale=LOG), "min", "0 has no logarithm", "min above 0"),
        (Float("x", math.nan, 1), "min", "NaN", "finite number: give one"),
        (Float("x", 0, math.inf), "max", "Infinity", "finite number: give one"),
        (Float("x", True, 2), "min", "true", "finite number: give one"),
        (Float("x", "0", 2), "min", '"0"', "finite number: give one"),
        (Integer("x", 0, 10**400), "max", "10000", "finite number: give one"),
        (Integer("x", 0.5, 2), "min", "0.5 is not an integer", "Float"),
        (Float("x", -1.7e308, 1.7e308), "max", "1.7e+308 is too far", "narrow"),
        (Float("x", 0, 1, step=0), "step", "0 is not above 0", "positive step"),
        (Float("x", 0, 1, step=-0.1), "step", "-0.1 is not above 0", "positive step"),
        (Float("x", 0, 1, step=2), "step", "2 is larger than the range", "at most 1.0"),
        (Integer("x", 1, 4, step=9), "step", "9 is larger than the range", "at most 3"),
        (Float("x", 1, 9, step=1, scale=LOG), "step", "1 does not go with", "leave it out"),
        (Float("x", 0, 1, step=1e-20), "step", "1e-20", "larger step"),
        (Float("x", -1.7e308, 5e306, step=1.7e308), "step", "beyond what a float", "smaller step"),
        (Integer("x", 0, 2**40), "max", "1099511627776", "larger step"),
        (Float("x", 0, 1, mean=0.5), "mean", "0.5 means nothing", "leave it out"),
        (Float("x", 0, 1, deviation=0.5), "deviation", "0.5 means nothing", "leave it out"),
        (normal(deviation=0), "deviation", "0 is not above 0", "positive deviation"),
        (normal(deviation=-1), "deviation", "-1 is not above 0", "positive deviation"),
        (normal(mean=None), "mean", "is missing", "needs mean and deviation"),
        (normal(deviation=None), "deviation", "is missing", "needs mean and deviation"),
        (normal(scale=LOG), "scale", "Log does not go with a Normal", "LogNormal"),
        (normal(step=0.1), "min", "is missing", "steps of 0.1 are counted from min"),
        (normal(min=-1, step=9), "step", "9 leaves", "smaller step"),
        (normal(min=5, max=9), "min", "5 leaves practically nothing", "move the bounds"),
        (normal(min=5), "min", "5 leaves practically nothing", "move the bounds"),
        (normal(max=-5), "max", "-5 leaves practically nothing", "move the bounds"),
        (normal(min=0, max=1e-9), "min", "0 leaves practically nothing", "move the bounds"),
        (
            Integer("x", distribution=NORMAL, mean=3, deviation=0.1),
            "deviation",
            "0.1 leaves a single value",
            "larger deviation",
        ),
        (log_normal(min=-1), "min", "-1 is below 0", "0 or more"),
        (log_normal(max=0), "max", "0 is not above 0", "larger one"),
        (log_normal(mean=1000), "mean", "1000", "natural logarithm"),
        (log_normal(mean=-1000), "mean", "-1000", "natural logarithm"),
        (Categorical("x", ()), "values", "[]", "at least one"),
        (Ordinal("x", (1, 2, 1.0)), "values[2]", "1.0 is also values[0]", "remove one"),
        (Categorical("x", (None,)), "values[0]", "null", "replace"),
        (Categorical("x", (math.nan,)), "values[0]", "NaN", "replace"),
        (Categorical("x", ("a", "b"), (1.0,)), "weights", "1 weights for 2 values", "each"),
        (Categorical("x", ("a", "b"), (1, -1)), "weights[1]", "-1", "0 or more"),
        (Categorical("x", ("a", "b"), (1, math.nan)), "weights[1]", "NaN", "0 or more"),
        (Ordinal("x", ("a", "b"), (0, 0)), "weights", "are 0", "positive weight"),
        (Constant("x", math.inf), "value", "Infinity", "replace"),
        (Constant("x", "a\0"), "value", "has a NUL", "remove it"),
    ],
)
def test_a_parameter_that_cannot_be(
    parameter: Parameter, field: str, value: str, mend: str
) -> None:
    with pytest.raises(InvalidStudyError) as raised:
        Space((Constant("first", 0), parameter))
    assert raised.value.field == f"spec.parameters[1].{field}"
    assert value in raised.value.problem
    assert mend in raised.value.problem


LAYERS = Integer("layers", 1, 5, step=2)
ACTIVATION = Categorical("activation", (True, "relu"))


def child(**when: Any) -> Float:
    return Float("x", 0, 1, when=when)


@pytest.mark.parametrize(
    ("parameters", "field", "value", "mend"),
    [
        ((), "", "no parameters", "at least one"),
        ((Constant("", 1),), "[0].name", '""', "give the parameter a name"),
        ((LAYERS, Float("layers", 0, 1)), "[1].name", '"layers" is also', "rename"),
        (
            (Float("a-b", 0, 1), Float("A.b", 0, 1)),
            "[1].name",
            '"A.b" and "a-b" would both be the environment variable HYPERBAND_PARAM_A_B',
            "rename",
        ),
        ((LAYERS, child(layer=(1,))), "[1].when.layer", '"layer"', "use one of layers, x"),
        ((Float("y", 0, 1), child(y=(0.5,))), "[1].when.y", '"y" is a Float', "use an Integer"),
        ((LAYERS, child(layers=())), "[1].when.layers", "[]", "list the values"),
        ((LAYERS, child(layers=(3, 7))), "[1].when.layers", "7 is outside 1 … 5", "stay inside"),
        ((LAYERS, child(layers=(2,))), "[1].when.layers", "never be 2", "use 1 or 3"),
        ((ACTIVATION, child(activation=(1,))), "[1].when.activation", "1", 'true, "relu"'),
        ((Constant("k", 1), child(k=("1",))), "[1].when.k", 'never be "1"', "use one of 1"),
        (
            (
                LAYERS,
                Integer("a", 1, 2, when={"c": (1,)}),
                Integer("b", 1, 2, when={"a": (1,)}),
                Integer("c", 1, 2, when={"b": (1,)}),
            ),
            "[1].when",
            "-> a",
            "remove one",
        ),
        ((Integer("a", 1, 2, when={"a": (1,)}),), "[0].when", "a -> a", "remove one"),
    ],
)
def test_parameters_that_do_not_fit_together(
    parameters: tuple[Parameter, ...], field: str, value: str, mend: str
) -> None:
    with pytest.raises(InvalidStudyError) as raised:
        Space(parameters)
    assert raised.value.field == f"spec.parameters{field}"
    assert value in raised.value.problem
    assert mend in raised.value.problem


def test_a_cycle_is_told_from_child_to_parent() -> None:
    b = Integer("b", 1, 2, when={"a": (1,)})
    c = Integer("c", 1, 2, when={"b": (1,)})
    with pytest.raises(InvalidStudyError, match=r"a -> c -> b -> a|c -> b -> a -> c|b -> a -> c"):
        Space((Integer("a", 1, 2, when={"c": (1,)}), b, c))


POINTS = Space(
    (
        LAYERS,
        ACTIVATION,
        Float("dropout", 0, 0.6, step=0.1, when={"layers": (3,)}),
        Float("rate", 1e-5, 0.1, scale=LOG),
        log_normal(),
    )
)


@pytest.mark.parametrize(
    ("point", "name", "value", "mend"),
    [
        ({"layer": 1}, "layer", '"layer"', "use one of layers, activation"),
        ({"layers": 6}, "layers", "6 is outside 1 … 5", "stay inside"),
        ({"layers": 2}, "layers", "2 is not 1 plus a multiple of 2", "use 1 or 3"),
        ({"layers": True}, "layers", "true", "finite number"),
        ({"layers": "3"}, "layers", '"3"', "finite number"),
        ({"dropout": 0.25}, "dropout", "0.25", "use 0.2 or 0.3"),
        ({"dropout": 0.7}, "dropout", "0.7 is outside 0.0 … 0.6", "stay inside"),
        ({"dropout": 1e308}, "dropout", "1e+308 is outside 0.0 … 0.6", "stay inside"),
        ({"rate": 1}, "rate", "1 is outside 1e-05 … 0.1", "stay inside"),
        ({"rate": math.nan}, "rate", "NaN", "finite number"),
        ({"rate": None}, "rate", "null", "finite number"),
        ({"x": -1}, "x", "-1 is outside 0 … inf", "stay inside"),
        ({"activation": 1}, "activation", "1 is not among", 'use one of true, "relu"'),
        ({"activation": ["relu"]}, "activation", '["relu"]', "use one of"),
    ],
)
def test_a_given_point_that_cannot_be(
    point: dict[str, Value], name: str, value: str, mend: str
) -> None:
    with pytest.raises(InvalidStudyError) as raised:
        POINTS.validate_point(point, field="spec.initialParameters[3]")
    assert raised.value.field == f"spec.initialParameters[3].{name}"
    assert value in raised.value.problem
    assert mend in raised.value.problem
    with pytest.raises(InvalidStudyError):
        POINTS.complete(point, [0.5] * 5)


def test_a_fraction_is_no_integer() -> None:
    space = Space((Integer("units", 1, 8),))
    with pytest.raises(InvalidStudyError, match=r"p\.units: 2\.5 is not a whole number: use 2 or"):
        space.validate_point({"units": 2.5}, field="p")


def test_a_full_point_has_exactly_the_active_parameters() -> None:
    full: dict[str, Value] = {"layers": 1, "activation": True, "rate": 0.1, "x": 2}
    POINTS.validate_point(full, partial=False)
    POINTS.validate_point({**full, "dropout": 0.1})
    with pytest.raises(InvalidStudyError, match=r"p\.dropout: 0\.1 has no effect.*leave it out"):
        POINTS.validate_point({**full, "dropout": 0.1}, partial=False, field="p")
    with pytest.raises(InvalidStudyError, match=r"p\.dropout: is missing: give it a value"):
        POINTS.validate_point({**full, "layers": 3}, partial=False, field="p")
    del full["rate"]
    POINTS.validate_point(full)
    with pytest.raises(InvalidStudyError, match=r"p\.rate: is missing"):
        POINTS.validate_point(full, partial=False, field="p")
