"""Random search: a function of seed and index alone."""

from dataclasses import replace

import pytest
from scipy import stats

from hyperband.core.errors import InvalidStudyError
from hyperband.core.records import Objective, Resource, Study, Trial, TrialState
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


def test_a_suggestion_depends_on_seed_and_index_alone() -> None:
    forwards, backwards = make_searcher(STUDY), make_searcher(replace(STUDY, name="other"))
    expected = [forwards.suggest(i) for i in range(20)]
    forwards.record(Trial(0, expected[0], bracket=0, state=TrialState.RUNNING, target=0))
    assert [backwards.suggest(i) for i in reversed(range(20))] == expected[::-1]
    assert forwards.suggest(3) == expected[3]
    assert len({s.parameters["x"] for s in expected}) == 20
    other_seed = make_searcher(replace(STUDY, seed=8))
    assert other_seed.suggest(0).parameters["x"] != expected[0].parameters["x"]


def test_suggestions_follow_the_prior() -> None:
    searcher = Random(STUDY)
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
    assert isinstance(make_searcher(STUDY), Random)
    with pytest.raises(InvalidStudyError) as raised:
        make_searcher(replace(STUDY, searcher="Oracle"))
    assert raised.value.field == "spec.searcher.type"
    assert '"Oracle"' in raised.value.problem
    assert "use one of Random" in raised.value.problem
