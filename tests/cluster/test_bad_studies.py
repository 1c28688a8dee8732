"""Bad studies against the real API server: each is refused there, and the refusal helps."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from kubernetes import client

from hyperband.api import names
from hyperband.api.study import parse_study
from hyperband.api.trial import trial_manifest
from hyperband.core.engine import Engine
from hyperband.core.records import Fit, Suggestion
from tests.bad_studies import (
    ALLOWED_CHANGES,
    REFUSED_BY_SERVER,
    REFUSED_CHANGES,
    SERVER_CANNOT_KNOW,
    BadStudy,
)
from tests.cluster.harness import eventually
from tests.studies import changed, good_study, large_study

pytestmark = pytest.mark.cluster

NAMESPACE = "default"
WHERE = (names.GROUP, names.VERSION)
STRICT = {"field_validation": "Strict"}  # as kubectl asks for
DRY = {"dry_run": "All"}


@pytest.fixture
def api(connection: Any) -> Any:
    return client.CustomObjectsApi(connection)


@pytest.fixture
def study(api: Any, namespace: str) -> Iterator[dict[str, Any]]:
    """A study that exists; suspended, so that nothing is made of it where an operator runs."""
    body = changed(good_study("good", namespace), {"spec.suspend": True})
    created: dict[str, Any] = api.create_namespaced_custom_object(
        *WHERE, namespace, names.STUDY_PLURAL, body, **STRICT
    )
    yield created
    api.delete_namespaced_custom_object(*WHERE, namespace, names.STUDY_PLURAL, "good")


def refusal(call: Callable[[], Any]) -> str:
    """The message with which the server refuses."""
    with pytest.raises(client.ApiException) as caught:
        call()
    assert caught.value.status in (400, 403, 422), caught.value
    message: str = json.loads(str(caught.value.body))["message"]
    return message


def create_dry(api: Any, body: dict[str, Any]) -> Any:
    return api.create_namespaced_custom_object(
        *WHERE, NAMESPACE, names.STUDY_PLURAL, body, **STRICT, **DRY
    )


def test_there_are_enough_of_them() -> None:
    assert len(REFUSED_BY_SERVER) >= 25


def test_a_good_study_is_accepted(api: Any) -> None:
    good = good_study("accepted", NAMESPACE)
    assert create_dry(api, good)["spec"] == good["spec"]


def test_a_large_study_stays_within_the_cost_budget(api: Any) -> None:
    create_dry(api, large_study(namespace=NAMESPACE))


@pytest.mark.parametrize(("parameters", "points"), [(200, 10), (1, 1_000)])
def test_points_to_begin_with_stay_within_the_cost_budget(
    api: Any, parameters: int, points: int
) -> None:
    """As many as the policy looks at, all good but the last value of the last one."""
    names_ = [f"layers_{i}" for i in range(parameters)]
    integers = [{"name": each, "type": "Integer", "min": 1, "max": 9} for each in names_]
    given: list[dict[str, float]] = [dict.fromkeys(names_, 5) for _ in range(points)]
    changes = {"spec.parameters": integers, "spec.initialParameters": given}
    body = changed(good_study("points", NAMESPACE), changes)
    create_dry(api, body)
    given[-1] = {**given[-1], names_[-1]: 5.5}
    message = refusal(lambda: create_dry(api, changed(body, {"spec.initialParameters": given})))
    assert f"[{points - 1}].{names_[-1]}: 5.5 is not a whole number: round it" in message


def test_empty_fields_of_a_template_are_no_errors(api: Any) -> None:
    pod = "spec.trialTemplate.spec"
    empty = {f"{pod}.initContainers": None, f"{pod}.containers.0.env": None}
    create_dry(api, changed(good_study("empty", NAMESPACE), empty))


@pytest.mark.parametrize("bad", REFUSED_BY_SERVER, ids=lambda bad: bad.title)
def test_bad_studies_are_refused(api: Any, bad: BadStudy) -> None:
    message = refusal(lambda: create_dry(api, bad.manifest(namespace=NAMESPACE)))
    for part in bad.says:
        assert part in message


@pytest.mark.parametrize("bad", SERVER_CANNOT_KNOW, ids=lambda bad: bad.title)
def test_what_the_server_cannot_know_is_left_to_the_operator(api: Any, bad: BadStudy) -> None:
    create_dry(api, bad.manifest(namespace=NAMESPACE))


def test_no_studies_beside_the_operator(api: Any) -> None:
    body = good_study(namespace="hyperband-system")
    message = refusal(
        lambda: api.create_namespaced_custom_object(
            *WHERE, "hyperband-system", names.STUDY_PLURAL, body, **DRY
        )
    )
    assert "hyperband-system is the operator's own" in message


def test_what_describes_the_results_is_fixed(api: Any, study: dict[str, Any]) -> None:
    namespace = study["metadata"]["namespace"]
    for change in REFUSED_CHANGES:
        body = changed(study, change.changes)
        where = (*WHERE, namespace, names.STUDY_PLURAL, "good")
        message = refusal(partial(api.replace_namespaced_custom_object, *where, body, **DRY))
        for part in change.says:
            assert part in message, change.title


def test_what_governs_its_course_may_change(api: Any, study: dict[str, Any]) -> None:
    body = changed(study, ALLOWED_CHANGES)
    del body["metadata"]["resourceVersion"]  # an operator may have written in between
    namespace = study["metadata"]["namespace"]
    patched = api.patch_namespaced_custom_object(
        *WHERE, namespace, names.STUDY_PLURAL, "good", {"spec": body["spec"]}, **DRY
    )
    assert patched["spec"]["maxTrials"] == ALLOWED_CHANGES["spec.maxTrials"]


def test_trials_are_records(api: Any, study: dict[str, Any]) -> None:
    """The spec of a trial never changes, whoever tries."""
    namespace = study["metadata"]["namespace"]
    record = parse_study(study)
    fit = Fit(7, (0.1, 1e-300, -2.0, 1e21))
    why = Suggestion({"rate": 0.1, "layers": 2}, "GaussianProcess", {"mean": 0.3}, fit)
    body = trial_manifest(record, Engine(record.study).new_trial(0, 3, why))
    created = api.create_namespaced_custom_object(*WHERE, namespace, names.TRIAL_PLURAL, body)
    assert created["spec"]["suggestion"] == body["spec"]["suggestion"]
    message = refusal(
        lambda: api.replace_namespaced_custom_object(
            *WHERE,
            namespace,
            names.TRIAL_PLURAL,
            "good-0",
            changed(created, {"spec.parameters.rate": 1}),
        )
    )
    assert "never changes" in message


async def test_a_user_needs_the_right_to_create_pods(connection: Any, namespace: str) -> None:
    """Who may create studies, but no pods, gets none through the operator; nor forged trials."""
    rbac: Any = client.RbacAuthorizationV1Api(connection)
    everything = {"apiGroups": [names.GROUP], "verbs": ["create"]}
    plurals = [names.STUDY_PLURAL, names.TRIAL_PLURAL]
    rbac.create_namespaced_role(
        namespace, {"metadata": {"name": "r"}, "rules": [{**everything, "resources": plurals}]}
    )
    rbac.create_namespaced_role_binding(
        namespace,
        {
            "metadata": {"name": "r"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
            "subjects": [{"kind": "User", "name": "jo", "apiGroup": "rbac.authorization.k8s.io"}],
        },
    )
    await _until_allowed(connection, "jo", namespace)
    connection.set_default_header("Impersonate-User", "jo")
    try:
        api = client.CustomObjectsApi(connection)
        study = good_study(namespace=namespace)
        message = refusal(
            lambda: api.create_namespaced_custom_object(
                *WHERE, namespace, names.STUDY_PLURAL, study
            )
        )
        assert f"jo may not create pods in namespace {namespace}" in message
        record = parse_study({**study, "metadata": {**study["metadata"], "uid": "4711"}})
        new = Engine(record.study).new_trial(0, 3, Suggestion({"layers": 2}, "Random"))
        forged = trial_manifest(record, new)
        message = refusal(
            lambda: api.create_namespaced_custom_object(
                *WHERE, namespace, names.TRIAL_PLURAL, forged
            )
        )
        assert "created by the operator alone, jo may not" in message
    finally:
        del connection.default_headers["Impersonate-User"]


async def _until_allowed(connection: Any, user: str, namespace: str) -> None:
    """Waits until the API server goes by a role that was just bound: it watches roles, too."""
    reviews: Any = client.AuthorizationV1Api(connection)
    verb = {"namespace": namespace, "verb": "create", "group": names.GROUP}
    asked = [
        {"spec": {"user": user, "resourceAttributes": {**verb, "resource": plural}}}
        for plural in (names.STUDY_PLURAL, names.TRIAL_PLURAL)
    ]

    async def allowed() -> bool:
        answers = [reviews.create_subject_access_review(review) for review in asked]
        return all(answer.status.allowed for answer in answers)

    await eventually(allowed, f"{user} may create studies and trials")
