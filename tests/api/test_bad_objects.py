"""Objects that no definition would let through: refused with a field, short and readable."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from hyperband.api.schema.check import MAX_DEPTH
from hyperband.api.study import parse_study
from hyperband.api.trial import TrialResource, parse_trial, trial_manifest, trial_status
from hyperband.core.engine import Engine
from hyperband.core.errors import MAX_FIELD, MAX_PROBLEM, InvalidStudyError
from hyperband.core.parameters import show
from hyperband.core.records import Report
from tests.fuzz.checks import Body
from tests.studies import changed, good_study, through_server

ENGINE = Engine(parse_study(good_study()).study)
POD = "spec.trialTemplate.spec"


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"metadata": "x"}, "metadata.name", "is missing"),
        ({"metadata": {"name": 7}}, "metadata.name", "is not a string"),
        ({"metadata": {"name": "A b"}}, "metadata.name", "cannot be the name of a study"),
        ({"metadata": {"name": "a\n"}}, "metadata.name", "cannot be the name of a study"),
        ({"metadata.uid": 10**5000}, "metadata.uid", "cannot be shown is not a string"),
        ({"metadata.generation": "x"}, "metadata.generation", "is not an integer"),
        ({"metadata.namespace": ["x"]}, "metadata.namespace", "is not a string"),
        # Numbers that no float can hold, or that JSON cannot.
        ({"spec.resource.max": 10**400}, "spec.resource.max", "is not a finite number"),
        ({"spec.resource.max": 1e300}, "spec.resource.max", "use type Float"),
        ({"spec.parameters.0.max": 10**400}, "spec.parameters[0].max", "not a finite number"),
        ({"spec.parameters.2.weights": [10**400, 1]}, "spec.parameters[2].weights[0]", "finite"),
        ({"spec.parameters.6.value": 10**5000}, "spec.parameters[6].value", "cannot be shown"),
        ({f"{POD}.x": [{"y": float("nan")}]}, f"{POD}.x[0].y", "is not a finite number"),
        # Text that UTF-8 or the environment of a container cannot hold.
        ({"spec.objective.metric": "a\ud800"}, "spec.objective.metric", "lone surrogate"),
        ({f"{POD}.x": {"a\udcff": 1}}, f"{POD}.x", "lone surrogate"),
        ({"spec.parameters.2.values": ["\ud800"]}, "spec.parameters[2].values[0]", "surrogate"),
        ({"spec.objective.metric": "a\0"}, "spec.objective.metric", "has a NUL"),
        ({"spec.resource.name": "a\0"}, "spec.resource.name", "has a NUL"),
        ({"spec.parameters.2.values": ["a\0", "b"]}, "spec.parameters[2].values[0]", "has a NUL"),
        # As a server reads patterns, a line break at the end is no end.
        ({"spec.parameters.0.name": "rate\n"}, "spec.parameters[0].name", "does not match"),
        ({"spec.trialTemplate.metadata.labels": {"a": "b\n"}}, "spec.trialTemplate", "match"),
        # Of other shapes.
        ({f"{POD}.x": nested(500)}, f"{POD}.x", f"below {MAX_DEPTH} others"),
        ({"spec.parameters.2.values": [nested(500)]}, "spec.parameters[2].values", "below"),
        ({f"{POD}.x": datetime(2026, 1, 1, tzinfo=UTC)}, f"{POD}.x", "write it in quotes"),
        ({"spec.parameters.2.values": [b"x"]}, "spec.parameters[2].values[0]", "in quotes"),
        ({f"{POD}.x": {(1, 2): 3}}, f"{POD}.x", "the key [1, 2] is not text"),
        # However much is quoted.
        ({"spec": {"x" * 10**6: 1}}, "spec.xxx", "there is no such field"),
        ({f"{POD}.restartPolicy": "x" * 10**6}, f"{POD}.restartPolicy", "restart containers"),
    ],
    ids=show,
)
def test_a_study_that_makes_no_sense(changes: Mapping[str, Any], field: str, says: str) -> None:
    body = changed(good_study(), changes)
    with pytest.raises(InvalidStudyError) as caught:
        parse_study(body)
    error = caught.value
    assert error.field.startswith(field)
    assert says in error.problem
    assert len(error.field) <= MAX_FIELD and len(error.problem) <= MAX_PROBLEM
    str(error).encode()


def test_keys_that_are_numbers_are_text_as_to_kubectl() -> None:
    labels = {7: "seven", 0.5: "half", True: "yes"}
    study = parse_study(changed(good_study(), {"spec.trialTemplate.metadata.labels": labels}))
    assert study.template.labels == {"7": "seven", "0.5": "half", "true": "yes"}


@pytest.mark.parametrize(
    "resources", [[1], "x", {"limits": 7}, {"limits": {"nvidia.com/gpu": {}}}], ids=show
)
def test_a_container_whose_resources_make_no_sense_holds_none(resources: Any) -> None:
    """The API server refuses the pod before the first trial."""
    body = changed(good_study(), {f"{POD}.containers.0.resources": resources})
    assert parse_study(body).gpus == 0


@pytest.mark.parametrize("held", ["NaN", "sNaN", "Infinity", "1e999999", "-1", "9e99", "1Gi"])
def test_a_number_of_gpus_that_makes_no_sense_is_none(held: str) -> None:
    resources = {"limits": {"nvidia.com/gpu": held}}
    body = changed(good_study(), {f"{POD}.containers.0.resources": resources})
    assert parse_study(body).gpus == 0


@pytest.mark.parametrize(
    "value", [10**5000, nested(5000), {(1,): 1}, float("nan"), object, b"x"], ids=type
)
def test_anything_can_be_shown(value: object) -> None:
    assert 0 < len(show(value)) <= 120


def trial_object() -> dict[str, Any]:
    trial = ENGINE.new_trial(0, 3, ENGINE.searcher.suggest(0))
    status = trial_status(TrialResource(trial, "digits-0", "u", "1", ENGINE.ladder))
    return {"spec": trial_manifest(parse_study(good_study()), trial)["spec"], "status": status}


@pytest.mark.parametrize(
    "changes",
    [
        {"spec": None},
        {"spec": 7},
        {"status": 7},
        {"spec.index": None},
        {"spec.index": float("inf")},
        {"spec.bracket": 99},
        {"spec.parameters": ["rate"]},
        {"spec.suggestion": []},
        {"spec.suggestion.detail": {"level": 10**400}},
        {"status.rungs": 7},
        {"status.rungs": [None]},
        {"status.curve": [7]},
        {"status.attempts": [[]]},
        {"status.latest": "x"},
        {"status.evidence": 7},
        {"status.transitionTime": 7},
        {"status.transitionTime": "soon"},
        {"status.transitionTime": "0001-01-01T00:00:00+23:59"},
        {"status.gpuSeconds": {}},
    ],
    ids=show,
)
def test_a_trial_that_makes_no_sense(changes: Mapping[str, Any]) -> None:
    body = changed(trial_object(), changes)
    with pytest.raises((KeyError, ValueError)):
        parse_trial(Body(body["spec"], body["status"]), ENGINE)


def test_words_that_are_null_are_none() -> None:
    body = changed(trial_object(), {"status.message": None, "status.reason": None})
    record = parse_trial(Body(body["spec"], body["status"]), ENGINE)
    assert (record.trial.message, record.trial.reason) == ("", "")
    assert not {"message", "reason"} & trial_status(record).keys()


def test_a_time_without_a_zone_is_in_utc() -> None:
    body = changed(trial_object(), {"status.transitionTime": "2026-01-01T00:00:00"})
    record = parse_trial(Body(body["spec"], body["status"]), ENGINE)
    assert record.transition_time == datetime(2026, 1, 1, tzinfo=UTC)
    assert trial_status(record)["transitionTime"] == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_how_a_trial_diverged_is_known_after_a_restart(value: float) -> None:
    body = trial_object()
    record = parse_trial(Body(body["spec"], body["status"]), ENGINE)
    status = trial_status(replace(record, latest=Report(1.0, value)))
    again = parse_trial(Body(body["spec"], through_server(status)), ENGINE)
    assert json.dumps(trial_status(again)) == json.dumps(status)
