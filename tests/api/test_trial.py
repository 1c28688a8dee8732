"""Trial objects and records: the round trip, and what a server makes of JSON on the way."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hyperband.api.schema.check import complete
from hyperband.api.schema.trial import MAX_ATTEMPTS, MAX_HYPERPARAMETERS, TRIAL_SPEC, TRIAL_STATUS
from hyperband.api.study import parse_study
from hyperband.api.trial import (
    AttemptRecord,
    TrialResource,
    parse_trial,
    trial_manifest,
    trial_status,
)
from hyperband.core.engine import Engine
from hyperband.core.records import Fit, Report, RungValue, Suggestion, Trial, TrialState
from hyperband.core.space import Categorical, Constant, Float, Ordinal, Space
from tests.studies import good_study, through_server

STUDY = parse_study(good_study())
ENGINE = Engine(STUDY.study)
LADDER = ENGINE.ladder


@dataclass(frozen=True)
class Meta:
    name: str
    uid: str = "uid"
    resource_version: str = "1"


@dataclass(frozen=True)
class Body:
    metadata: Meta
    spec: Mapping[str, Any]
    status: Mapping[str, Any] = field(default_factory=dict)


finite = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(0, 1e6)
reached = st.floats(0, STUDY.study.resource.max)
counts = st.integers(0, 1000)
texts = st.text(max_size=40)
START = datetime(2026, 1, 1, tzinfo=UTC)
times = st.datetimes(timezones=st.just(UTC)) | st.none()


@st.composite
def trials(draw: st.DrawFn) -> Trial:
    space = STUDY.study.space
    seed = draw(st.integers(0, 2**32))
    uniforms = np.random.default_rng(seed).random(len(space.parameters))
    levels = draw(st.integers(0, len(LADDER)))
    rungs = tuple(
        RungValue(level, draw(finite), draw(counts), draw(reached)) for level in range(levels)
    )
    target = draw(st.integers(0, LADDER.top))
    active = not rungs or rungs[-1].level < target
    states = [s for s in TrialState if (active or not s.active) and (rungs or s != "Paused")]
    detail = draw(st.dictionaries(st.text(max_size=8), finite, max_size=3))
    fit = draw(st.builds(Fit, counts, st.lists(finite, max_size=5).map(tuple)) | st.none())
    return Trial(
        index=draw(counts),
        suggestion=Suggestion(space.sample(uniforms), "Random", detail, fit),
        bracket=3,
        state=draw(st.sampled_from(states)),
        target=target,
        attempt=draw(counts),
        rungs=rungs,
        failures=draw(counts),
        disruptions=draw(counts),
        reason=draw(texts),
        message=draw(texts),
    )


attempts = st.builds(
    AttemptRecord,
    number=counts,
    pod=texts,
    node=texts,
    start_time=times,
    training_time=times,
    end_time=times,
    outcome=st.sampled_from(["Succeeded", "Failed", "Disrupted"]),
    reason=texts,
    resource=positive | st.none(),
    gpu_seconds=positive,
)
points = st.builds(Report, positive, finite)
resources = st.builds(
    TrialResource,
    trial=trials(),
    name=st.just("digits-0"),
    uid=st.just("uid"),
    resource_version=st.just("1"),
    ladder=st.just(LADDER),
    curve=st.lists(points, max_size=5).map(tuple),
    latest=points | st.none(),
    attempts=st.lists(attempts, max_size=4).map(tuple),
    gpu_seconds=positive,
    evidence=st.dictionaries(st.text(max_size=8), finite, max_size=3),
    report_error=st.text(min_size=1, max_size=20) | st.none(),
    transition_time=times,
)


@given(resources)
def test_records_come_back_from_their_object(resource: TrialResource) -> None:
    spec = trial_manifest(STUDY, resource.trial)["spec"]
    status = trial_status(resource)
    complete(TRIAL_SPEC, spec, "spec")  # the definition lets all of it through
    complete(TRIAL_STATUS, status, "status")
    body = Body(Meta("digits-0"), through_server(spec), through_server(status))
    back = parse_trial(body, ENGINE)
    assert back == resource
    given_types = {k: type(v) for k, v in resource.trial.parameters.items()}
    assert {k: type(v) for k, v in back.trial.parameters.items()} == given_types
    assert list(back.trial.parameters) == list(resource.trial.parameters)


def test_an_empty_status_is_a_new_trial() -> None:
    new = ENGINE.new_trial(7, 3, Suggestion({"layers": 2}, "Random"))
    body = Body(Meta("digits-7"), through_server(trial_manifest(STUDY, new)["spec"]))
    resource = parse_trial(body, ENGINE)
    assert resource.trial == new
    assert (resource.trial.state, resource.trial.attempt) == (TrialState.PENDING, 0)
    assert resource.latest is None


def test_types_come_from_the_space() -> None:
    space = Space(
        (
            Float("f", min=0.0, max=2.0),
            Ordinal("o", (1.0, 2, True)),
            Categorical("c", ("1", 1, False)),
            Constant("k", 3.0),
        )
    )
    values = space.canonical({"c": 1, "f": 1, "k": 3, "o": 1})
    assert repr(values) == "{'f': 1.0, 'o': 1.0, 'c': 1, 'k': 3.0}"
    assert repr(space.canonical({"c": False, "o": True})) == "{'o': True, 'c': False}"
    assert space.canonical({"c": "1"}) == {"c": "1"}


def test_a_value_that_is_not_finite_is_left_out() -> None:
    trial = ENGINE.new_trial(0, 3, Suggestion({}, "Random"))
    resource = TrialResource(trial, "digits-0", "u", "1", LADDER, latest=Report(2, math.nan))
    status = trial_status(resource)
    assert status["latest"] == {"resource": 2, "text": "nan"}
    body = Body(Meta("digits-0"), trial_manifest(STUDY, trial)["spec"], status)
    latest = parse_trial(body, ENGINE).latest
    assert latest is not None
    assert math.isnan(latest.value)


def test_the_largest_fit_comes_back_bit_by_bit_and_one_of_nothing_is_left_out() -> None:
    numbers = tuple(float(x) for x in np.random.default_rng(0).normal(size=MAX_HYPERPARAMETERS))
    detail = {f"name{i}": x for i, x in enumerate(numbers[:40])}
    new = ENGINE.new_trial(0, 3, Suggestion({}, "GaussianProcess", detail, Fit(120, numbers)))
    spec = trial_manifest(STUDY, new)["spec"]
    complete(TRIAL_SPEC, spec, "spec")
    assert parse_trial(Body(Meta("digits-0"), through_server(spec)), ENGINE).trial == new
    broken = Suggestion({}, "GaussianProcess", fit=Fit(120, (1.0, math.inf)))
    spec = trial_manifest(STUDY, ENGINE.new_trial(0, 3, broken))["spec"]
    assert "fit" not in spec["suggestion"]


def test_attempts_are_bounded_but_all_counted() -> None:
    trial = ENGINE.new_trial(0, 3, Suggestion({}, "Random"))
    resource = TrialResource(trial, "digits-0", "u", "1", LADDER)
    for number in range(30):
        begun = AttemptRecord(number, f"pod-{number}", start_time=START)
        resource = resource.with_attempt(begun)
        assert resource.open_attempt == begun
        resource = resource.with_attempt(replace(begun, end_time=START, gpu_seconds=2.0))
        assert resource.open_attempt is None
    assert [a.number for a in resource.attempts] == list(range(30 - MAX_ATTEMPTS, 30))
    assert resource.gpu_seconds == 60.0
    assert resource.with_attempt(AttemptRecord(29, "pod-29", gpu_seconds=2.0)) is resource
    assert resource.with_attempt(AttemptRecord(28, "pod-28", gpu_seconds=2.0)) is resource


def test_a_trial_belongs_to_its_study() -> None:
    trial = ENGINE.new_trial(5, 3, Suggestion({}, "Random"))
    metadata = trial_manifest(STUDY, trial)["metadata"]
    assert metadata["name"] == "digits-5"
    assert metadata["labels"] == {"hyperband.dev/study": "digits", "hyperband.dev/trial": "5"}
    owner = metadata["ownerReferences"][0]
    assert (owner["controller"], owner["blockOwnerDeletion"]) == (True, False)
