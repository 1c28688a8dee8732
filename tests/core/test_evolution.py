"""Regularized evolution: who lives, who is a parent, and what comes of it."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from hyperband.core.records import EarlierTrial, Goal, Objective, SearcherOptions, Study, TrialState
from hyperband.core.rungs import Ladder
from hyperband.core.searchers import make_searcher
from hyperband.core.searchers.evolution import Evolution
from hyperband.core.space import Float, Space, Value
from tests.core.engines import study
from tests.core.search_quality import FULL_RUNS, RUNGS, distances
from tests.core.spaces import FEW, ONLY_CONSTANTS, SPACES
from tests.core.trials import distinct, lived_and_shuffled, random_trials, trial

LINE = Space((Float("x", 0, 1),))
OPTIONS = SearcherOptions(population=6, tournament=6)
STUDY = study(space=LINE, searcher="Evolution", options=OPTIONS, max_trials=1000)
LADDER = Ladder(STUDY.resource, STUDY.eta)  # 1, 3, 9


def x(value: float) -> Mapping[str, Value]:
    return {"x": value}


def told(given: Study, *losses: float) -> Evolution:
    """A searcher that knows one value at the lowest level for each loss."""
    searcher = Evolution(given, LADDER)
    for index, loss in enumerate(losses):
        point = x(0.01 * (index + 1))
        searcher.record(None, trial(index, TrialState.PAUSED, (0, loss, index), parameters=point))
    return searcher


def parent(searcher: Evolution, index: int) -> float:
    return searcher.suggest(index).detail["parent"]


def test_the_first_configurations_are_from_the_prior() -> None:
    random = make_searcher(replace(STUDY, searcher="Random"), LADDER)
    searcher = told(STUDY, 0.3, 0.2, 0.1)
    assert [searcher.suggest(k) for k in range(6)] == [random.suggest(k) for k in range(6)]
    suggestion = searcher.suggest(6)
    assert suggestion.origin == "Evolution"
    assert suggestion.detail == {
        "parent": 2,
        "parentValue": 0.1,
        "parentLevel": 0,
        "population": 3,
        "tournament": 3,
        "parameter": 0,
        "mutations": 1,
    }


def test_a_large_population_is_no_long_random_search() -> None:
    searcher = told(replace(STUDY, options=SearcherOptions(population=40)), 0.3, 0.2, 0.1)
    assert [searcher.suggest(k).origin for k in (8, 9, 10)] == ["Random", "Random", "Evolution"]


def test_the_best_of_the_tournament_is_the_parent() -> None:
    losses = [0.6, 0.2, 0.5, 0.1, 0.3, 0.4]
    assert {parent(told(STUDY, *losses), index) for index in range(6, 26)} == {3}
    pairs = replace(STUDY, options=replace(OPTIONS, tournament=2))
    parents = [parent(told(pairs, *losses), index) for index in range(6, 126)]
    shares = [parents.count(index) / len(parents) for index in (3, 1, 4, 5, 2, 0)]
    # The best of two out of six: 5/15, 4/15, … and never the worst.
    assert shares == pytest.approx([k / 15 for k in (5, 4, 3, 2, 1, 0)], abs=0.1)
    assert shares[-1] == 0


def test_the_oldest_die_however_good() -> None:
    assert parent(told(STUDY, 0.0, 0.5, 0.4, 0.3, 0.6, 0.7), 7) == 0
    assert parent(told(STUDY, 0.0, 0.5, 0.4, 0.3, 0.6, 0.7, 0.8), 7) == 3


def test_a_value_at_a_higher_level_is_a_new_evaluation() -> None:
    searcher = told(STUDY, 0.0, 0.5, 0.4, 0.3, 0.6, 0.7)
    old = trial(0, TrialState.PAUSED, (0, 0.0, 0), parameters=x(0.01))
    searcher.record(old, trial(0, TrialState.PAUSED, (0, 0.0, 0), (1, 0.9, 6), parameters=x(0.01)))
    searcher.record(None, trial(6, TrialState.PAUSED, (0, 0.8, 7), parameters=x(0.5)))
    suggestion = searcher.suggest(7)
    # It lives on, and is the best, as it has come further than the others.
    assert (suggestion.detail["parent"], suggestion.detail["parentValue"]) == (0, 0.9)
    assert suggestion.detail["parentLevel"] == 1


def test_a_parent_is_shown_with_the_sign_of_the_metric() -> None:
    given = replace(STUDY, objective=Objective("accuracy", Goal.MAXIMIZE))
    assert told(given, 0.3, 0.8, 0.5).suggest(6).detail["parentValue"] == 0.8
    warm = replace(given, earlier=(EarlierTrial("old", x(0.9), ((1, 0.95),)),))
    assert told(warm).suggest(6).detail["parentValue"] == 0.95


def test_a_bracket_that_starts_higher_is_no_merit() -> None:
    searcher = told(STUDY, 0.1, 0.2, 0.3, 0.4)
    for index, loss in ((4, 0.6), (5, 0.5)):
        late = trial(
            index, TrialState.COMPLETED, (2, loss, index), parameters=x(0.1 * index), bracket=0
        )
        searcher.record(None, late)
    # Places (k - 1/2)/4 in the first bracket and (k - 1/2)/2 in the other: 1/8 comes before 1/4.
    assert parent(searcher, 6) == 0


def test_a_failed_trial_is_no_parent() -> None:
    searcher = told(STUDY, 0.0, 0.5, 0.4, 0.3, 0.6, 0.7)
    old = trial(0, TrialState.RUNNING, (0, 0.0, 0), parameters=x(0.01))
    searcher.record(old, trial(0, TrialState.FAILED, (0, 0.0, 0), parameters=x(0.01)))
    assert parent(searcher, 7) == 3
    nothing = Evolution(STUDY, LADDER)
    for index in range(20):
        suggestion = nothing.suggest(index)
        assert suggestion.origin == "Random"
        failed = trial(index, TrialState.FAILED, parameters=suggestion.parameters)
        nothing.record(None, failed)


def test_by_default_a_quarter_of_the_trials_is_a_population_and_of_it_a_tournament() -> None:
    found = []
    for trials in (1, 10, 60, 80, 1000):
        given = replace(STUDY, options=SearcherOptions(), max_trials=trials)
        detail = told(given, *np.arange(50.0)).suggest(50).detail
        found.append((detail["population"], detail["tournament"]))
    assert found == [(2, 2), (2, 2), (15, 3), (20, 5), (40, 10)]


@pytest.mark.parametrize("name", SPACES)
def test_it_suggests_the_same_from_records_in_any_order(name: str) -> None:
    space = SPACES[name]
    given = replace(STUDY, space=space, options=SearcherOptions(population=30, tournament=4))
    trials = random_trials(given, 90)
    lived, shuffled = lived_and_shuffled(Evolution, given, trials)
    suggestions = [lived.suggest(90 + k) for k in range(20)]
    assert suggestions == [shuffled.suggest(90 + k) for k in range(20)]
    for suggestion in suggestions:
        space.validate_point(suggestion.parameters, partial=False)
    if name not in ("only constants", "few"):
        assert {s.origin for s in suggestions} == {"Evolution"}


def test_nothing_is_tried_twice_before_all_has_been_tried() -> None:
    searcher = Evolution(replace(STUDY, space=FEW), LADDER)
    assert distinct(searcher, 16) == [min(count, 12) for count in range(1, 17)]


def test_a_space_of_constants_has_one_configuration() -> None:
    searcher = Evolution(replace(STUDY, space=ONLY_CONSTANTS), LADDER)
    for index in range(10):
        suggestion = searcher.suggest(index)
        assert suggestion.parameters == {"a": 1, "b": "x"}
        point = suggestion.parameters
        searcher.record(None, trial(index, TrialState.PAUSED, (0, 0.5, index), parameters=point))


def test_trials_of_earlier_studies_are_the_oldest_members() -> None:
    earlier = (
        EarlierTrial("old", x(0.9), ((1, 0.0),)),
        EarlierTrial("old", x(0.8), ((1, 0.9), (3, 0.5))),
        EarlierTrial("old", x(0.7), ()),
    )
    warm = replace(STUDY, earlier=earlier)
    searcher = Evolution(warm, LADDER)
    assert searcher.suggest(0).origin == "Earlier"
    assert searcher.suggest(3).origin == "Random"
    suggestion = searcher.suggest(4)  # four and the two that have values are a population
    assert suggestion.detail["parent"] == -2
    assert suggestion.detail["parentLevel"] == 1
    for index in range(6):  # six newer ones: both are dead
        point = x(0.01 * (index + 1))
        searcher.record(None, trial(index, TrialState.PAUSED, (0, 0.9, index), parameters=point))
    assert parent(searcher, 6) >= 0


def test_it_finds_better_configurations_than_random_search() -> None:
    """Medians over 20 studies. Seeds are fixed, and so is the result."""
    for resource in (FULL_RUNS, RUNGS):
        random, evolved = distances("Random", resource), distances("Evolution", resource)
        late, late_random = (np.mean(each[:, 40:], axis=1) for each in (evolved, random))
        assert np.median(late) < 0.5 * np.median(late_random)
        assert np.median(np.min(evolved, axis=1)) < 0.7 * np.median(np.min(random, axis=1))
