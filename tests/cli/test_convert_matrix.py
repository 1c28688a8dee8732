"""Polyaxon's matrix: what each kind allows there, by numpy and scipy, and here."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hyperband.cli.converting.matrix import KINDS
from hyperband.cli.converting.polyaxon import convert_polyaxon
from hyperband.cli.converting.source import Note
from hyperband.core.axes import Axis, axis
from hyperband.core.errors import InvalidStudyError
from hyperband.core.space import Parameter, Value
from tests.cli.converting import group, read_back

DRAWS = 20_001
Q = math.exp(4)


def converted(kind: str, value: Any) -> tuple[Parameter, list[Note]]:
    """The parameter, as the operator reads it, and what was noted of it."""
    made = convert_polyaxon(group({"x": {kind: value}}), "study")
    (parameter,) = read_back(made).study.space.parameters
    return parameter, [note for note in made.notes if ".x" in note.field]


def values(of: Axis) -> list[Value]:
    """What quantiles of all sizes give, each once, in order."""
    found = {of.quantile(u) for u in np.linspace(0, 1, DRAWS)}
    return sorted(found)


# Kind, as it is written, what it allows, our type; in all three ways of writing it.
LISTS = [
    ("values", [3, 1, 2], [1, 2, 3], "Ordinal"),
    ("values", ["a", "b"], ["a", "b"], "Categorical"),
    ("values", [True, False], [False, True], "Categorical"),
    ("values", [5], [5], "Constant"),
    ("pvalues", [["a", 0.25], ["b", 0.75]], ["a", "b"], "Categorical"),
    ("pvalues", [[16, 0.5], [8, 0.5]], [8, 16], "Ordinal"),
    ("range", [1, 10, 2], np.arange(1, 10, 2), "Integer"),
    ("range", "0:1:0.25", np.arange(0, 1, 0.25), "Float"),
    ("range", {"start": 0.1, "stop": 0.65, "step": 0.1}, np.arange(0.1, 0.65, 0.1), "Float"),
    ("range", [1, 2, 5], [1], "Constant"),
    ("linspace", [1, 10, 5], np.linspace(1, 10, 5), "Ordinal"),
    ("linspace", "0:1:4", np.linspace(0, 1, 4), "Ordinal"),
    ("linspace", [2, 3, 1], [2], "Constant"),
    ("logspace", "-4:-1:4", np.logspace(-4, -1, 4), "Ordinal"),
    ("logspace", [0.01, 0.1, 5], np.logspace(0.01, 0.1, 5), "Ordinal"),
    (
        "logspace",
        {"start": 0, "stop": 5, "num": 6, "base": 2},
        np.logspace(0, 5, 6, base=2),
        "Ordinal",
    ),
    ("geomspace", [1, 256, 9], np.geomspace(1, 256, 9), "Ordinal"),
    ("geomspace", {"start": 0.001, "stop": 1, "num": 4}, np.geomspace(0.001, 1, 4), "Ordinal"),
]


@pytest.mark.parametrize(("kind", "value", "expected", "ours"), LISTS)
def test_lists_and_ranges_have_the_same_values(
    kind: str, value: Any, expected: Any, ours: str
) -> None:
    parameter, notes = converted(kind, value)
    assert type(parameter).__name__ == ours
    found = values(axis(parameter))
    if isinstance(found[0], str | bool):
        assert found == expected
    else:
        assert found == pytest.approx(list(expected), rel=1e-9)
    assert notes == []


# Kind, as it is written, the distribution by scipy.
LAWS = [
    ("uniform", [0, 0.9], stats.uniform(0, 0.9)),
    ("uniform", {"low": -1, "high": 3, "size": None}, stats.uniform(-1, 4)),
    ("loguniform", [-9, 0], stats.loguniform(math.exp(-9), 1)),
    ("normal", [2, 0.5], stats.truncnorm(-4, 4, 2, 0.5)),
    ("lognormal", [-3, 1], None),
]


@pytest.mark.parametrize(("kind", "value", "law"), LAWS)
def test_distributions_have_the_same_quantiles(kind: str, value: Any, law: Any) -> None:
    parameter, notes = converted(kind, value)
    ours = axis(parameter)
    for u in (0.0, 0.01, 0.25, 0.5, 0.9, 1.0):
        if law is None:  # the exponential of a normal
            expected = math.exp(float(stats.truncnorm(-4, 4, *value).ppf(u)))
        else:
            expected = float(law.ppf(u))
        assert ours.quantile(u) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert len(notes) == (kind != "uniform")


# Kind, as it is written, the distribution before rounding, its bounds.
QUANTIZED = [
    ("quniform", [0, 10, 2], stats.uniform(-1, 12), "Integer"),  # cells of full width at the ends
    ("quniform", "0:1:0.25", stats.uniform(-0.125, 1.25), "Float"),
    ("qloguniform", [0, 4, 1], stats.loguniform(1, Q), "Ordinal"),
    ("qloguniform", [0, 8, 1], stats.loguniform(0.5, round(Q**2) + 0.5), "Integer"),
    ("qloguniform", [0, 4, 5], stats.loguniform(1, Q), "Ordinal"),
    ("qnormal", [10, 3, 1], stats.truncnorm(-4, 4, 10, 3), "Integer"),
    ("qnormal", [0, 1, 0.5], stats.truncnorm(-4, 4, 0, 1), "Float"),
    ("qlognormal", [2, 0.5, 1], stats.lognorm(0.5, scale=math.exp(2)), "Integer"),
    ("qlognormal", [0, 0.5, 0.5], stats.lognorm(0.5), "Float"),
]


@pytest.mark.parametrize(("kind", "value", "law", "ours"), QUANTIZED)
def test_quantized_ones_have_the_same_shares(kind: str, value: Any, law: Any, ours: str) -> None:
    """The share of each multiple k of q is what lies between k - q/2 and k + q/2."""
    parameter, _ = converted(kind, value)
    assert type(parameter).__name__ == ours
    q = float(value.split(":")[2] if isinstance(value, str) else value[2])
    laid_out = axis(parameter)
    drawn = [laid_out.quantile(u) for u in (np.arange(DRAWS) + 0.5) / DRAWS]
    for each in set(drawn):
        assert each / q == pytest.approx(round(each / q))
        share = law.cdf(each + q / 2) - law.cdf(each - q / 2)
        assert drawn.count(each) / DRAWS == pytest.approx(share, abs=0.012), each


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("quniform", [0.3, 1, 0.25], "rounds to multiples of 0.25, which are those from 0.25 to 1"),
        (
            "loguniform",
            [0.001, 0.1],
            "are natural logarithms, as Polyaxon takes them: values from 1.0",
        ),
        ("normal", [0, 1], "has no end; here it ends at 4 deviations, -4 and 4: set min and max"),
        ("qlognormal", [0, 1, 1], "here it ends at 4 deviations, 0.0183156 and 54.5982"),
        (
            "linspace",
            [0, 1, 500],
            "are 500 values, and a list may have 256: it is any number from 0 to 1",
        ),
        ("logspace", [-3, 0, 500], "it is any number from 0.001 to 1; thin it out"),
        ("geomspace", [1, 8, 500], "it is any number from 1 to 8; thin it out"),
        ("qloguniform", [0, 9, 2], "has more than 256 multiples of 2 on a logarithmic scale"),
        (
            "values",
            [[64, 32], None],
            "[64, 32] is no string, number or boolean: it is given as JSON",
        ),
        (
            "pvalues",
            [["a", 0.3], ["b", 0.3]],
            'sum to 0.6, not to 1: normalized to "a" 0.5, "b" 0.5',
        ),
    ],
)
def test_what_is_not_the_same_is_noted(kind: str, value: Any, said: str) -> None:
    _, notes = converted(kind, value)
    assert {note.field for note in notes} == {f"hptuning.matrix.x.{kind}"}
    assert any(said in note.said for note in notes)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({}, "has nothing: give one of values, pvalues, range, linspace"),
        ({"values": [1], "range": [1, 2, 1]}, "has values, range: give one of values"),
        ({"chosen": [1]}, "has chosen: give one of values"),
        ({"values": 3}, "3 is no list: list the values"),
        ({"values": []}, "lists nothing: list at least one value"),
        ({"values": list(range(300))}, "has 300 values: list at most 256, or give a range"),
        ({"pvalues": [["a", 0.7], ["b", 0.7]]}, "sum to 1.4: give probabilities that sum to 1"),
        ({"pvalues": ["a", 1]}, '["a", 1] is not [[value, probability], …]: write that'),
        ({"pvalues": [["a", -0.1]]}, "-0.1 is below 0: give at least 0"),
        ({"range": [1, 5]}, "[1, 5] is not [start, stop, step]: give 3 numbers"),
        ({"range": "1:x:1"}, '"x" is no number: give one'),
        ({"range": [1, 5, 0]}, "step 0 is not above 0: raise it"),
        ({"range": 5}, "5 is not [start, stop, step]: write that"),
        ({"linspace": [1, 5, 2.5]}, "2.5 is no whole number: round it"),
        ({"logspace": [1, 500, 3]}, "10 to the power of 500 is no number that a float can hold"),
        ({"geomspace": [0, 5, 3]}, "start 0 is not above 0: raise it"),
        ({"uniform": [1, 1]}, "low 1 is not below high 1: exchange or change them"),
        ({"loguniform": [0, 900]}, "to the power of 900 is no number"),
        ({"normal": [0, -1]}, "scale -1 is not above 0: raise it"),
        ({"lognormal": [1, 900]}, "reaches e^3601, which no float can hold: give smaller numbers"),
    ],
)
def test_what_polyaxon_would_not_take_is_told(entry: Any, told: str) -> None:
    with pytest.raises(InvalidStudyError) as error:
        convert_polyaxon(group({"x": entry}), "study")
    assert error.value.field.startswith("hptuning.matrix.x")
    assert told in error.value.problem


STEPS = st.decimals("0.01", 50, places=2).map(float)
STARTS = st.decimals(-100, 100, places=2).map(float)


@settings(max_examples=30)
@given(STARTS, STEPS, st.integers(1, 40))
def test_ranges_of_any_step_have_numpys_values(start: float, step: float, count: int) -> None:
    stop = start + (count - 0.5) * step  # between two values: numpy is in no doubt of the last
    parameter, _ = converted("range", [start, stop, step])
    assert values(axis(parameter)) == pytest.approx(list(np.arange(start, stop, step)), abs=1e-9)


@settings(max_examples=30)
@given(STARTS, STEPS, STEPS)
def test_quantized_uniforms_are_multiples_within_half_a_step(
    low: float, width: float, q: float
) -> None:
    parameter, _ = converted("quniform", [low, low + width, q])
    for value in values(axis(parameter)):
        assert isinstance(value, int | float)
        assert value / q == pytest.approx(round(value / q), abs=1e-6)
        assert low - 0.5001 * q <= value <= low + width + 0.5001 * q


NUMBERS = st.one_of(st.integers(-20, 20), st.floats(), st.sampled_from(["1", "x", None, True]))
ENTRIES = st.one_of(
    st.lists(NUMBERS, max_size=5),
    st.lists(st.lists(NUMBERS, max_size=3), max_size=4),
    st.dictionaries(st.sampled_from(["start", "stop", "step", "low", "high", "q"]), NUMBERS),
    st.text("0123456789:.-e", max_size=12),
    NUMBERS,
)


@given(st.sampled_from(list(KINDS)), ENTRIES)
def test_whatever_stands_there_is_read_or_refused(kind: str, value: Any) -> None:
    try:
        made = convert_polyaxon(group({"x": {kind: value}}), "study")
    except InvalidStudyError as error:
        assert error.field.startswith("hptuning.matrix.x")
        assert ": " in error.problem
    else:
        assert [each["name"] for each in made.body["spec"]["parameters"]] == ["x"]
