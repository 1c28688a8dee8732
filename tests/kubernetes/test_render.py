"""The pod of an attempt against golden YAML; UPDATE_GOLDEN=1 writes it again."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from hyperband.api.study import parse_study
from hyperband.backends.kubernetes.render import render_pod
from hyperband.core.records import RungValue, Suggestion, Trial, TrialState
from hyperband.core.rungs import Ladder
from tests.studies import good_study

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
UID = "11111111-2222-3333-4444-555555555555"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def trial(**changes: Any) -> Trial:
    parameters = {"rate": 1e-05, "layers": 2, "activation": "relu", "dropout": 0.1, "flag": True}
    values: dict[str, Any] = {
        "index": 7,
        "suggestion": Suggestion(parameters, "Random"),
        "bracket": 3,
        "state": TrialState.PENDING,
        "target": 1,
        "attempt": 1,
        "rungs": (RungValue(0, 0.5, 3, 1.0),),
    }
    return Trial(**(values | changes))


def rendered(body: dict[str, Any], one: Trial) -> dict[str, Any]:
    body["metadata"]["uid"] = UID
    study = parse_study(body)
    return render_pod(study, one, "trial-uid", Ladder.of(study.study))


def minimal() -> dict[str, Any]:
    """No checkpoint, an annotation by hand, a template that says as little as it may."""
    body = good_study()
    del body["spec"]["checkpoint"]
    body["spec"]["reporting"] = {"mode": "Manual"}
    container = {"name": "train", "image": "trainer"}
    body["spec"]["trialTemplate"] = {"spec": {"containers": [container]}}
    return body


def opinionated() -> dict[str, Any]:
    """A template that has its own view of everything that the operator would add."""
    body = good_study()
    expression = {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a"]}
    zone = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    near_data = {
        "topologyKey": "topology.kubernetes.io/zone",
        "labelSelector": {"matchLabels": {"app": "data"}},
    }
    body["spec"]["trialTemplate"] = {
        "metadata": {
            "labels": {"team": "vision", "kueue.x-k8s.io/queue-name": "gpus"},
            "annotations": {
                "kubectl.kubernetes.io/default-container": "train",
                "karpenter.sh/do-not-disrupt": "true",
            },
        },
        "spec": {
            "serviceAccountName": "own",
            "affinity": {
                "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": zone},
                "podAffinity": {PREFERRED: [{"weight": 50, "podAffinityTerm": near_data}]},
            },
            "schedulingGates": [{"name": "team.example/quota"}],
            "automountServiceAccountToken": True,
            "tolerations": [
                {"key": "nvidia.com/gpu", "operator": "Exists"},
                {
                    "key": "node.kubernetes.io/unreachable",
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": 600,
                },
            ],
            "volumes": [{"name": "data", "emptyDir": {}}],
            "containers": [
                {"name": "proxy", "image": "proxy"},
                {
                    "name": "train",
                    "image": "trainer",
                    "args": ["--rate=$(HYPERBAND_PARAM_RATE)"],
                    "env": [{"name": "MINE", "value": "$(HYPERBAND_TRIAL)"}],
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                    "resources": {"limits": {"nvidia.com/gpu": 2}},
                },
            ],
        },
    }
    return body


def sidecar() -> dict[str, Any]:
    """A training that only writes a file."""
    body = minimal()
    body["spec"]["reporting"] = {"mode": "Sidecar"}
    body["spec"]["trialTemplate"]["spec"]["initContainers"] = [{"name": "fetch", "image": "fetch"}]
    return body


KINDS = {
    "good": good_study,
    "minimal": minimal,
    "opinionated": opinionated,
    "sidecar": sidecar,
}


@pytest.mark.parametrize("name", KINDS)
def test_golden_pods(name: str) -> None:
    body = KINDS[name]()
    text = yaml.safe_dump(rendered(body, trial()), sort_keys=False, width=100)
    golden = GOLDEN / f"pod-{name}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text(), "if that is meant: UPDATE_GOLDEN=1, and look at the diff"


def test_rendering_leaves_the_template_alone() -> None:
    body = opinionated()
    before = yaml.safe_dump(body["spec"]["trialTemplate"])
    rendered(body, trial())
    assert yaml.safe_dump(body["spec"]["trialTemplate"]) == before


def test_a_new_trial_starts_from_nothing() -> None:
    pod = rendered(good_study(), trial(rungs=(), target=0, attempt=0))
    env = {e["name"]: e.get("value") for e in pod["spec"]["containers"][0]["env"]}
    assert env["HYPERBAND_RESOURCE_FROM"] == "0"
    assert env["HYPERBAND_RESOURCE_TO"] == "1"
    assert pod["metadata"]["name"] == "digits-7-0"


def test_a_value_that_looks_like_a_reference_is_none() -> None:
    odd = Suggestion({"activation": "$(HYPERBAND_TRIAL)"}, "Random")
    pod = rendered(good_study(), trial(suggestion=odd))
    env = {e["name"]: e.get("value") for e in pod["spec"]["containers"][0]["env"]}
    assert env["HYPERBAND_PARAM_ACTIVATION"] == "$$(HYPERBAND_TRIAL)"  # Kubernetes' escape


def test_checkpoints_are_apart_by_study_and_the_same_for_every_attempt() -> None:
    def folder(uid: str, **changes: Any) -> str:
        body = good_study()
        body["metadata"]["uid"] = uid
        study = parse_study(body)
        ladder = Ladder.of(study.study)
        pod = render_pod(study, trial(**changes), "t", ladder)
        env = {e["name"]: e.get("value") for e in pod["spec"]["containers"][0]["env"]}
        return str(env["HYPERBAND_CHECKPOINT_DIR"])

    assert folder("a" * 36, attempt=0) == folder("a" * 36, attempt=5)
    assert folder("a" * 36) != folder("b" * 36)
    assert folder("a" * 36, index=1) != folder("a" * 36, index=2)


def test_what_a_toleration_says_is_for_the_server_to_judge() -> None:
    body = good_study()
    given = [{"key": {"a": []}, "effect": "NoExecute"}]
    body["spec"]["trialTemplate"]["spec"]["tolerations"] = given
    tolerations = rendered(body, trial())["spec"]["tolerations"]
    assert tolerations[0] == given[0]
    assert len(tolerations) == 3


@pytest.mark.parametrize("given", [3, "fetch", ["fetch"], None, [{"name": "fetch"}]])
def test_what_init_containers_are_is_for_the_server_to_judge(given: Any) -> None:
    body = good_study()
    body["spec"]["trialTemplate"]["spec"]["initContainers"] = given
    rendered_ = rendered(body, trial())["spec"]["initContainers"]
    said = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    assert rendered_ == ([{"name": "fetch", **said}] if given == [{"name": "fetch"}] else given)


def test_only_pods_with_gpus_are_packed_and_only_if_the_study_wants_it() -> None:
    body = good_study()
    assert "affinity" in rendered(body, trial())["spec"]
    body["spec"]["scheduling"]["pack"] = False
    assert "affinity" not in rendered(body, trial())["spec"]
    assert "affinity" not in rendered(minimal(), trial())["spec"]


@pytest.mark.parametrize(
    "given", ["near", {"podAffinity": 3}, {"podAffinity": {PREFERRED: {"weight": 1}}}]
)
def test_what_an_affinity_is_is_for_the_server_to_judge(given: Any) -> None:
    body = good_study()
    body["spec"]["trialTemplate"]["spec"]["affinity"] = given
    assert rendered(body, trial())["spec"]["affinity"] == given


@pytest.mark.parametrize("given", [None, {}, {"podAffinity": None}, {"podAffinity": {}}])
def test_an_affinity_that_says_nothing_is_filled_in(given: Any) -> None:
    body = good_study()
    body["spec"]["trialTemplate"]["spec"]["affinity"] = given
    (near,) = rendered(body, trial())["spec"]["affinity"]["podAffinity"][PREFERRED]
    assert near["weight"] == 1
    assert near["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"


def test_the_users_word_on_evictions_counts() -> None:
    body = minimal()
    assert rendered(body, trial())["metadata"]["annotations"] == {
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
        "karpenter.sh/do-not-disrupt": "true",
    }
    own = {
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "true",
        "karpenter.sh/do-not-disrupt": "false",
    }
    body["spec"]["trialTemplate"]["metadata"] = {"annotations": own}
    assert rendered(body, trial())["metadata"]["annotations"] == own


def container(pod: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (
        each
        for each in (*pod["spec"]["containers"], *pod["spec"].get("initContainers", []))
        if each["name"] == name
    )
    return dict(found)


def mounted(one: dict[str, Any]) -> set[str]:
    return {mount["name"] for mount in one.get("volumeMounts", [])}


def test_the_sidecar_alone_has_the_token() -> None:
    pod = rendered(sidecar(), trial())
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert mounted(container(pod, "train")) == {"hyperband-report"}
    assert mounted(container(pod, "fetch")) == set()
    assert mounted(container(pod, "hyperband-sidecar")) == {
        "hyperband-report",
        "hyperband-reporter",
    }


def test_training_and_sidecar_mean_the_same_file() -> None:
    pod = rendered(sidecar(), trial())
    files, roots = set(), set()
    for name in ("train", "hyperband-sidecar"):
        one = container(pod, name)
        files |= {e["value"] for e in one["env"] if e["name"] == "HYPERBAND_REPORT_FILE"}
        (root,) = (m["mountPath"] for m in one["volumeMounts"] if m["name"] == "hyperband-report")
        roots.add(root)
    assert len(files) == len(roots) == 1
    assert Path(files.pop()).parent == Path(roots.pop())
    assert "HYPERBAND_REPORT_FILE" not in str(rendered(minimal(), trial()))


def test_the_sidecar_s_image_is_the_study_s_or_the_operator_s() -> None:
    body = sidecar()
    body["metadata"]["uid"] = UID
    study = parse_study(body)
    pod = render_pod(study, trial(), "u", Ladder.of(study.study), "example.com/sidecar:1")
    assert container(pod, "hyperband-sidecar")["image"] == "example.com/sidecar:1"
    body["spec"]["reporting"]["image"] = "example.com/own:2"
    assert container(rendered(body, trial()), "hyperband-sidecar")["image"] == "example.com/own:2"


@pytest.mark.parametrize(
    ("limits", "expected"), [({"memory": "1Gi"}, {"memory"}), ({"cpu": 1}, {"cpu", "memory"})]
)
def test_the_sidecar_s_cpu_is_limited_where_the_training_s_is(
    limits: dict[str, Any], expected: set[str]
) -> None:
    body = sidecar()
    body["spec"]["trialTemplate"]["spec"]["containers"][0]["resources"] = {"limits": limits}
    resources = container(rendered(body, trial()), "hyperband-sidecar")["resources"]
    assert set(resources["limits"]) == expected
    # So that a pod of class Guaranteed stays one.
    assert all(resources["requests"][name] == each for name, each in resources["limits"].items())


@pytest.mark.parametrize(
    ("grace", "seconds"), [(None, "20"), (600, "20"), (10, "9"), (0, "1"), ("ten", "20")]
)
def test_the_sidecar_is_done_before_it_is_killed(grace: Any, seconds: str) -> None:
    body = sidecar()
    if grace is not None:
        body["spec"]["trialTemplate"]["spec"]["terminationGracePeriodSeconds"] = grace
    env = container(rendered(body, trial()), "hyperband-sidecar")["env"]
    assert {"name": "HYPERBAND_FLUSH_SECONDS", "value": seconds} in env


@pytest.mark.parametrize("given", [3, "fetch"])
def test_what_init_containers_beside_a_sidecar_are_is_for_the_server_to_judge(given: Any) -> None:
    body = sidecar()
    body["spec"]["trialTemplate"]["spec"]["initContainers"] = given
    assert rendered(body, trial())["spec"]["initContainers"] == given
