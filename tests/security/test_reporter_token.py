"""What the token in a trial's pod cannot do, tried with real tokens at the real API server."""

import base64
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from hack.cluster import engine as engines
from hack.cluster import kindcluster
from hyperband.api.study import parse_study
from hyperband.backends.kubernetes.render import render_pod
from hyperband.core.records import Suggestion, Trial, TrialState
from hyperband.core.rungs import Ladder
from tests.cluster.harness import IMAGE
from tests.security.attacker import PATIENCE, Answer, Attacker, metrics, until_allowed
from tests.studies import good_study

pytestmark = pytest.mark.cluster

ACCOUNT = "hyperband-reporter"
OWN, OTHER = "own", "other"
APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
PARTS = ["pods", *(f"pods/{p}" for p in ("status", "exec", "eviction", "ephemeralcontainers"))]
STRATEGIC = "application/strategic-merge-patch+json"


@dataclass
class Scene:
    """A namespace with two pods, and an attacker who has the token of one of them."""

    core: Any
    namespace: str
    elsewhere: str  # another namespace
    kubeconfig: Path
    attacker: Attacker

    def path(self, pod: str = OWN, namespace: str | None = None) -> str:
        return f"/api/v1/namespaces/{namespace or self.namespace}/pods/{pod}"

    def state(self, pod: str) -> dict[str, Any]:
        found = self.core.read_namespaced_pod(pod, self.namespace)
        body: dict[str, Any] = self.core.api_client.sanitize_for_serialization(found)
        metadata = body["metadata"]
        for volatile in ("managedFields", "resourceVersion"):
            metadata.pop(volatile, None)
        metadata.get("annotations", {}).pop("hyperband.dev/metrics", None)
        return {"metadata": metadata, "spec": body["spec"]}


def pod(name: str, **spec: Any) -> dict[str, Any]:
    """A pod that no node takes: only the API server matters here."""
    container = {"name": "train", "image": IMAGE, "command": ["sleep", "600"]}
    return {
        "metadata": {"name": name, "annotations": {"team.example/own": "1"}, "labels": {"a": "b"}},
        "spec": {
            "serviceAccountName": ACCOUNT,
            "nodeSelector": {"no-such": "node"},
            "containers": [container],
            **spec,
        },
    }


def token(core: Any, namespace: str, bound_to: Any = None, account: str = ACCOUNT) -> str:
    """A token as a kubelet asks for it, bound to a pod; or to none."""
    spec: dict[str, Any] = {"audiences": [], "expirationSeconds": 3600}
    if bound_to is not None:
        reference = {"kind": "Pod", "apiVersion": "v1"}
        reference |= {"name": bound_to.metadata.name, "uid": bound_to.metadata.uid}
        spec["boundObjectRef"] = reference
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    answer = core.create_namespaced_service_account_token(account, namespace, body)
    return str(answer.status.token)


@pytest.fixture
def scene(
    connection: Any, kubeconfig: Path, namespace: str, request: pytest.FixtureRequest
) -> Iterator[Scene]:
    core: Any = client.CoreV1Api(connection)
    own = core.create_namespaced_pod(namespace, pod(OWN))
    core.create_namespaced_pod(namespace, pod(OTHER))
    core.create_namespaced_pod("default", pod(f"{namespace}-pod", serviceAccountName="default"))
    attacker = Attacker(kubeconfig, token(core, namespace, own))
    found = Scene(core, namespace, "default", kubeconfig, attacker)
    until_allowed(attacker, found.path(), metrics("[]"))
    yield found
    core.delete_namespaced_pod(f"{namespace}-pod", "default", grace_period_seconds=0)


def patch(change: dict[str, Any], which: str = OWN) -> Callable[[Scene], Answer]:
    return lambda scene: scene.attacker.merge(scene.path(which), change)


def annotation(key: str) -> dict[str, Any]:
    return {"metadata": {"annotations": {key: "x"}}}


def applied(scene: Scene, name: str) -> Answer:
    body = {"apiVersion": "v1", "kind": "Pod", **pod(name)}
    return scene.attacker.ask("PATCH", f"{scene.path(name)}?fieldManager=x&force=true", body, APPLY)


ATTACKS: dict[str, Callable[[Scene], Answer]] = {
    # Another pod, by every kind of patch; an empty one would read it.
    "another pod's annotation": patch(metrics("[]"), OTHER),
    "reading another pod by a patch of nothing": patch({}, OTHER),
    "reading another pod by a dry run": lambda s: s.attacker.merge(
        f"{s.path(OTHER)}?dryRun=All", {}
    ),
    "another pod by a strategic merge": lambda s: s.attacker.ask(
        "PATCH", s.path(OTHER), metrics("[]"), STRATEGIC
    ),
    "another pod by a JSON patch": lambda s: s.attacker.ask(
        "PATCH",
        s.path(OTHER),
        [{"op": "add", "path": "/metadata/annotations/hyperband.dev~1metrics", "value": "[]"}],
        JSON_PATCH,
    ),
    "another pod by server-side apply": lambda s: applied(s, OTHER),
    "a new pod by server-side apply": lambda s: applied(s, "new"),
    "a pod of another namespace": lambda s: s.attacker.merge(
        s.path(f"{s.namespace}-pod", s.elsewhere), metrics("[]")
    ),
    # Its own pod, but more than the annotation.
    "another annotation": patch(annotation("team.example/other")),
    "changing another annotation": patch(annotation("team.example/own")),
    "removing another annotation": patch({"metadata": {"annotations": {"team.example/own": None}}}),
    "the operator's mark": patch(annotation("hyperband.dev/ended")),
    "the right annotation and another one": patch(
        {"metadata": {"annotations": {"hyperband.dev/metrics": "[]", "x.example/y": "z"}}}
    ),
    "labels": patch({"metadata": {"labels": {"hyperband.dev/study": "other"}}}),
    "removing labels": patch({"metadata": {"labels": None}}),
    "finalizers": patch({"metadata": {"finalizers": ["x.example/stay"]}}),
    "owners": patch(
        {
            "metadata": {
                "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": OTHER, "uid": "x"}]
            }
        }
    ),
    "the image": patch({"spec": {"containers": [{"name": "train", "image": "evil"}]}}),
    "the deadline": patch({"spec": {"activeDeadlineSeconds": 1}}),
    "tolerations": patch({"spec": {"tolerations": [{"operator": "Exists"}]}}),
    # Other requests.
    "status": lambda s: s.attacker.merge(f"{s.path()}/status", {"status": {"phase": "Succeeded"}}),
    "ephemeral containers": lambda s: s.attacker.merge(
        f"{s.path()}/ephemeralcontainers",
        {"spec": {"ephemeralContainers": [{"name": "e", "image": "evil"}]}},
    ),
    "resize": lambda s: s.attacker.merge(f"{s.path()}/resize", {"spec": {}}),
    "deletion": lambda s: s.attacker.ask("DELETE", s.path()),
    "deletion of all": lambda s: s.attacker.ask("DELETE", f"/api/v1/namespaces/{s.namespace}/pods"),
    "eviction": lambda s: s.attacker.ask(
        "POST",
        f"{s.path()}/eviction",
        {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": OWN}},
    ),
    "exec": lambda s: s.attacker.ask("POST", f"{s.path()}/exec?command=id&stdout=true"),
    "log": lambda s: s.attacker.ask("GET", f"{s.path(OTHER)}/log"),
    "reading its pod": lambda s: s.attacker.ask("GET", s.path()),
    "listing pods": lambda s: s.attacker.ask("GET", f"/api/v1/namespaces/{s.namespace}/pods"),
    "replacing its pod": lambda s: s.attacker.ask("PUT", s.path(), pod(OWN)),
    "creating a pod": lambda s: s.attacker.ask(
        "POST", f"/api/v1/namespaces/{s.namespace}/pods", pod("new")
    ),
    "secrets": lambda s: s.attacker.ask("GET", f"/api/v1/namespaces/{s.namespace}/secrets"),
    "config maps": lambda s: s.attacker.ask("GET", f"/api/v1/namespaces/{s.namespace}/configmaps"),
    "its study": lambda s: s.attacker.ask(
        "GET", f"/apis/hyperband.dev/v1alpha1/namespaces/{s.namespace}/hyperbandstudies"
    ),
    "a trial's record": lambda s: s.attacker.merge(
        f"/apis/hyperband.dev/v1alpha1/namespaces/{s.namespace}/hyperbandtrials/x/status",
        {"status": {"state": "Completed"}},
    ),
    "a token of its own account": lambda s: s.attacker.ask(
        "POST",
        f"/api/v1/namespaces/{s.namespace}/serviceaccounts/{ACCOUNT}/token",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
    ),
    # Too much of what it may.
    "an annotation of more than 64 KiB": patch(metrics("x" * 65_537)),
    "an annotation of 300 KiB": patch(metrics("x" * 300_000)),
    "an annotation of 10 MB": patch(metrics("x" * 10_000_000)),
}


def test_the_reporter_s_token_does_nothing_but_report(scene: Scene) -> None:
    before = {name: scene.state(name) for name in (OWN, OTHER)}
    done = {what: attack(scene) for what, attack in ATTACKS.items()}
    assert {what: answer.status for what, answer in done.items() if not answer.refused} == {}
    for what, answer in done.items():
        assert "environment" not in answer.body and "nodeSelector" not in answer.body, what
    assert {name: scene.state(name) for name in (OWN, OTHER)} == before
    names = [each.metadata.name for each in scene.core.list_namespaced_pod(scene.namespace).items]
    assert sorted(names) == [OTHER, OWN]
    # It was no outage: the right thing is still allowed.
    assert scene.attacker.merge(scene.path(), metrics('[{"epochs": 1}]')).status == 200
    print(f"attacks tried and refused: {len(done)}")


def test_tokens_that_are_not_bound_to_a_living_pod_are_refused(scene: Scene) -> None:
    unbound = Attacker(scene.kubeconfig, token(scene.core, scene.namespace))
    answer = unbound.merge(scene.path(), metrics("[]"))
    assert answer.refused and "not bound to this pod" in answer.message

    doomed = scene.core.create_namespaced_pod(scene.namespace, pod("doomed"))
    late = Attacker(scene.kubeconfig, token(scene.core, scene.namespace, doomed))
    until_allowed(late, scene.path("doomed"), metrics("[]"))
    scene.core.delete_namespaced_pod("doomed", scene.namespace, grace_period_seconds=0)
    again = scene.core.create_namespaced_pod(scene.namespace, pod("doomed"))
    assert again.metadata.uid != doomed.metadata.uid
    # A token is looked up again at the latest after the server's cache of it is out of date.
    deadline = time.monotonic() + PATIENCE
    while (answer := late.merge(scene.path("doomed"), metrics("[]"))).status != 401:
        assert answer.refused and "uid" in answer.message, "a pod of the same name is another"
        assert time.monotonic() < deadline
        time.sleep(1)


def test_an_expired_token_is_refused(scene: Scene, tmp_path: Path) -> None:
    """Signed with the cluster's own key, as tokens live for ten minutes at the least."""
    engine = engines.running()
    assert engine is not None, "the key is that of our own kind cluster: make up"
    (control_plane,) = (n.name for n in kindcluster.nodes(engine) if "control-plane" in n.name)
    key = tmp_path / "sa.key"
    key.write_text(engine.docker("exec", control_plane, "cat", "/etc/kubernetes/pki/sa.key"))
    header, claims = (_read(part) for part in scene.attacker.token.split(".")[:2])
    now = int(time.time())
    for expires, expected in ((now + 600, 200), (now - 60, 401)):
        times = {"iat": now - 3600, "nbf": now - 3600, "exp": expires}
        forged = Attacker(scene.kubeconfig, _sign(header, claims | times, key))
        assert forged.merge(scene.path(), metrics("[]")).status == expected
    other = tmp_path / "other.key"
    subprocess.run(
        ["openssl", "genrsa", "-out", str(other), "2048"], check=True, stderr=subprocess.DEVNULL
    )
    forged = Attacker(scene.kubeconfig, _sign(header, claims | {"exp": now + 600}, other))
    assert forged.merge(scene.path(), metrics("[]")).status == 401, "of another key"


def _read(part: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return body


def _sign(header: dict[str, Any], claims: dict[str, Any], key: Path) -> str:
    def text(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    signed = ".".join(text(json.dumps(part).encode()) for part in (header, claims))
    words = ["openssl", "dgst", "-sha256", "-sign", str(key)]
    done = subprocess.run(words, input=signed.encode(), capture_output=True, check=True)
    return f"{signed}.{text(done.stdout)}"


def test_other_requests_of_the_account_are_refused_whoever_has_given_it_roles(
    scene: Scene, connection: Any
) -> None:
    """An administrator who gives the account more by mistake: the policy holds against pods."""
    rbac: Any = client.RbacAuthorizationV1Api(connection)
    everything = {"apiGroups": [""], "resources": PARTS, "verbs": ["*"]}
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": scene.namespace}
    group = "rbac.authorization.k8s.io"
    rbac.create_namespaced_role(
        scene.namespace, {"metadata": {"name": "too-much"}, "rules": [everything]}
    )
    rbac.create_namespaced_role_binding(
        scene.namespace,
        {
            "metadata": {"name": "too-much"},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "too-much"},
            "subjects": [subject],
        },
    )
    deadline = time.monotonic() + PATIENCE
    while scene.attacker.ask("GET", scene.path()).status != 200:  # until the role is known
        assert time.monotonic() < deadline
        time.sleep(0.2)
    for what in (
        *("status", "ephemeral containers", "deletion", "deletion of all", "eviction", "exec"),
        *("creating a pod", "a new pod by server-side apply", "another pod's annotation"),
    ):
        answer = ATTACKS[what](scene)
        assert answer.refused, (what, answer.status, answer.message)
        assert "ValidatingAdmissionPolicy" in answer.message, (what, answer.message)
    left = scene.core.list_namespaced_pod(scene.namespace).items
    assert sorted(each.metadata.name for each in left) == [OTHER, OWN]


def test_what_a_pod_asks_for_is_short_lived_and_its_own() -> None:
    """An hour, renewed by the kubelet. Kubernetes takes 10 min at the least."""
    body = good_study()
    body["metadata"]["uid"] = "u"
    study = parse_study(body)
    trial = Trial(0, Suggestion({}, "Random"), 0, TrialState.PENDING, target=0, attempt=0)
    spec = render_pod(study, trial, "u", Ladder.of(study.study))["spec"]
    (volume,) = (each for each in spec["volumes"] if each["name"] == "hyperband-reporter")
    (asked,) = (s for s in volume["projected"]["sources"] if "serviceAccountToken" in s)
    assert 600 <= asked["serviceAccountToken"]["expirationSeconds"] <= 3600
    assert "audience" not in asked["serviceAccountToken"], "for the API server alone"
