"""What is said of where a configuration comes from."""

from collections.abc import Mapping

import pytest

from hyperband.core.decisions import Action
from hyperband.core.engine import Engine
from hyperband.core.origins import describe
from hyperband.core.records import EarlierTrial, Suggestion
from tests.core.engines import put, reports, start, study

BEST = [
    EarlierTrial("old", {"x": 0.25}, ((1.0, 0.5),)),
    EarlierTrial("older", {"x": 0.75}, ((1.0, 0.5),)),
]


@pytest.mark.parametrize(
    ("origin", "detail", "said"),
    [
        ("Random", {}, "Random"),
        ("Initial", {}, "Initial: given in initialParameters"),
        (
            "GaussianProcess",
            {"mean": 0.80312, "deviation": 0.02512, "level": 1.0, "incumbent": 0.8171},
            "GaussianProcess: 0.8031 ± 0.025 expected at epochs 3, best so far 0.8171",
        ),
        (
            "KernelDensity",
            {"good": 9.0, "bad": 51.0, "failed": 2.0, "level": 0.0},
            "KernelDensity: by 9 good and 53 bad at epochs 1",
        ),
        ("Evolution", {"parent": 7.0}, "Evolution: child of trial 7"),
        ("Evolution", {"parent": -3.0}, "Evolution: child of an earlier study's trial"),
        # Of another version, or of a searcher that says nothing.
        ("GaussianProcess", {"mean": 0.8}, "GaussianProcess"),
        ("Evolution", {}, "Evolution"),
        ("Sobol", {"level": 1.0}, "Sobol"),
    ],
)
def test_the_origin_is_followed_by_what_is_known(
    origin: str, detail: Mapping[str, float], said: str
) -> None:
    suggestion = Suggestion({"x": 0.5}, origin, detail)
    assert describe(suggestion, BEST, lambda level: f"epochs {3**level}") == said


def test_a_level_that_is_not_on_the_ladder_leaves_the_origin_alone() -> None:
    detail = {"mean": 0.8, "deviation": 0.1, "level": 99.0, "incumbent": 0.8}
    suggestion = Suggestion({"x": 0.5}, "GaussianProcess", detail)
    new = Engine(study()).new_trial(0, 2, suggestion)
    assert new.message == "a new configuration (GaussianProcess), to epochs 1"


def test_the_study_that_a_configuration_was_the_best_of_is_named() -> None:
    engine = Engine(study(initial=({"x": 0.1},), earlier=tuple(BEST)))
    started = [put(engine, engine.launch(), Action.START) for _ in range(4)]
    assert [decision.message for decision in started] == [
        "a new configuration (Initial: given in initialParameters), to epochs 1",
        "a new configuration (Earlier: the best of old), to epochs 1",
        "a new configuration (Earlier: the best of older), to epochs 1",
        "a new configuration (Random), to epochs 1",
    ]
    # Where the earlier study has been deleted since, a rebuilt engine does not know its name.
    without = Engine(study())
    again = without.new_trial(1, 2, started[1].trial.suggestion)
    assert "(Earlier: the best of an earlier study)" in again.message


@pytest.mark.parametrize("searcher", ["GaussianProcess", "KernelDensity", "Evolution"])
def test_what_a_searcher_has_learned_is_said_when_its_trial_starts_and_runs(searcher: str) -> None:
    engine = Engine(study(searcher=searcher, mode="None", parallelism=1))
    proposed = 0
    for index in range(20):
        new = put(engine, engine.launch(), Action.START)
        running = put(engine, engine.seen_running(index), Action.RUN)
        if new.trial.suggestion.origin == searcher:
            proposed += 1
            assert f"({searcher}: " in new.message
            assert f"({searcher}: " in running.message
        loss = (float(new.trial.parameters["x"]) - 0.3) ** 2
        put(engine, engine.observe(index, reports(e9=loss)), Action.COMPLETE)
    assert proposed >= 5


def test_a_trial_that_has_a_value_says_no_more_where_it_comes_from() -> None:
    engine = Engine(study())
    start(engine, 2)
    for index in range(2):
        put(engine, engine.observe(index, reports(e1=0.1 * index)), Action.PAUSE)
    put(engine, engine.launch(), Action.PROMOTE)
    decision = put(engine, engine.seen_running(0), Action.RUN)
    assert decision.message == "attempt 1 runs up to epochs 3"
