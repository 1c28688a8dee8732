"""BOHB's search: its levels, its split into good and bad, and what it makes of them."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from hyperband.core.records import EarlierTrial, SearcherOptions, Study, TrialState
from hyperband.core.rungs import Ladder
from hyperband.core.searchers import make_searcher
from hyperband.core.searchers.kernel_density import KernelDensity
from hyperband.core.space import Float, Space, Value
from tests.core.engines import study
from tests.core.search_quality import FULL_RUNS, RUNGS, distances
from tests.core.spaces import FEW, ONLY_CONSTANTS, SPACES
from tests.core.trials import distinct, lived_and_shuffled, random_trials, trial

PLANE = Space((Float("x", 0, 1), Float("y", 0, 1)))
NEVER_RANDOM = SearcherOptions(random_fraction=0.0)
STUDY = study(space=PLANE, searcher="KernelDensity", options=NEVER_RANDOM, max_trials=1000)
LADDER = Ladder(STUDY.resource, STUDY.eta)  # 1, 3, 9


def point(x: float, y: float) -> dict[str, Value]:
    return {"x": x, "y": y}


def told(
    given: Study, points: Sequence[Mapping[str, Value]], losses: Sequence[float]
) -> KernelDensity:
    """A searcher that knows one value at the lowest level for each point."""
    searcher = KernelDensity(given, LADDER)
    for index, (each, loss) in enumerate(zip(points, losses, strict=True)):
        searcher.record(None, trial(index, TrialState.PAUSED, (0, loss, index), parameters=each))
    return searcher


def plane(count: int) -> list[dict[str, Value]]:
    return [point(*map(float, row)) for row in np.random.default_rng(0).random((count, 2))]


def test_without_enough_values_it_is_random_search() -> None:
    random = make_searcher(replace(STUDY, searcher="Random"), LADDER)
    searcher = told(STUDY, plane(4), [1.0, 2.0, 3.0, 4.0])
    assert searcher.suggest(4) == random.suggest(4)
    searcher.record(None, trial(4, TrialState.PAUSED, (0, 5.0, 4), parameters=point(0.5, 0.5)))
    suggestion = searcher.suggest(5)
    assert suggestion.origin == "KernelDensity"
    # N_min = 3: of 5 values, the middle one counts as both.
    detail = {name: suggestion.detail[name] for name in ("level", "good", "bad", "failed")}
    assert detail == {"level": 0, "good": 3, "bad": 3, "failed": 0}
    assert np.isfinite(suggestion.detail["logRatio"])


@pytest.mark.parametrize(
    ("values", "fraction", "good", "bad"),
    [(6, 0.15, 3, 3), (20, 0.15, 3, 17), (40, 0.15, 6, 34), (100, 0.29, 29, 71), (9, 0.9, 8, 3)],
)
def test_a_fraction_is_good_but_no_fewer_than_n_min(
    values: int, fraction: float, good: int, bad: int
) -> None:
    options = replace(NEVER_RANDOM, good_fraction=fraction)
    searcher = told(
        replace(STUDY, options=options), plane(values), [float(k) for k in range(values)]
    )
    detail = searcher.suggest(values).detail
    assert (detail["good"], detail["bad"]) == (good, bad)


def test_the_highest_level_with_enough_values_is_used() -> None:
    searcher = KernelDensity(STUDY, LADDER)
    sequence = itertools.count()
    for index, each in enumerate(plane(12)):
        values = [(k, float(index), next(sequence)) for k in range(2 if index < 5 else 1)]
        searcher.record(None, trial(index, TrialState.PAUSED, *values, parameters=each))
    assert searcher.suggest(12).detail["level"] == 1
    # Values of another bracket, which starts at level 2, count there.
    for index, each in enumerate(plane(5), 12):
        values = [(2, float(index), next(sequence))]
        searcher.record(None, trial(index, TrialState.COMPLETED, *values, parameters=each))
    assert searcher.suggest(17).detail["level"] == 2


def test_it_proposes_what_is_like_the_good_and_unlike_the_bad() -> None:
    points = plane(60)
    losses = [(float(p["x"]) - 0.2) ** 2 + (float(p["y"]) - 0.7) ** 2 for p in points]
    searcher = told(STUDY, points, losses)
    found = np.array([list(searcher.suggest(60 + k).parameters.values()) for k in range(40)])
    assert np.all(np.abs(found - [0.2, 0.7]) < 0.35)
    assert np.all(np.abs(np.mean(found, axis=0) - [0.2, 0.7]) < 0.15)


def test_the_goal_may_be_to_maximize() -> None:
    points = plane(30)
    losses = [float(p["x"]) for p in points]
    small = told(STUDY, points, losses)
    maximize = replace(STUDY, objective=replace(STUDY.objective, goal="Maximize"))
    large = told(maximize, points, [-loss for loss in losses])
    assert [small.suggest(30 + k) for k in range(5)] == [large.suggest(30 + k) for k in range(5)]


def test_failed_trials_are_bad_at_the_level_that_they_were_on_the_way_to() -> None:
    points, losses = plane(40), [0.5] * 40  # nothing to choose by but the failures
    searcher = told(STUDY, points, losses)
    for index in range(40, 80):
        failed = point(0.5 * float(points[index - 40]["x"]), float(points[index - 40]["y"]))
        searcher.record(None, trial(index, TrialState.FAILED, parameters=failed))
    elsewhere = trial(80, TrialState.FAILED, (0, 0.5, 80), parameters=point(0.9, 0.9))
    searcher.record(None, elsewhere)  # on the way to level 1
    suggestions = [searcher.suggest(81 + k) for k in range(20)]
    assert {s.detail["failed"] for s in suggestions} == {40}
    assert {s.detail["good"] + s.detail["bad"] for s in suggestions} == {41}
    assert np.mean([float(s.parameters["x"]) > 0.5 for s in suggestions]) > 0.8


def test_where_all_fail_it_goes_on_as_random_search() -> None:
    searcher = KernelDensity(STUDY, LADDER)
    for index in range(30):
        failed = searcher.suggest(index)
        assert failed.origin == "Random"
        searcher.record(None, trial(index, TrialState.FAILED, parameters=failed.parameters))


def test_a_third_is_drawn_from_the_prior() -> None:
    usual = replace(STUDY, options=SearcherOptions())
    random = make_searcher(replace(STUDY, searcher="Random"), LADDER)
    searcher = told(usual, plane(20), [float(k) for k in range(20)])
    suggestions = {index: searcher.suggest(index) for index in range(20, 320)}
    at_random = {index for index, s in suggestions.items() if s.origin == "Random"}
    assert 80 < len(at_random) < 120
    assert all(suggestions[index] == random.suggest(index) for index in at_random)


@pytest.mark.parametrize("name", SPACES)
def test_it_suggests_the_same_from_records_in_any_order(name: str) -> None:
    space = SPACES[name]
    given = replace(STUDY, space=space, options=SearcherOptions(random_fraction=0.1))
    trials = random_trials(given, 90)
    lived, shuffled = lived_and_shuffled(KernelDensity, given, trials)
    suggestions = [lived.suggest(90 + k) for k in range(8)]
    assert suggestions == [shuffled.suggest(90 + k) for k in range(8)]
    for suggestion in suggestions:
        space.validate_point(suggestion.parameters, partial=False)
        assert all(np.isfinite(number) for number in suggestion.detail.values())
    if name != "only constants":
        assert "KernelDensity" in {s.origin for s in suggestions}


def test_nothing_is_tried_twice_before_all_has_been_tried() -> None:
    searcher = KernelDensity(replace(STUDY, space=FEW, options=SearcherOptions()), LADDER)
    assert distinct(searcher, 16) == [min(count, 12) for count in range(1, 17)]


def test_a_space_of_constants_has_one_configuration() -> None:
    searcher = KernelDensity(replace(STUDY, space=ONLY_CONSTANTS), LADDER)
    for index in range(6):
        suggestion = searcher.suggest(index)
        assert suggestion.parameters == {"a": 1, "b": "x"}
        new = trial(index, TrialState.PAUSED, (0, 0.5, index), parameters=suggestion.parameters)
        searcher.record(None, new)


def test_earlier_studies_count() -> None:
    earlier = tuple(
        EarlierTrial("old", point(0.1 + 0.01 * k, 0.5), ((1, 0.1 * k),)) for k in range(9)
    )
    searcher = KernelDensity(replace(STUDY, earlier=earlier), LADDER)
    assert searcher.suggest(0).origin == "Earlier"
    suggestion = searcher.suggest(1)
    assert suggestion.origin == "KernelDensity"
    assert (suggestion.detail["good"], suggestion.detail["bad"]) == (3, 6)


def test_it_finds_better_configurations_than_random_search() -> None:
    """Medians over 20 studies. Seeds are fixed, and so is the result."""
    random, model = distances("Random", FULL_RUNS), distances("KernelDensity", FULL_RUNS)
    late, late_random = (np.mean(each[:, 40:], axis=1) for each in (model, random))
    assert np.median(late) < 0.6 * np.median(late_random)
    assert np.median(np.min(model, axis=1)) < 0.6 * np.median(np.min(random, axis=1))
    random, model = distances("Random", RUNGS), distances("KernelDensity", RUNGS)
    assert np.median(np.min(model, axis=1)) < 0.8 * np.median(np.min(random, axis=1))
