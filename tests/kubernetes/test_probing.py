"""What the first pods of a study tell about its template."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from hyperband.api.study import parse_study
from hyperband.api.trial import AttemptRecord, TrialResource
from hyperband.backends.kubernetes.objects import Pod
from hyperband.backends.kubernetes.probing import NODES, Hold, judge
from hyperband.core.decisions import Reason
from hyperband.core.records import Report, RungValue, Suggestion, Trial, TrialState
from hyperband.core.rungs import Ladder
from tests.studies import good_study

START = datetime(2026, 1, 1, tzinfo=UTC)
LATER = START + timedelta(minutes=1)
LADDER = Ladder.of(parse_study(good_study()).study)
NOWHERE = (
    "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient nvidia.com/gpu. "
    "no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful "
    "for scheduling."
)
FULL = (
    "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient nvidia.com/gpu. "
    "no new claims to deallocate, preemption: 0/3 nodes are available: 1 Preemption is not helpful "
    "for scheduling, 2 No preemption victims found for incoming pod."
)
NO_CLAIM = '0/3 nodes are available: persistentvolumeclaim "scratch" not found. not found'


def trial(index: int, *ends: str, state: TrialState = TrialState.PENDING) -> TrialResource:
    """A trial whose attempts have failed with these words."""
    record = Trial(index, Suggestion({}, "Random"), 0, state, 0, attempt=len(ends))
    attempts = tuple(
        AttemptRecord(number, f"s-{index}-{number}", outcome="Failed", reason=words)
        for number, words in enumerate(ends)
    )
    return TrialResource(record, f"s-{index}", f"uid-{index}", "1", LADDER, attempts=attempts)


def pod(name: str, state: dict[str, Any] | None = None, **status: Any) -> Pod:
    if state is not None:
        status["containerStatuses"] = [{"name": "train", "state": state}]
    body = {
        "metadata": {"name": name, "uid": name},
        "spec": {"containers": [{"name": "train"}]},
        "status": {"phase": "Pending", "startTime": START.isoformat(), **status},
    }
    return msgspec.convert(body, Pod)


def waits(name: str, reason: str, message: str = "") -> Pod:
    return pod(name, {"waiting": {"reason": reason, "message": message}})


def unscheduled(name: str, message: str, seconds: float = NODES.total_seconds()) -> Pod:
    """A pod that no node has taken for so long."""
    since = (LATER - timedelta(seconds=seconds)).isoformat()
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    return pod(name, conditions=[{**condition, "message": message, "lastTransitionTime": since}])


def gated(name: str) -> Pod:
    condition = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
    said = "Scheduling is blocked due to non-empty scheduling gates"
    since = (LATER - 10 * NODES).isoformat()
    return pod(name, conditions=[{**condition, "message": said, "lastTransitionTime": since}])


def judged(
    *trials: TrialResource, pods: tuple[Pod, ...] = (), reports: tuple[str, ...] = ()
) -> Hold | None:
    """What is found of these trials and pods, each pod that of the trial whose index it names."""
    by_trial = {f"uid-{p.metadata.name.split('-')[1]}": [p] for p in pods}
    resources = {resource.trial.index: resource for resource in trials}
    return judge(
        resources, lambda uid: by_trial.get(uid, []), lambda p: p.metadata.name in reports, LATER
    )


@pytest.mark.parametrize(
    ("first", "reason", "says"),
    [
        (waits("s-0-0", "ErrImagePull", "no such host"), "ImagePullFailed", "no such host"),
        (waits("s-0-0", "ImagePullBackOff"), "ImagePullFailed", "s-0-0: ImagePullBackOff"),
        (waits("s-0-0", "InvalidImageName"), "ImagePullFailed", "create it anew"),
        (
            waits("s-0-0", "CreateContainerConfigError", 'secret "data" not found'),
            "ContainerCreationFailed",
            'secret "data" not found',
        ),
        (unscheduled("s-0-0", NOWHERE), "Unschedulable", "3 Preemption is not helpful"),
        (unscheduled("s-0-0", NO_CLAIM, 0), "Unschedulable", 'claim "scratch" not found'),
    ],
)
def test_what_keeps_the_first_pods_from_starting(first: Pod, reason: str, says: str) -> None:
    hold = judged(trial(0), pods=(first,))
    assert hold is not None
    assert hold.blocked.reason == reason
    assert says in hold.blocked.message
    assert hold.finish is None, "it may be mended"


@pytest.mark.parametrize(
    "first",
    [
        unscheduled("s-0-0", FULL),  # its turn will come
        unscheduled("s-0-0", NOWHERE, NODES.total_seconds() - 1),  # and so may a node
        gated("s-0-0"),
        waits("s-0-0", "ContainerCreating"),
        pod("s-0-0", {"running": {}}, phase="Running"),
        pod("s-0-0"),
    ],
)
def test_pods_that_only_take_their_time_hold_up_nothing(first: Pod) -> None:
    assert judged(trial(0), pods=(first,)) is None


@pytest.mark.parametrize(("ready", "held"), [("False", True), ("True", False)])
def test_volumes_that_do_not_come_are_told_from_images_that_are_pulled(
    ready: str, held: bool
) -> None:
    condition = {"type": "PodReadyToStartContainers", "status": ready}
    creating = pod("s-0-0", {"waiting": {"reason": "ContainerCreating"}}, conditions=[condition])
    assert (judged(trial(0), pods=(creating,)) is not None) is held


def test_a_sidecar_that_keeps_failing_keeps_the_training_from_starting() -> None:
    proxy = {"name": "proxy", "state": {"terminated": {"exitCode": 1}}, "restartCount": 1}
    initializing = {"waiting": {"reason": "PodInitializing"}}
    hold = judged(trial(0), pods=(pod("s-0-0", initializing, initContainerStatuses=[proxy]),))
    assert hold is not None
    assert hold.blocked.reason == "ContainerCreationFailed"
    assert "container proxy keeps failing" in hold.blocked.message
    running = pod("s-0-0", {"running": {}}, initContainerStatuses=[proxy], phase="Running")
    assert judged(trial(0), pods=(running,)) is None


def test_two_go_on_trying_and_pods_that_hold_devices_for_nothing_are_taken_back() -> None:
    pods = (
        waits("s-0-0", "ErrImagePull"),
        waits("s-1-0", "ErrImagePull"),
        waits("s-2-0", "ErrImagePull"),
        waits("s-3-0", "ContainerCreating"),  # its node may have the image
    )
    hold = judged(*map(trial, range(5)), pods=pods)
    assert hold is not None
    assert hold.withdrawn == {"s-2-0"}
    assert [hold.keeps_back(index) for index in range(5)] == [False, False, True, True, True]


def test_pods_that_no_node_takes_hold_nothing_and_are_for_an_autoscaler_to_see() -> None:
    pods = tuple(unscheduled(f"s-{index}-0", NOWHERE) for index in range(4))
    hold = judged(*map(trial, range(4)), pods=pods)
    assert hold is not None
    assert not hold.withdrawn
    assert not any(map(hold.keeps_back, range(9)))


def test_once_a_pod_has_trained_waiting_is_not_the_templates_fault() -> None:
    bad = waits("s-0-0", "ErrImagePull")
    running = pod("s-1-0", {"running": {}}, phase="Running")
    assert judged(trial(0), trial(1), pods=(bad, running)) is None
    before = trial(1, "exit code 1")
    trained = replace(before, attempts=(replace(before.attempts[0], training_time=START),))
    assert judged(trial(0), trained, pods=(bad,)) is None
    assert judged(trial(0), before, pods=(bad,)) is not None


IMPORT = "exit code 1: ModuleNotFoundError: No module named 'torch'"


def test_three_trials_that_fail_alike_before_any_report_hold_the_others() -> None:
    assert judged(trial(0, IMPORT), trial(1, IMPORT), trial(2)) is None
    trials = [trial(0, IMPORT), trial(1, "exit code 1"), *(trial(i, IMPORT) for i in range(2, 6))]
    hold = judged(*trials)
    assert hold is not None
    assert hold.blocked.reason == "TemplateFails"
    assert "5 have ended alike: exit code 1: ModuleNotFoundError" in hold.blocked.message
    assert [i for i in range(6) if not hold.keeps_back(i)] == [0, 2, 3]
    assert hold.finish is None, "their retries are left"
    assert not hold.withdrawn


def test_when_three_have_used_up_their_retries_the_study_has_failed() -> None:
    failed = [trial(i, IMPORT, IMPORT, state=TrialState.FAILED) for i in range(3)]
    hold = judged(*failed, trial(3, IMPORT))
    assert hold is not None and hold.finish is not None
    assert (hold.finish.succeeded, hold.finish.reason) == (False, "TemplateFails")
    assert "No module named 'torch'" in hold.finish.message
    # One that runs may still prove the template right.
    running = pod("s-4-0", {"running": {}}, phase="Running")
    hold = judged(*failed, trial(4, state=TrialState.RUNNING), pods=(running,))
    assert hold is not None and hold.finish is None
    assert judged(*failed, trial(4), pods=(running,), reports=("s-4-0",)) is None


def test_ends_that_differ_or_are_a_configurations_own_hold_up_nothing() -> None:
    sizes = [trial(i, f"exit code 1: CUDA out of memory: {i}.00 GiB") for i in range(9)]
    assert judged(*sizes) is None
    for why in ("OOMKilled", "SIGKILL"):
        assert judged(*(trial(i, f"exit code 137 ({why})") for i in range(9))) is None


def test_the_names_of_pods_and_containers_make_no_difference() -> None:
    words = "exit code 128 (StartError): no /var/lib/kubelet/pods/{}/x in s-{}-0"
    uids = ["e8168f31-0f81-4a4d", "69be9d76bfe6-9a57", "91d128bb-cd44-e155"]
    hold = judged(*(trial(i, words.format(uid, i)) for i, uid in enumerate(uids)))
    assert hold is not None and hold.blocked.reason == "TemplateFails"


@pytest.mark.parametrize(
    "worked",
    [
        replace(trial(3), curve=(Report(1.0, 0.5),)),
        replace(trial(3), trial=replace(trial(3).trial, reason=Reason.DIVERGED)),
        replace(trial(3), trial=replace(trial(3).trial, rungs=(RungValue(0, 0.5, 0, 1.0),))),
    ],
)
def test_one_report_proves_the_template_right_for_good(worked: TrialResource) -> None:
    failed = [trial(i, IMPORT, state=TrialState.FAILED) for i in range(3)]
    bad = waits("s-4-0", "ErrImagePull")
    assert judged(*failed, worked, trial(4), pods=(bad,)) is None
