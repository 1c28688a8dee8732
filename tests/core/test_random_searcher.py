"""Random search: a function of seed and index alone."""

from dataclasses import replace

import pytest
from scipy import stats

from hyperband.core.errors import InvalidStudyError
from hyperband.core.records import (
    EarlierTrial,
    Objective,
    Resource,
    SearcherOptions,
    Study,
    Trial,
    TrialState,
)
from hyperband.core.rungs import Ladder
from hyperband.core.searchers import SEARCHERS, make_searcher
from hyperband.core.searchers.random import Random
from hyperband.core.space import Categorical, Float, Integer, Space

STUDY = Study(
    name="digits",
    objective=Objective("val_loss"),
    resource=Resource("epochs", 1, 27),
    space=Space(
        (
            Float("x", 0, 1),
            Categorical("c", ("a", "b")),
            Integer("n", 1, 3, when={"c": ("a",)}),
        )
    ),
    max_trials=10,
    seed=7,
)
LADDER = Ladder(STUDY.resource, STUDY.eta)


def test_a_suggestion_depends_on_seed_and_index_alone() -> None:
    forwards, backwards = (
        make_searcher(STUDY, LADDER),
        make_searcher(replace(STUDY, name="other"), LADDER),
    )
    expected = [forwards.suggest(i) for i in range(20)]
    forwards.record(None, Trial(0, expected[0], bracket=0, state=TrialState.RUNNING, target=0))
    assert [backwards.suggest(i) for i in reversed(range(20))] == expected[::-1]
    assert forwards.suggest(3) == expected[3]
    assert len({s.parameters["x"] for s in expected}) == 20
    other_seed = make_searcher(replace(STUDY, seed=8), LADDER)
    assert other_seed.suggest(0).parameters["x"] != expected[0].parameters["x"]


def test_suggestions_follow_the_prior() -> None:
    searcher = Random(STUDY, LADDER)
    suggestions = [searcher.suggest(i) for i in range(600)]
    assert {s.origin for s in suggestions} == {"Random"}
    points = [s.parameters for s in suggestions]
    assert stats.kstest([p["x"] for p in points], "uniform").pvalue > 1e-3
    with_a = [p for p in points if p["c"] == "a"]
    assert 240 < len(with_a) < 360
    assert {p["n"] for p in with_a} == {1, 2, 3}
    assert not any("n" in p for p in points if p["c"] == "b")


def test_the_searcher_is_found_by_its_name() -> None:
    assert SEARCHERS["Random"] is Random
    assert isinstance(make_searcher(STUDY, LADDER), Random)
    with pytest.raises(InvalidStudyError) as raised:
        make_searcher(replace(STUDY, searcher="Oracle"), LADDER)
    assert raised.value.field == "spec.searcher.type"
    assert '"Oracle"' in raised.value.problem
    assert "use one of Random" in raised.value.problem


def test_quasi_random_draws_fill_the_space_evenly_and_in_any_order() -> None:
    quasi = replace(STUDY, options=SearcherOptions(quasi_random=True))
    searcher = Random(quasi, LADDER)
    points = [searcher.suggest(i).parameters["x"] for i in reversed(range(64))]
    assert sorted(int(float(x) * 64) for x in points) == list(range(64))
    assert searcher.suggest(3).parameters["x"] == points[-4]
    assert Random(replace(quasi, seed=8), LADDER).suggest(0) != searcher.suggest(0)


def test_given_configurations_come_first_then_the_best_of_each_earlier_study() -> None:
    study = replace(
        STUDY,
        initial=({"x": 0.25, "c": "b"}, {"c": "a"}),
        earlier=(
            EarlierTrial("first", {"x": 0.1, "c": "b"}, ((1, 0.1), (9, 0.5))),
            EarlierTrial("first", {"x": 0.2, "c": "b"}, ((1, 0.3), (9, 0.4))),
            EarlierTrial("first", {"x": 0.3, "c": "b"}, ((1, 0.0),)),
            EarlierTrial("second", {"x": 0.4, "c": "a", "n": 2}, ()),
        ),
    )
    searcher = Random(study, LADDER)
    suggestions = [searcher.suggest(i) for i in range(4)]
    assert [s.origin for s in suggestions] == ["Initial", "Initial", "Earlier", "Random"]
    assert suggestions[0].parameters == {"x": 0.25, "c": "b"}
    assert suggestions[1].parameters["c"] == "a"
    assert suggestions[1].parameters["x"] == Random(STUDY, LADDER).suggest(1).parameters["x"]
    assert suggestions[2].parameters == {"x": 0.2, "c": "b"}
    assert suggestions[3] == Random(STUDY, LADDER).suggest(3)


def test_of_an_earlier_study_the_best_at_the_highest_level_is_taken() -> None:
    """A report may come late: at 4 and 5 both have reached the level 3, and no other."""
    study = replace(
        STUDY,
        earlier=(
            EarlierTrial("first", {"x": 0.1, "c": "b"}, ((4, 0.1),)),
            EarlierTrial("first", {"x": 0.2, "c": "b"}, ((5, 0.9),)),
        ),
    )
    assert Random(study, LADDER).suggest(0).parameters == {"x": 0.1, "c": "b"}
