"""What a study cannot gain for the one who creates it, at the real API server."""

import asyncio
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from hyperband.api import names
from tests.cluster.conftest import kubectl_on_the_path  # noqa: F401  # for the operator's tests
from tests.cluster.harness import (
    TIMEOUT,
    bench,
    condition,
    eventually,
    running_operator,
    study,
)
from tests.security.attacker import Answer, Attacker, until
from tests.security.test_reporter_token import token
from tests.studies import changed, good_study

pytestmark = pytest.mark.cluster

GROUP = "rbac.authorization.k8s.io"
API = f"/apis/{names.GROUP}/{names.VERSION}/namespaces"
CREATE = ["create", "get", "list", "update", "patch", "delete"]


@dataclass
class Team:
    """A namespace, and users of it with roles."""

    connection: Any
    kubeconfig: Path
    namespace: str

    def user(self, name: str, *rules: dict[str, Any], role: str | None = None) -> Attacker:
        """Somebody with these rules, or with a ClusterRole, in this namespace."""
        core: Any = client.CoreV1Api(self.connection)
        rbac: Any = client.RbacAuthorizationV1Api(self.connection)
        core.create_namespaced_service_account(self.namespace, {"metadata": {"name": name}})
        if role is None:
            body = {"metadata": {"name": name}, "rules": list(rules)}
            rbac.create_namespaced_role(self.namespace, body)
        reference = {"apiGroup": GROUP, "kind": "ClusterRole" if role else "Role"}
        subject = {"kind": "ServiceAccount", "name": name, "namespace": self.namespace}
        binding = {
            "metadata": {"name": name},
            "roleRef": {**reference, "name": role or name},
            "subjects": [subject],
        }
        rbac.create_namespaced_role_binding(self.namespace, binding)
        return Attacker(self.kubeconfig, token(core, self.namespace, account=name))

    def path(self, plural: str, namespace: str | None = None) -> str:
        return f"{API}/{namespace or self.namespace}/{plural}"

    def apply(self, user: Attacker, body: dict[str, Any], namespace: str | None = None) -> Answer:
        """Creates a study, for good."""
        return user.ask("POST", self.path(names.STUDY_PLURAL, namespace) + "?", body)


@pytest.fixture
def team(connection: Any, kubeconfig: Path, namespace: str) -> Team:
    return Team(connection, kubeconfig, namespace)


def rule(resource: str, *verbs: str, group: str = names.GROUP) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}


def suspended(name: str, namespace: str) -> dict[str, Any]:
    """Of which nothing is made, where an operator happens to run."""
    return changed(good_study(name, namespace), {"spec.suspend": True})


def allowed(what: Callable[[], Answer]) -> Answer:
    """The answer once the user's role is known to the server."""
    return until(what, lambda answer: answer.status in (200, 201))


def test_who_may_not_create_pods_may_not_have_them_created(team: Team) -> None:
    user = team.user("student", rule(names.STUDY_PLURAL, *CREATE))
    allowed(lambda: user.ask("GET", team.path(names.STUDY_PLURAL)))
    answer = team.apply(user, suspended("mine", team.namespace))
    assert answer.refused and "may not create pods in namespace" in answer.message

    editor = team.user("editor", role="edit")
    allowed(lambda: team.apply(editor, suspended("theirs", team.namespace)))
    # Nor by changing what somebody else may run.
    path = f"{team.path(names.STUDY_PLURAL)}/theirs"
    answer = user.merge(path, {"spec": {"suspend": False, "parallelism": 100}})
    assert answer.refused and "may not create pods" in answer.message
    answer = editor.merge(path, {"spec": {"trialTemplate": {"spec": {"hostNetwork": True}}}})
    assert answer.refused and "spec.trialTemplate cannot change" in answer.message
    answer = editor.merge(f"{path}/status", {"status": {"best": {"value": 0}}})
    assert answer.status == 403, "only the operator writes results"


def test_studies_stay_in_their_namespace(team: Team) -> None:
    editor = team.user("editor", role="edit")
    allowed(lambda: team.apply(editor, suspended("here", team.namespace)))
    assert team.apply(editor, suspended("there", "default"), "default").status == 403
    # The operator's own namespace is nobody's, not even the cluster's owner's.
    account = {"spec.trialTemplate.spec.serviceAccountName": "hyperband-operator"}
    own = changed(suspended("own", "hyperband-system"), account)
    objects: Any = client.CustomObjectsApi(team.connection)
    with pytest.raises(client.ApiException) as caught:
        objects.create_namespaced_custom_object(
            names.GROUP, names.VERSION, "hyperband-system", names.STUDY_PLURAL, own
        )
    assert "hyperband-system is the operator's own" in str(caught.value.body)
    for name in ("default/other", "../other", "other.default", "OTHER"):
        body = changed(suspended("warm", team.namespace), {"spec.warmStart.fromStudies": [name]})
        answer = team.apply(editor, body)
        # A dot is part of a name; what it names is looked for in this namespace alone.
        assert answer.refused or name == "other.default", name


def test_records_cannot_be_forged(team: Team) -> None:
    """Somebody was given rights on records, but not on their status."""
    user = team.user(
        "clerk",
        rule(names.TRIAL_PLURAL, *CREATE),
        rule(names.ARCHIVE_PLURAL, *CREATE),
        rule(names.STUDY_PLURAL, *CREATE),
        rule("pods", *CREATE, group=""),
    )
    allowed(lambda: user.ask("GET", team.path(names.TRIAL_PLURAL)))
    suggestion = {"parameters": {"x": 1}, "origin": "Random"}
    trial = {
        "apiVersion": names.API_VERSION,
        "kind": names.TRIAL_KIND,
        "metadata": {"name": "s-0", "labels": {names.STUDY_LABEL: "s"}},
        "spec": {"index": 0, "bracket": 0, "parameters": {"x": 1}, "suggestion": suggestion},
    }
    for attempt in (trial, {**trial, "status": {"state": "Completed"}}):
        answer = user.ask("POST", team.path(names.TRIAL_PLURAL), attempt)
        assert answer.refused, answer
    archive = {
        "apiVersion": names.API_VERSION,
        "kind": names.ARCHIVE_KIND,
        "metadata": {"name": "s-archive-0", "labels": {names.STUDY_LABEL: "s"}},
        "spec": {"format": "gzip+json", "data": "AAAA", "trials": 1, "first": 0, "last": 0},
    }
    assert user.ask("POST", team.path(names.ARCHIVE_PLURAL), archive).refused
    # One that is there.
    objects: Any = client.CustomObjectsApi(team.connection)
    where = (names.GROUP, names.VERSION, team.namespace, names.TRIAL_PLURAL)
    objects.create_namespaced_custom_object(*where, trial)
    path = f"{team.path(names.TRIAL_PLURAL)}/s-0"
    for change in ({"spec": {"parameters": {"x": 0}}}, {"spec": {"bracket": 1}}):
        answer = user.merge(path, change)
        assert answer.refused, answer
    assert user.merge(f"{path}/status", {"status": {"state": "Completed"}}).status == 403


def test_a_lease_holds_up_no_operator(team: Team) -> None:
    """Nor is one asked to give away a namespace, again and again."""
    editor = team.user("editor", role="edit")
    path = f"/apis/coordination.k8s.io/v1/namespaces/{team.namespace}/leases"

    def lease(name: str) -> dict[str, Any]:
        spec = {"holderIdentity": "mallory", "leaseDurationSeconds": 2**31 - 1}
        return {"kind": "Lease", "metadata": {"name": name}, "spec": spec}

    allowed(lambda: editor.ask("POST", path, lease("another")))
    for name in (names.LEASE, names.NAMESPACE_LEASE):
        answer = editor.ask("POST", path, lease(name))
        assert answer.refused and "elects the operator that works" in answer.message
    leases: Any = client.CoordinationV1Api(team.connection)
    theirs = {"metadata": {"name": names.NAMESPACE_LEASE}, "spec": {"holderIdentity": "operator"}}
    leases.create_namespaced_lease(team.namespace, theirs)
    own = f"{path}/{names.NAMESPACE_LEASE}"
    for change in ({"holderIdentity": "mallory"}, {"holderIdentity": None}):
        assert editor.merge(own, {"spec": change}).refused
    wish = {"metadata": {"annotations": {names.WANTED_ANNOTATION: "mallory"}}}
    assert editor.merge(own, wish).refused
    allowed(lambda: editor.ask("DELETE", f"{path}/another"))
    for path_ in (own, path):  # one, or all of them at once
        answer = editor.ask("DELETE", path_)
        assert answer.refused and "elects the operator that works" in answer.message


def test_a_lease_that_elects_goes_with_its_namespace(connection: Any) -> None:
    """Its controller deletes it: a policy that refused that would keep both for ever."""
    core: Any = client.CoreV1Api(connection)
    leases: Any = client.CoordinationV1Api(connection)
    name = f"test-{uuid.uuid4().hex[:10]}"
    core.create_namespace({"metadata": {"name": name}})
    leases.create_namespaced_lease(name, {"metadata": {"name": names.NAMESPACE_LEASE}, "spec": {}})
    core.delete_namespace(name)
    found = f"metadata.name={name}"
    # Those of the tests before are being removed, too, and the controller asks slowly.
    until(lambda: core.list_namespace(field_selector=found).items, lambda items: not items, TIMEOUT)


def test_studies_that_are_too_large_are_refused_in_a_sentence(team: Team) -> None:
    editor = team.user("editor", role="edit")
    allowed(lambda: team.apply(editor, suspended("good", team.namespace)))
    many = [{"name": f"p{i}", "type": "Float", "min": 0, "max": 1} for i in range(10_000)]
    answer = team.apply(
        editor, changed(suspended("many", team.namespace), {"spec.parameters": many})
    )
    assert answer.refused and "spec.parameters: Too many: 10000: must have at most 200" in (
        answer.message
    )
    values = [f"{i}" * 100 for i in range(30_000)]
    huge = [{"name": "p", "type": "Categorical", "values": values}]
    answer = team.apply(
        editor, changed(suspended("huge", team.namespace), {"spec.parameters": huge})
    )
    assert answer.refused and len(answer.message) < 5000
    note = {"metadata.annotations": {"x.example/y": "x" * 10_000_000}}
    assert team.apply(editor, changed(suspended("fat", team.namespace), note)).refused


def test_the_token_is_nobody_s_but_the_sidecar_s(team: Team) -> None:
    editor = team.user("editor", role="edit")
    allowed(lambda: team.apply(editor, suspended("good", team.namespace)))
    pod = "spec.trialTemplate.spec"
    attacks: dict[str, dict[str, Any]] = {
        "mount": {
            f"{pod}.containers.0.volumeMounts": [
                {"name": "hyperband-reporter", "mountPath": "/token"}
            ]
        },
        "volume": {f"{pod}.volumes": [{"name": "hyperband-reporter", "emptyDir": {}}]},
        "container": {f"{pod}.initContainers": [{"name": "hyperband-sidecar", "image": "evil"}]},
        "variable": {
            f"{pod}.containers.0.env": [{"name": "HYPERBAND_REPORT_FILE", "value": "/etc/passwd"}]
        },
        "label": {"spec.trialTemplate.metadata.labels": {names.STUDY_LABEL: "other"}},
        "annotation": {"spec.trialTemplate.metadata.annotations": {names.METRICS_ANNOTATION: "[]"}},
        "restarts": {f"{pod}.restartPolicy": "Always"},
    }
    for what, change in attacks.items():
        answer = team.apply(editor, changed(suspended("bad", team.namespace), change))
        assert answer.refused, (what, answer)


# -- with an operator ----------------------------------------------------------------------------

# A training that tries to get at the sidecar's token and to have it reported.
THIEF = r"""
for place in /var/run/secrets /run/secrets /proc/1/root/var/run/secrets; do
  find "$place" -name token 2>/dev/null | while read -r found; do
    echo "{\"epochs\": 1, \"loss\": 1, \"stolen\": \"$(cat "$found")\"}" >>"$HYPERBAND_REPORT_FILE"
  done
done
cd "$(dirname "$HYPERBAND_REPORT_FILE")"
echo '{"epochs": 1, "loss": 0.5}' >>metrics.jsonl
sleep 2
mv metrics.jsonl kept
ln -s /var/run/secrets/hyperband.dev/token metrics.jsonl
sleep 2
rm metrics.jsonl
mkfifo metrics.jsonl
sleep 2
rm metrics.jsonl
ln -s /proc/self/environ metrics.jsonl
sleep 2
rm metrics.jsonl
echo '{"epochs": 9, "loss": 0.25}' >metrics.jsonl
"""


@pytest.mark.usefixtures("sidecar_image")
async def test_a_training_does_not_get_its_sidecar_s_token(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here:
            body = study("thief", ["sh", "-c", THIEF], reporting={"mode": "Sidecar"})
            body["spec"] |= {"maxTrials": 1, "hyperband": {"mode": "None"}}
            pod_spec = body["spec"]["trialTemplate"]["spec"]
            pod_spec["terminationGracePeriodSeconds"] = 30  # for the last report to be taken
            pod_spec["containers"][0]["resources"] = {"requests": {"cpu": "20m"}}
            await here.apply(body)
            found = await here.finished("thief")
            (pod,) = await here.pods("thief")
            (trial,) = await here.trials("thief")
    reports = json.loads(pod.metadata.annotations[names.METRICS_ANNOTATION])
    assert [(each["epochs"], each["loss"]) for each in reports] == [(1, 0.5), (9, 0.25)]
    for text in (json.dumps(reports), json.dumps(trial), json.dumps(found["status"])):
        assert "eyJ" not in text and "stolen" not in text and "KUBERNETES" not in text
    assert condition(found, "Succeeded") == "True"


async def test_a_host_path_under_restricted_pod_security_holds_the_study(
    connection: Any, kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    core: Any = client.CoreV1Api(connection)
    enforce = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    await asyncio.to_thread(core.patch_namespace, namespace, enforce)
    log = tmp_path / "operator.log"
    with running_operator(namespace, log, may_be_refused=True):
        async with bench(kubeconfig, namespace) as here:
            body = study("intruder")
            pod = body["spec"]["trialTemplate"]["spec"]
            pod["volumes"] = [{"name": "host", "hostPath": {"path": "/"}}]
            pod["containers"][0]["volumeMounts"] = [{"name": "host", "mountPath": "/host"}]
            await here.apply(body)

            async def held() -> bool:
                found = await here.study("intruder")
                return condition(found, "Ready", "reason") == "TemplateForbidden"

            await eventually(held, "the study is held")
            found = await here.study("intruder")
            message = condition(found, "Ready", "message")
            assert "violates PodSecurity" in message and "hostPath" in message
            version = found["metadata"]["resourceVersion"]
            tried = log.read_text().count("403 Forbidden")

            async def tried_again() -> bool:
                return log.read_text().count("403 Forbidden") > tried

            # It looks again now and then, and neither loops nor writes the same again.
            with pytest.raises(AssertionError):
                await eventually(tried_again, "", timeout=3)
            assert (await here.study("intruder"))["metadata"]["resourceVersion"] == version
            assert not await here.trials("intruder") and not await here.pods("intruder")
