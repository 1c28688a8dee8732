"""What a pod says about its attempt: one row for each sign that a cluster gives."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from hyperband.api.study import parse_study
from hyperband.backends.kubernetes import attempts
from hyperband.backends.kubernetes.objects import Pod
from hyperband.backends.kubernetes.sightings import sight
from hyperband.core.decisions import Outcome
from tests.studies import good_study

STUDY = parse_study(good_study()).study
START = datetime(2026, 1, 1, tzinfo=UTC)


def pod(**status: Any) -> Pod:
    deleted = status.pop("deleted", False)
    body = {
        "metadata": {"name": "s-3-1", "uid": "u", "resourceVersion": "1"},
        "spec": {
            "initContainers": [
                {"name": "fetch"},
                {"name": "hyperband-sidecar", "restartPolicy": "Always"},
            ],
            "containers": [
                {"name": "train", "resources": {"limits": {"nvidia.com/gpu": "2", "cpu": "1"}}},
                {"name": "side", "resources": {"limits": {"nvidia.com/gpu": 1}}},
            ],
        },
        "status": {"startTime": "2026-01-01T00:00:00Z", **status},
    }
    if deleted:
        body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:09Z"  # type: ignore[index]
    return msgspec.convert(body, Pod)


def terminated(code: int, reason: str = "Error") -> dict[str, Any]:
    state = {
        "exitCode": code,
        "reason": reason,
        "startedAt": "2026-01-01T00:00:04Z",
        "finishedAt": "2026-01-01T00:00:10Z",
    }
    return {"containerStatuses": [{"name": "train", "state": {"terminated": state}}]}


def disrupted(reason: str, status: str = "True") -> dict[str, Any]:
    return {"conditions": [{"type": "DisruptionTarget", "status": status, "reason": reason}]}


@pytest.mark.parametrize(
    ("status", "outcome", "detail"),
    [
        ({"phase": "Succeeded"}, Outcome.SUCCEEDED, ""),
        # An eviction marks pods that have succeeded, too.
        ({"phase": "Succeeded", **disrupted("EvictionByEvictionAPI")}, Outcome.SUCCEEDED, ""),
        ({"phase": "Failed", **terminated(1)}, Outcome.FAILED, "exit code 1"),
        (
            {"phase": "Failed", **terminated(137, "OOMKilled")},
            Outcome.FAILED,
            "exit code 137 (OOMKilled)",
        ),
        ({"phase": "Failed", **terminated(137)}, Outcome.FAILED, "exit code 137 (SIGKILL)"),
        ({"phase": "Failed", **terminated(139)}, Outcome.FAILED, "exit code 139 (SIGSEGV)"),
        ({"phase": "Failed", "reason": "DeadlineExceeded"}, Outcome.FAILED, "DeadlineExceeded"),
        (
            {"phase": "Failed", "reason": "Evicted", "message": "emptyDir"},
            Outcome.FAILED,
            "emptyDir",
        ),
        (
            {"phase": "Failed", **disrupted("PreemptionByScheduler")},
            Outcome.DISRUPTED,
            "Preemption",
        ),
        (
            {"phase": "Failed", "reason": "Evicted", **disrupted("TerminationByKubelet")},
            Outcome.DISRUPTED,
            "TerminationByKubelet",
        ),
        # The condition was taken back: the pod was not deleted after all.
        (
            {"phase": "Failed", **terminated(2), **disrupted("PreemptionByScheduler", "False")},
            Outcome.FAILED,
            "exit code 2",
        ),
        ({"phase": "Failed", "reason": "OutOfnvidia.com/gpu"}, Outcome.DISRUPTED, "OutOf"),
        (
            {"phase": "Failed", "reason": "UnexpectedAdmissionError"},
            Outcome.DISRUPTED,
            "Unexpected",
        ),
        (
            {"phase": "Failed", **terminated(137, "ContainerStatusUnknown")},
            Outcome.DISRUPTED,
            "lost",
        ),
        # containerd, after the machine was down under its containers.
        ({"phase": "Failed", **terminated(255, "Unknown")}, Outcome.DISRUPTED, "lost"),
        ({"phase": "Failed", "reason": "TopologyAffinityError"}, Outcome.DISRUPTED, "Topology"),
        (
            {
                "phase": "Failed",
                "initContainerStatuses": [
                    {"name": "fetch", "state": {"terminated": {"exitCode": 7, "reason": "Error"}}}
                ],
                "containerStatuses": [
                    {"name": "train", "state": {"waiting": {"reason": "PodInitializing"}}}
                ],
            },
            Outcome.FAILED,
            "container fetch: exit code 7",
        ),
        ({"phase": "Failed", "deleted": True, **terminated(143)}, Outcome.DISRUPTED, "deleted"),
        ({"phase": "Failed"}, Outcome.FAILED, "before its container ran"),
    ],
)
def test_how_an_attempt_ended(status: dict[str, Any], outcome: Outcome, detail: str) -> None:
    how = attempts.ending(pod(**status))
    assert how.outcome is outcome
    assert detail in how.detail


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (
            {
                "phase": "Pending",
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
                ],
            },
            "Unschedulable",
        ),
        (
            {
                "phase": "Pending",
                "containerStatuses": [
                    {"name": "train", "state": {"waiting": {"reason": "ErrImagePull"}}}
                ],
            },
            "ErrImagePull",
        ),
        (
            {
                "phase": "Pending",
                "containerStatuses": [
                    {"name": "train", "state": {"waiting": {"reason": "ContainerCreating"}}}
                ],
            },
            None,
        ),
        ({"phase": "Running"}, None),
        (
            {
                "phase": "Failed",
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
                ],
            },
            None,
        ),
    ],
)
def test_why_a_pod_waits(status: dict[str, Any], reason: str | None) -> None:
    found = attempts.waiting_reason(pod(**status), START + timedelta(seconds=5))
    assert (found[0] if found else None) == reason


def test_a_pod_that_is_not_created_for_long_has_a_reason_in_its_events() -> None:
    state = {"name": "train", "state": {"waiting": {"reason": "ContainerCreating"}}}
    found = attempts.waiting_reason(
        pod(phase="Pending", containerStatuses=[state]), START + timedelta(seconds=31)
    )
    assert found is not None and found[0] == "ContainerCreating"
    assert "kubectl describe pod s-3-1" in found[1]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("", ""),
        ("Traceback …\n  File …\nKeyError: 'momentum'\n\n", ": KeyError: 'momentum'"),
        ("x" * 300, f": …{'x' * 200}"),
    ],
)
def test_the_last_words_of_a_training_are_quoted(message: str, words: str) -> None:
    status = terminated(1)
    status["containerStatuses"][0]["state"]["terminated"]["message"] = message
    assert attempts.ending(pod(phase="Failed", **status)).detail == f"exit code 1{words}"


def test_a_container_that_never_started_has_not_trained() -> None:
    status = terminated(128, "StartError")
    status["containerStatuses"][0]["state"]["terminated"]["startedAt"] = "1970-01-01T00:00:00Z"
    never = pod(phase="Failed", **status)
    assert attempts.usage(never, ()).trained is None
    assert not attempts.trains(never)
    assert attempts.trains(pod(phase="Failed", **terminated(1)))


def test_a_container_whose_image_never_came_has_not_trained() -> None:
    """So kubelets say of it when its pod is ended, by a hold as well as by a person."""
    status = terminated(137, "ContainerStatusUnknown")
    status["containerStatuses"][0]["state"]["terminated"] |= {"startedAt": None, "finishedAt": None}
    ended = pod(phase="Failed", reason="DeadlineExceeded", **status)
    assert attempts.usage(ended, ()).trained is None
    assert not attempts.trains(ended)


@pytest.mark.parametrize(
    ("code", "other", "early"),
    [
        (1, {"running": {}}, True),
        (1, {"waiting": {"reason": "ErrImagePull"}}, True),  # the pod would never end
        (1, {"terminated": {"exitCode": 0}}, False),  # the pod ends by itself
        (0, {"running": {}}, False),
    ],
)
def test_a_training_that_fails_beside_other_containers(
    code: int, other: dict[str, Any], early: bool
) -> None:
    status = terminated(code)
    status["containerStatuses"].append({"name": "side", "state": other})
    assert attempts.failed_early(pod(phase="Running", **status)) is early


def test_a_pod_that_is_gone_was_taken_away_for_the_reason_that_it_had_last() -> None:
    seen = sight(pod(phase="Running", **disrupted("PreemptionByScheduler")), STUDY, gone=True)
    assert seen.outcome().outcome is Outcome.DISRUPTED
    assert "PreemptionByScheduler" in seen.outcome().detail
    assert sight(pod(phase="Running"), STUDY, gone=True).outcome().detail == "its pod was deleted"


def named(name: str, owner: str = "s-3") -> Pod:
    owners = [{"uid": "t", "kind": "HyperbandTrial", "name": owner, "controller": True}]
    metadata = {"name": name, "uid": "u", "resourceVersion": "1", "ownerReferences": owners}
    return msgspec.convert({"metadata": metadata}, Pod)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("s-3-0", 0),
        ("s-3-12", 12),
        ("s-3-012", None),
        ("s-3-99999999999999999999", None),
        ("s-3-x", None),
        ("evil-0", None),
        ("s-33-0", None),
    ],
)
def test_attempt_numbers_come_from_names_that_fit_the_owner(name: str, number: int | None) -> None:
    assert attempts.attempt_number(named(name)) == number


def test_usage_counts_gpus_of_all_containers_from_acceptance_to_the_last_end() -> None:
    used = attempts.usage(pod(phase="Failed", **terminated(1)), ("nvidia.com/gpu",))
    assert used.gpus == 3
    assert used.trained == START + timedelta(seconds=4)
    assert used.gpu_seconds(START + timedelta(hours=1)) == 3 * 10


def test_usage_of_a_pod_that_runs_goes_up_to_now() -> None:
    used = attempts.usage(pod(phase="Running"), ("nvidia.com/gpu",))
    assert used.gpu_seconds(START + timedelta(seconds=7)) == 21


def test_usage_of_a_pod_that_no_node_took_is_nothing() -> None:
    waiting = msgspec.convert(
        {"metadata": {"name": "s-0-0", "uid": "u", "resourceVersion": "1"}}, Pod
    )
    assert attempts.usage(waiting, ("nvidia.com/gpu",)).gpu_seconds(START) == 0


def beside(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    """The status of the sidecar, which has ended."""
    end = {"exitCode": code, "reason": reason, "message": message}
    return {"initContainerStatuses": [{"name": "hyperband-sidecar", "state": {"terminated": end}}]}


@pytest.mark.parametrize("reason", ["Error", "OOMKilled"])
def test_a_sidecar_s_end_is_never_the_training_s(reason: str) -> None:
    ended = attempts.ending(pod(phase="Failed", **terminated(3), **beside(137, reason)))
    assert ended == attempts.Ending(Outcome.FAILED, "exit code 3")
    alone = attempts.ending(pod(phase="Failed", **beside(137, reason)))
    assert alone.detail == "the pod failed before its container ran"


@pytest.mark.parametrize(
    ("code", "reason", "outcome"),
    [
        (0, "Completed", Outcome.SUCCEEDED),
        (1, "Error", Outcome.SUCCEEDED),
        (137, "OOMKilled", Outcome.SUCCEEDED),
        # The API server was away: no fault of the training's.
        (75, "Error", Outcome.DISRUPTED),
    ],
)
def test_a_success_says_what_became_of_its_reports(
    code: int, reason: str, outcome: Outcome
) -> None:
    status = beside(code, reason, "hyperband.report: first\nhyperband.report: not delivered\n")
    found = attempts.ending(pod(phase="Succeeded", **terminated(0), **status))
    assert found.outcome is outcome
    assert bool(found.detail) is (code != 0)
    if code:
        assert found.detail.startswith(f"container hyperband-sidecar: exit code {code}")
        assert found.detail.endswith("hyperband.report: not delivered")


def test_a_sidecar_that_waits_is_named() -> None:
    waits = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image x"}}
    status = {"initContainerStatuses": [{"name": "hyperband-sidecar", "state": waits}]}
    found = attempts.waiting_reason(pod(phase="Pending", **status), START)
    assert found == (
        "ImagePullBackOff",
        "container hyperband-sidecar: Back-off pulling image x",
    )
