"""Reading a HyperbandStudy: what comes out, and what is refused with which words."""

from dataclasses import replace
from typing import Any

import pytest

from hyperband.api.environment import training_environment
from hyperband.api.schema.check import complete
from hyperband.api.schema.study_status import STATUS
from hyperband.api.status import conditions, progress
from hyperband.api.study import Reporting, ReportingMode, parse_study
from hyperband.api.warm_start import Inheritance, warm_start_status
from hyperband.core.engine import Engine
from hyperband.core.errors import InvalidStudyError
from hyperband.core.records import (
    EarlierTrial,
    FailurePolicy,
    Goal,
    Objective,
    Report,
    Resource,
    SearcherOptions,
    Sizes,
    Spent,
    TrialState,
)
from hyperband.core.seeds import seed_from
from hyperband.core.space import Categorical, Constant, Float, Integer, Ordinal
from tests.bad_studies import (
    REFUSED_BY_SERVER,
    SERVER_CANNOT_KNOW,
    BadStudy,
)
from tests.studies import REMOVED, changed, good_study, large_study


def test_a_good_study_comes_out_as_written() -> None:
    resource = parse_study(good_study())
    study = resource.study
    assert study.objective == Objective("val_loss", Goal.MINIMIZE)
    assert study.resource == Resource("epochs", 1, 27, integer=True)
    assert isinstance(study.resource.min, int)
    assert (study.eta, study.mode, study.brackets) == (3, "Promotion", 1)
    assert (study.searcher, study.seed, study.parallelism) == ("Random", 0, 8)
    assert study.failure_policy == FailurePolicy(retries=3, max_failed_trials=10)
    assert study.space.parameters[4] == Float(
        "dropout", min=0.0, max=0.6, step=0.1, when={"layers": (2, 3, 4)}
    )
    kinds = [type(p) for p in study.space.parameters]
    assert kinds == [Float, Integer, Categorical, Ordinal, Float, Float, Constant]
    assert resource.checkpoint is not None
    assert resource.checkpoint.mount_path == "/checkpoint"
    assert resource.reporting == Reporting(ReportingMode.DIRECT)
    assert resource.gpu_resources == ("nvidia.com/gpu",)
    assert resource.template.labels == {"team": "vision"}
    assert resource.template.container == 0


def test_a_large_study_is_accepted() -> None:
    assert parse_study(large_study()).study.space.dimension == 200 * 64


MINIMAL: dict[str, Any] = {
    "metadata": {"name": "digits", "uid": "4711", "generation": 3, "resourceVersion": "12"},
    "spec": {
        "objective": {"metric": "loss"},
        "resource": {"min": 1, "max": 9},
        "parameters": [{"name": "x", "type": "Float", "min": 0, "max": 1}],
        "maxTrials": 5,
        "trialTemplate": {"spec": {"containers": [{"name": "train", "image": "i"}]}},
    },
}


def test_what_is_left_out_has_its_default() -> None:
    resource = parse_study(MINIMAL)
    study = resource.study
    assert study.resource.name == "epochs"
    assert (study.eta, study.mode, study.brackets, study.parallelism) == (3, "Promotion", 1, 1)
    assert study.failure_policy == FailurePolicy()
    assert study.seed == seed_from("4711")
    assert resource.generation == 3
    assert (resource.checkpoint, resource.suspend) == (None, False)
    assert resource.namespace == "default"
    assert (study.options, study.initial, resource.warm_start) == (SearcherOptions(), (), ())


def test_points_to_begin_with_come_out_as_the_parameters_have_them() -> None:
    points = [{"layers": 2.0, "rate": 1e-3, "dropout": 0.30000000000000004}, {}, {"epsilon": 1e-8}]
    study = parse_study(changed(good_study(), {"spec.initialParameters": points})).study
    first = study.initial[0]
    assert repr(first) == "{'rate': 0.001, 'layers': 2, 'dropout': 0.3}"
    assert study.initial[1:] == ({}, {"epsilon": 1e-8})
    engine = Engine(study)
    suggested = [engine.searcher.suggest(index) for index in range(4)]
    assert [s.origin for s in suggested] == ["Initial", "Initial", "Initial", "Random"]
    assert first.items() <= suggested[0].parameters.items()
    assert set(suggested[0].parameters) == {p.name for p in study.space.parameters}


def test_a_study_may_start_warm_and_sample_evenly() -> None:
    body = changed(
        good_study(),
        {
            "spec.warmStart": {"fromStudies": ["older", "old"]},
            "spec.searcher.sampling": "QuasiRandom",
        },
    )
    resource = parse_study(body)
    assert resource.warm_start == ("older", "old")
    assert resource.study.options == SearcherOptions(quasi_random=True)
    independent = changed(body, {"spec.searcher.sampling": "Independent"})
    assert parse_study(independent).study.options == SearcherOptions(quasi_random=False)


def test_partial_objects_are_completed_field_by_field() -> None:
    study = parse_study(changed(MINIMAL, {"spec.hyperband": {"eta": 4}})).study
    assert (study.eta, study.mode, study.brackets) == (4, "Promotion", 1)


def test_modes_and_sizes() -> None:
    hyperband = {"mode": "Synchronous", "sizes": "Paper", "brackets": 3}
    study = parse_study(changed(MINIMAL, {"spec.hyperband": hyperband})).study
    assert (study.mode, study.sizes, study.brackets) == ("Synchronous", Sizes.PAPER, 3)
    study = parse_study(changed(MINIMAL, {"spec.hyperband": {"mode": "None"}})).study
    assert (study.stops_early, study.sizes, study.brackets) == (False, Sizes.FLOOR, 1)


def test_a_study_without_rungs_may_span_any_range() -> None:
    """What would be hundreds of rungs is none."""
    wide = {"spec.resource": {"type": "Float", "min": 1e-300, "max": 1.0}}
    with pytest.raises(InvalidStudyError, match="raise min"):
        parse_study(changed(MINIMAL, wide))
    parse_study(changed(MINIMAL, wide | {"spec.hyperband": {"mode": "None"}}))


@pytest.mark.parametrize("mode", ["Promotion", "Stopping", "Synchronous"])
@pytest.mark.parametrize("sizes", ["Floor", "Paper"])
def test_the_largest_eta_works_with_as_many_rungs_as_there_may_be(mode: str, sizes: str) -> None:
    """Brackets then start with up to 1e297 trials."""
    hyperband = {"eta": 1000, "mode": mode, "sizes": sizes, "brackets": 100}
    resource = {"type": "Float", "min": 1e-150, "max": 9e146}
    spec = {"spec.hyperband": hyperband, "spec.resource": resource, "spec.parallelism": 5}
    engine = Engine(parse_study(changed(MINIMAL, spec)).study)
    assert len(engine.ladder) == 100
    while decision := engine.launch():
        engine.put(decision.trial)
    assert len(list(engine.active)) == 5
    with pytest.raises(InvalidStudyError, match=r"eta: 1001 is above 1000: give at most 1000"):
        parse_study(changed(MINIMAL, {"spec.hyperband.eta": 1001}))


def test_the_table_of_rungs_is_bounded_by_brackets_and_rungs() -> None:
    """Synchronous Hyperband opens a bracket again and again; the table sums over its instances."""
    hyperband = {"mode": "Synchronous", "brackets": 2}
    spec = {"spec.hyperband": hyperband, "spec.maxTrials": 40, "spec.parallelism": 40}
    engine = Engine(parse_study(changed(MINIMAL, spec)).study)
    while decision := engine.launch():
        engine.put(decision.trial)
    for trial in list(engine.active):
        decision = engine.observe(trial.index, [Report(engine.ladder[trial.target], trial.index)])
        assert decision is not None
        engine.put(decision.trial)
    assert progress(engine, Spent())["brackets"] == [
        {
            "bracket": 2,
            "rungs": [
                {"resource": 1, "trials": 31, "paused": 31, "best": 0.0},
                {"resource": 3, "trials": 0, "paused": 0},
                {"resource": 9, "trials": 0, "paused": 0},
            ],
        },
        {
            "bracket": 1,
            "rungs": [
                {"resource": 3, "trials": 9, "paused": 9, "best": 9.0},
                {"resource": 9, "trials": 0, "paused": 0},
            ],
        },
    ]


@pytest.mark.parametrize(
    ("mode", "target", "rungs"),
    [
        ("Promotion", "1", "[1, 3, 9]"),
        ("Stopping", "9", "[1, 3, 9]"),
        ("Synchronous", "1", "[1, 3, 9]"),
        ("None", "9", "[9]"),
    ],
)
def test_what_a_training_is_told_of_rungs(mode: str, target: str, rungs: str) -> None:
    resource = parse_study(changed(MINIMAL, {"spec.hyperband": {"mode": mode}}))
    engine = Engine(resource.study)
    decision = engine.launch()
    assert decision is not None
    environment = training_environment(resource, decision.trial, engine.ladder, "u")
    assert environment["HYPERBAND_RESOURCE_FROM"] == "0"
    assert environment["HYPERBAND_RESOURCE_TO"] == target
    assert environment["HYPERBAND_RUNGS"] == rungs


def test_the_training_container_may_be_named() -> None:
    annotations = {"kubectl.kubernetes.io/default-container": "second"}
    containers = [{"name": "first"}, {"name": "second"}]
    body = changed(
        MINIMAL,
        {
            "spec.trialTemplate.metadata": {"annotations": annotations},
            "spec.trialTemplate.spec.containers": containers,
        },
    )
    assert parse_study(body).template.container == 1


@pytest.mark.parametrize(
    "bad", [*REFUSED_BY_SERVER, *SERVER_CANNOT_KNOW], ids=lambda bad: bad.title
)
def test_bad_studies_are_refused_with_field_and_mend(bad: BadStudy) -> None:
    with pytest.raises(InvalidStudyError) as caught:
        parse_study(bad.manifest())
    assert caught.value.field.startswith(bad.python_field), str(caught.value)
    assert ": " in caught.value.problem or "?" in caught.value.problem  # the problem: the mend


@pytest.mark.parametrize("bad", SERVER_CANNOT_KNOW, ids=lambda bad: bad.title)
def test_what_the_server_cannot_know_is_said_by_the_operator(bad: BadStudy) -> None:
    with pytest.raises(InvalidStudyError) as caught:
        parse_study(bad.manifest())
    for part in bad.says:
        assert part in str(caught.value)


def test_a_missing_field_is_explained() -> None:
    with pytest.raises(InvalidStudyError, match="maxTrials: is missing: give it"):
        parse_study(changed(MINIMAL, {"spec.maxTrials": REMOVED}))
    with pytest.raises(InvalidStudyError) as caught:
        parse_study(changed(MINIMAL, {"spec.objective": {}}))
    assert str(caught.value) == (
        "spec.objective.metric: is missing: give it (Name of the metric, exactly as the training "
        "reports it, e.g. val_loss)"
    )


def test_a_pattern_is_explained() -> None:
    with pytest.raises(InvalidStudyError) as caught:
        parse_study(changed(MINIMAL, {"spec.parameters.0.name": "learning rate"}))
    assert str(caught.value).endswith("then letters, digits, and any of `_ . / -`)")


def test_a_misspelt_field_is_guessed() -> None:
    with pytest.raises(InvalidStudyError, match="did you mean maxTrials"):
        parse_study(changed(MINIMAL, {"spec.maxTrial": 3}))


@pytest.mark.parametrize("spec", [None, {}, [], "x", 7])
def test_a_spec_that_is_none_is_refused(spec: Any) -> None:
    with pytest.raises(InvalidStudyError):
        parse_study({"metadata": {"name": "x"}, "spec": spec})


def test_the_status_fits_the_definition() -> None:
    """A field that the definition does not have would be dropped by the server in silence."""
    study = parse_study(good_study()).study
    engine = Engine(study)
    for index in range(4):
        trial = engine.new_trial(index, 3, engine.searcher.suggest(index))
        engine.put(replace(trial, state=TrialState.RUNNING))
        decision = engine.observe(index, [Report(1.0, 0.5 + index)])
        assert decision is not None
        engine.put(decision.trial)
    now = "2026-01-01T00:00:00Z"
    status = progress(engine, Spent(gpu_seconds=7.0, resource_units=4.0))
    status["conditions"] = conditions(
        blocked=None,
        suspended=False,
        finish=None,
        running=True,
        progress_message="going on",
        generation=1,
        before=[],
        now=now,
    )
    trial = EarlierTrial("old", {}, ((1.0, 0.5), (3.0, 0.4)))
    inherited = [Inheritance("old", "1", (trial,), 3), Inheritance("lost", "2", gone=True)]
    status["warmStart"] = warm_start_status(inherited)
    status |= {"observedGeneration": 1, "startTime": now, "completionTime": now}
    status |= {"suspendedSeconds": 7.5, "checkpointsRemoved": 3}
    status["budgetReached"] = {"message": "spent", "budget": {"gpuHours": 1}, "time": now}
    assert complete(STATUS, status, "status") == status
    assert set(status) == set(STATUS["properties"])
