"""What an earlier study's trials are to a new one."""

from typing import Any

import pytest

from hyperband.api.study import parse_study
from hyperband.api.warm_start import Misfit, check_comparable, find, inherit, translate
from hyperband.core.errors import InvalidStudyError
from hyperband.core.records import EarlierTrial
from hyperband.core.space import Categorical, Constant, Float, Integer, Ordinal, Space
from tests.api.test_trial import Body, Meta
from tests.studies import changed, good_study

SPACE = Space(
    (
        Float("rate", min=0.01, max=0.1),
        Integer("layers", min=1, max=3),
        Float("dropout", min=0.0, max=0.5, when={"layers": (2, 3)}),
        Constant("data", "v2"),
    )
)


@pytest.mark.parametrize(
    ("earlier", "here"),
    [
        # As it was, with the types and the order of this space; JSON has 1.0 as 1.
        (
            {"data": "v2", "dropout": 0, "layers": 2, "rate": 0.1},
            {"rate": 0.1, "layers": 2, "dropout": 0.0, "data": "v2"},
        ),
        # A constant that the earlier study did not have.
        ({"rate": 0.1, "layers": 1}, {"rate": 0.1, "layers": 1, "data": "v2"}),
        # A parameter that is not varied any more, and one that a condition makes inactive.
        (
            {"rate": 0.1, "layers": 1, "dropout": 0.2, "momentum": 0.9},
            {"rate": 0.1, "layers": 1, "data": "v2"},
        ),
    ],
)
def test_a_configuration_of_another_space(earlier: dict[str, Any], here: dict[str, Any]) -> None:
    assert repr(translate(earlier, SPACE)) == repr(here)


@pytest.mark.parametrize(
    ("earlier", "why"),
    [
        ({"rate": 0.2, "layers": 1}, "with rate outside of 0.01 … 0.1"),
        ({"rate": "0.1", "layers": 1}, "with rate outside of 0.01 … 0.1"),  # another type
        ({"rate": 0.1, "layers": 7}, "with layers outside of 1 … 3"),
        ({"rate": 0.1, "layers": 1, "data": "v1"}, 'with data outside of "v2"'),
        ({"rate": 0.1}, "without layers"),  # which number it was, nobody knows
        ({"rate": 0.1, "layers": 2}, "without dropout"),  # nor which dropout
        ({"rate": 0.2}, "with rate outside of 0.01 … 0.1"),  # said once
    ],
)
def test_a_configuration_that_is_none_of_this_space(earlier: dict[str, Any], why: str) -> None:
    misfit = translate(earlier, SPACE)
    assert isinstance(misfit, Misfit)
    assert str(misfit) == why


def test_values_between_steps_and_long_lists_of_choices_are_named_shortly() -> None:
    space = Space((Float("d", min=0, max=0.5, step=0.1), Ordinal("o", tuple(range(100)))))
    assert str(translate({"d": 0.25, "o": 1}, space)) == "with d outside of 0, 0.1 … 0.5"
    assert str(translate({"d": 0.1, "o": 100}, space)) == "with o outside of 0, 1, 2, 3, 4, …"


def test_values_are_told_apart_as_in_yaml() -> None:
    space = Space((Categorical("c", (1, "1", True)), Ordinal("o", (2.0, 4.0))))
    assert repr(translate({"c": True, "o": 4}, space)) == "{'c': True, 'o': 4.0}"
    assert repr(translate({"c": "1", "o": 2}, space)) == "{'c': '1', 'o': 2.0}"
    assert str(translate({"c": 1, "o": True}, space)) == "with o outside of 2.0, 4.0"


def item(index: int, x: float, *values: float) -> Body:
    rungs = [
        {"level": k, "resource": 3**k, "value": value, "sequence": 10 * index + k}
        for k, value in enumerate(values)
    ]
    return Body(Meta(f"old-{index}"), {"index": index, "parameters": {"x": x}}, {"rungs": rungs})


UNIT = Space((Float("x", min=0.0, max=1.0),))


def test_trials_without_a_value_are_not_counted_and_others_named() -> None:
    items = [item(2, 0.2, 0.5), item(0, 0.1, 0.6, 0.4), item(1, 9.0, 0.1), item(3, 0.3)]
    found = [*find("old", items[:2], UNIT), *find("old", items[2:], UNIT)]
    inherited = inherit("old", "4711", found, most=100)
    assert inherited.trials == (
        EarlierTrial("old", {"x": 0.1}, ((1.0, 0.6), (3.0, 0.4))),
        EarlierTrial("old", {"x": 0.2}, ((1.0, 0.5),)),
    )
    assert inherited.values == 3
    assert inherited.message == (
        "2 of 3 trials with values are taken over; left out: 1 with x outside of 0 … 1"
    )
    best_only = inherit("old", "4711", found, most=100, learns=False)
    assert best_only.trials == inherited.trials
    assert best_only.message == (
        "2 of 3 trials with values are taken over; the searcher tries the best of them and learns "
        "nothing from the others; left out: 1 with x outside of 0 … 1"
    )


def test_why_trials_are_left_out_is_counted_by_parameter_and_bounded() -> None:
    space = Space(tuple(Float(name, min=0.0, max=1.0) for name in "xabcd"))
    rest = dict.fromkeys("abcd", 0.5)
    given = [{"x": 0.5}] * 4 + [{"x": 2.0}] * 3 + [{"x": 0.5, "a": 0.5}] * 2 + [{"x": 0, **rest}]
    given += [{"x": 0.5, **rest, "c": 2.0}, {"x": 0.5, **rest, "d": 2.0}]
    items = [item(index, 0.0, 0.5) for index in range(len(given))]
    for body, parameters in zip(items, given, strict=True):
        body.spec["parameters"] = parameters
    inherited = inherit("old", "4711", find("old", items, space), most=100)
    assert inherited.message == (
        "1 of 12 trials with values are taken over; left out: 4 without a, "
        "3 with x outside of 0 … 1, 2 without b, 2 for other reasons"
    )


def test_a_value_that_stands_at_two_rungs_is_one() -> None:
    skipped = item(0, 0.1, 0.5, 0.5)
    for value in skipped.status["rungs"]:
        value["resource"] = 4
    (found,) = find("old", [skipped], UNIT)
    assert found.trial == EarlierTrial("old", {"x": 0.1}, ((4.0, 0.5),))


def test_of_a_huge_study_the_furthest_trials_are_taken() -> None:
    items = [item(i, i / 100, *[0.5] * (3 if i % 10 == 0 else 1)) for i in range(100)]
    found = find("old", reversed(items), UNIT)
    inherited = inherit("old", "4711", found, most=35)
    assert inherited.values == 35
    indices = [round(100 * float(t.parameters["x"])) for t in inherited.trials]
    assert indices == [0, 1, 2, 3, 4, 5, 10, *range(20, 100, 10)]
    assert inherited.message.endswith("more than are needed: 85")
    assert inherit("old", "4711", find("old", items, UNIT), most=35) == inherited


def test_the_furthest_are_those_with_the_most_resource() -> None:
    """A trial of a bracket that starts late has one value, and may have come further."""
    items = [item(k, k / 10, 0.5, 0.4) for k in range(5)] + [item(k, k / 10, 0.3) for k in (5, 6)]
    for late in items[5:]:
        late.status["rungs"][0]["resource"] = 81
    inherited = inherit("old", "4711", find("old", items, UNIT), most=4)
    assert [t.parameters["x"] for t in inherited.trials] == [0.0, 0.5, 0.6]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"spec.objective.metric": "loss"}, 'old has the metric "loss", this study "val_loss"'),
        ({"spec.objective.goal": "Maximize"}, 'the goal "Maximize", this study "Minimize"'),
        ({"spec.resource.name": "steps"}, 'the resource "steps", this study "epochs"'),
    ],
)
def test_studies_that_cannot_be_compared(change: dict[str, Any], says: str) -> None:
    study = parse_study(changed(good_study(), {"spec.warmStart": {"fromStudies": ["a", "old"]}}))
    check_comparable(study, 0, changed(good_study("a"), {"spec.resource.max": 9}))
    with pytest.raises(InvalidStudyError, match=says) as caught:
        check_comparable(study, 1, changed(good_study("old"), change))
    assert caught.value.field == "spec.warmStart.fromStudies[1]"
