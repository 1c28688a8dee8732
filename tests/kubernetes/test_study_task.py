"""The study's task on a cluster in memory: faults at every call, and what people do."""

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from hyperband.api import names
from hyperband.backends.kubernetes.api_errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Forbidden,
    ServerError,
    TooManyRequests,
    Unreachable,
    error_from,
)
from hyperband.backends.kubernetes.attempts import is_over
from hyperband.backends.kubernetes.cache import Change
from hyperband.backends.kubernetes.cluster import STATUSES_A_SECOND
from hyperband.backends.kubernetes.manager import Manager
from hyperband.backends.kubernetes.objects import PODS, STUDIES, TRIALS, Kind, Object, Pod
from hyperband.core.engine import Engine
from hyperband.core.errors import InvalidStudyError
from tests.kubernetes.fake_cluster import START, Body, Killed, World, as_, study_body

REPORT = [{"epochs": 1, "loss": 0.5}]


def check(world: World, trials: int = 4) -> None:
    """What must hold of a finished study, whatever happened to it."""
    assert world.condition("Succeeded") == "True", world.study["status"]["conditions"]
    assert [t["spec"]["index"] for t in world.trials] == list(range(trials))
    values = sorted(v["sequence"] for t in world.trials for v in t["status"].get("rungs", []))
    assert values == list(range(len(values)))
    assert len(values) >= trials, "no value is lost"
    assert world.client.most_alive <= 2, "never more pods than parallelism"
    assert world.client.alive() == 0, "no pod outlives its study"
    names_ = [pod["metadata"]["name"] for pod in world.client.bodies(PODS)]
    assert len(names_) == len(set(names_))


async def undisturbed() -> World:
    world = World()
    await world.run()
    check(world)
    return world


async def test_a_study_from_start_to_end() -> None:
    world = await undisturbed()
    assert world.study["status"]["trials"]["completed"] >= 1
    assert all(t["status"]["failures"] == 0 for t in world.trials)


async def test_a_finished_study_asks_for_nothing() -> None:
    world = await undisturbed()
    world.client.calls.clear()
    for _ in range(5):
        await world.step()
    assert world.client.calls == []


FAULTS: dict[str, tuple[str, Exception | Killed]] = {
    "conflict": ("before", Conflict(409, "Conflict")),
    "server error": ("before", ServerError(500)),
    "no answer, nothing done": ("before", Unreachable("cut")),
    "no answer, but done": ("after", Unreachable("cut")),
    "killed before": ("before", Killed()),
    "killed after": ("after", Killed()),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_at_every_call(name: str) -> None:
    """One fault at each call of a study's life in turn; every study ends as it should."""
    when, error = FAULTS[name]
    calls = len((await undisturbed()).client.calls)
    assert calls >= 40
    for position in range(calls):
        world = World()
        left = position

        def fault(moment: str, verb: str, *_: str, world: World = world) -> None:
            nonlocal left
            if moment != when:
                return
            left -= 1
            if left == -1:
                raise error

        world.client.fault = fault
        await world.run()
        check(world)
        failures = sum(t["status"]["failures"] for t in world.trials)
        assert failures == 0, f"call {position}: a fault of the cluster is no failure of a trial"


async def started(**spec: Any) -> World:
    """A study whose first two pods run."""
    world = World(study_body(**spec))
    await world.step()
    world.live()
    await world.step()
    assert {t["status"]["state"] for t in world.trials[:2]} == {"Running"}
    return world


async def test_the_last_words_of_a_deleted_pod_survive_a_conflict() -> None:
    world = await started()
    pod = world.pod("s-0-0")
    world.set(pod, phase="Succeeded", reports=REPORT)
    world.remove(pod)
    failed = False

    def fault(moment: str, verb: str, plural: str, name: str) -> None:
        nonlocal failed
        if moment == "before" and verb == "status" and name == "s-0" and not failed:
            failed = True
            raise Conflict(409, "Conflict")

    world.client.fault = fault
    await world.step()
    await world.step()
    assert failed
    assert world.trials[0]["status"]["rungs"][0]["value"] == 0.5


async def test_a_pod_without_its_label_is_ended_before_the_next_attempt() -> None:
    world = await started()
    world.strip(world.pod("s-0-0"))
    await world.step()
    assert "deletionTimestamp" in world.pod("s-0-0")["metadata"]
    assert ("create", "pods", "s-0-1") not in world.client.calls, "two must never write"
    await world.run()
    check(world)
    assert world.trials[0]["status"]["disruptions"] == 1


async def test_a_pod_without_its_owner_is_not_touched_and_named() -> None:
    world = await started()
    pod = world.pod("s-0-0")
    pod["metadata"]["ownerReferences"] = []
    world.set(pod)
    await world.step()
    assert world.condition("Ready", "reason") == "NameTaken"
    assert "pod s-0-0" in world.condition("Ready", "message")
    assert "deletionTimestamp" not in pod["metadata"]
    assert ("create", "pods", "s-0-1") not in world.client.calls
    world.remove(pod)
    await world.run()
    assert world.condition("Succeeded") == "True"


async def test_a_foreign_pod_in_the_way_stays_named_and_holds_up_nobody_else() -> None:
    world = World()
    foreign = {"metadata": {"name": "s-0-0", "labels": {}}, "status": {"phase": "Running"}}
    world.client.add(PODS, foreign)
    for _ in range(3):
        await world.step()
        assert world.condition("Ready", "reason") == "NameTaken"
    assert "delete it, or" in world.condition("Ready", "message")
    world.set(world.pod("s-1-0"), phase="Succeeded", reports=REPORT)
    await world.step()
    assert world.trials[1]["status"]["state"] == "Paused"
    await world.client.delete(PODS, "team", "s-0-0")
    for _ in range(3):
        await world.step()
    assert "it is being deleted" in world.condition("Ready", "message")
    del world.client.objects[PODS.plural, "s-0-0"]
    await world.run()
    assert world.condition("Succeeded") == "True"


async def test_a_pod_in_overtime_is_ended_once_and_waited_for_quietly() -> None:
    world = await started()
    pod = world.pod("s-0-0")
    world.set(pod, reports=REPORT)  # its target is reached, and it runs on
    await world.task.try_step()
    world.seconds += 20
    await world.task.try_step()
    assert "activeDeadlineSeconds" not in pod["spec"], "it may save its model first"
    world.seconds += 11
    await world.task.try_step()
    assert pod["spec"]["activeDeadlineSeconds"] == 1
    world.client.calls.clear()
    waits = [await world.task.try_step() for _ in range(4)]
    assert all(wait is None or wait > 0.5 for wait in waits), "no busy loop"
    assert not [call for call in world.client.calls if call[0] in ("patch", "delete")]


async def test_the_best_trial_never_mixes_parameters_of_two() -> None:
    """A merge patch would keep an inactive parameter of the best trial before."""
    parameters = [
        {"name": "x", "type": "Float", "min": 0, "max": 1},
        {"name": "layers", "type": "Integer", "min": 1, "max": 2},
        {"name": "dropout", "type": "Float", "min": 0, "max": 1, "when": {"layers": [2]}},
    ]
    world = World(
        study_body(parameters=parameters, parallelism=8, maxTrials=8, searcher={"seed": 1})
    )
    await world.step()
    world.live()
    await world.step()
    bodies = world.trials
    deep = next(t for t in bodies if "dropout" in t["spec"]["parameters"])
    flat = next(t for t in bodies if "dropout" not in t["spec"]["parameters"])
    for trial, loss in ((deep, 5), (flat, 1)):
        pod = world.pod(f"{trial['metadata']['name']}-0")
        world.set(pod, reports=[{"epochs": 1, "loss": loss}])
        await world.step()
    assert world.study["status"]["best"]["parameters"] == flat["spec"]["parameters"]
    world.client.calls.clear()
    for _ in range(4):
        await world.task.try_step()
    assert not [call for call in world.client.calls if call[1] == "hyperbandstudies"]


async def test_no_new_trial_starts_when_the_study_has_failed() -> None:
    world = await started(failurePolicy={"retries": 0, "maxFailedTrials": 0})
    world.set(world.pod("s-0-0"), phase="Failed")
    await world.step()
    assert len(world.trials) == 2
    world.live()
    await world.step()
    assert world.condition("Failed", "reason") == "TooManyFailedTrials"
    assert world.client.alive() == 0


async def test_an_invalid_study_is_not_called_ready() -> None:
    world = World(study_body(hyperband={"brackets": 9}))
    await world.step()
    assert world.condition("Failed", "reason") == "InvalidSpec"
    assert (world.condition("Ready"), world.condition("Ready", "reason")) == (
        "False",
        "InvalidSpec",
    )
    assert "at most 2" in world.condition("Failed", "message")


@pytest.mark.parametrize("text", ['{"\\ud800": 1}', '{"epochs": "\\ud800", "loss": 1}'])
async def test_an_annotation_that_utf8_cannot_hold_stops_nobody(text: str) -> None:
    world = await started()
    world.set(world.pod("s-0-0"), reports=text)
    world.set(world.pod("s-1-0"), phase="Succeeded", reports=REPORT)
    await world.step()
    assert "\\ud800" in world.trials[0]["status"]["reportError"]
    assert world.trials[1]["status"]["state"] == "Paused"


async def test_a_report_error_is_written_once_and_cleared() -> None:
    world = await started()
    pod = world.pod("s-0-0")
    for loss in range(3):
        world.set(pod, reports=[{"epochs": 0.5, "wrong": loss}] * (loss + 1))
        await world.step()
    writes = [call for call in world.client.calls if call == ("status", "hyperbandtrials", "s-0")]
    assert len(writes) <= 3  # seen running, the error, that there are more
    world.set(pod, reports=[{"epochs": 0.5, "loss": 1}])
    await world.step()
    assert "reportError" not in world.trials[0]["status"]


@pytest.mark.parametrize("sign", ["deleted", "evicted", "suspended"])
async def test_a_training_that_obeys_sigterm_pays_no_retry(sign: str) -> None:
    world = await started(failurePolicy={"retries": 0, "maxFailedTrials": 0})
    pod = world.pod("s-0-0")
    if sign == "deleted":
        pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    if sign == "suspended":
        world.change(suspend=True)
        await world.step()
        assert pod["spec"]["activeDeadlineSeconds"] == 1
        world.change(suspend=False)
    world.set(pod, phase="Succeeded")
    if sign == "evicted":
        disruption = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByX"}
        pod["status"]["conditions"] = [disruption]
        world.set(pod)
    await world.step()
    status = world.trials[0]["status"]
    assert (status["state"], status["failures"]) == ("Pending", 0)
    assert status["attempt"] == 1


async def test_a_failed_training_beside_another_container_ends_its_pod() -> None:
    world = await started()
    pod = world.pod("s-0-0")
    pod["status"]["containerStatuses"] = [
        {"name": "train", "state": {"terminated": {"exitCode": 3}}},
        {"name": "proxy", "state": {"running": {}}},
    ]
    world.set(pod)
    await world.step()
    status = world.trials[0]["status"]
    assert (status["reason"], status["failures"]) == ("AttemptFailed", 1)
    world.seconds += 31
    await world.step()
    assert pod["spec"]["activeDeadlineSeconds"] == 1
    await world.run()
    assert world.condition("Succeeded") == "True"


async def test_a_failed_pod_is_left_to_its_log() -> None:
    """A kubelet tells of the container's end a moment before the pod's."""
    world = await started(failurePolicy={"retries": 0, "maxFailedTrials": 9})
    pod = world.pod("s-0-0")
    pod["status"]["containerStatuses"][0]["state"] = {"terminated": {"exitCode": 3}}
    world.set(pod)
    await world.step()
    world.set(pod, phase="Failed")
    await world.step()
    assert world.trials[0]["status"]["state"] == "Failed"
    assert "deletionTimestamp" not in pod["metadata"]


async def test_what_pods_wait_for_is_said_in_their_own_words() -> None:
    world = World()
    await world.step()
    pod = world.pod("s-0-0")
    waiting = {"reason": "ErrImagePull", "message": "no such image: trainer"}
    pod["status"] = {
        "phase": "Pending",
        "containerStatuses": [{"name": "train", "state": {"waiting": waiting}}],
    }
    world.set(pod)
    world.set(world.pod("s-1-0"), phase="Running")  # it is not the template's fault
    await world.step()
    said = world.condition("Progressing", "message")
    assert "ErrImagePull 1 (s-0-0: no such image: trainer)" in said
    shown = world.trials[0]["status"]
    assert (shown["state"], shown["reason"]) == ("Pending", "NewConfiguration")
    world.set(pod)
    await world.step()
    assert world.client.calls.count(("status", "hyperbandtrials", "s-0")) == 1


def cannot_pull(world: World) -> None:
    """The kubelets of all pods that have not started cannot pull their image."""
    for pod in world.client.bodies(PODS):
        if pod.get("status", {}).get("phase") not in ("Running", "Succeeded"):
            state = {"waiting": {"reason": "ErrImagePull", "message": "no such image: trainer"}}
            pod["status"] = {
                "phase": "Pending",
                "startTime": START.isoformat(),
                "containerStatuses": [{"name": "train", "state": state}],
            }
            world.set(pod)


async def test_an_image_that_cannot_be_pulled_holds_the_study_until_it_can() -> None:
    world = World(study_body(parallelism=4, maxTrials=8))
    await world.step()
    assert world.client.alive() == 4
    cannot_pull(world)
    await world.step()
    assert world.condition("Ready", "reason") == "ImagePullFailed"
    assert "no such image: trainer" in world.condition("Ready", "message")
    assert world.condition("Progressing", "reason") == "ImagePullFailed"
    for name in ("s-2-0", "s-3-0"):
        pod = world.pod(name)
        why = pod["metadata"]["annotations"][names.ENDED_ANNOTATION]
        assert why.endswith("held, as no pod starts: ImagePullFailed"), "it holds devices in vain"
        world.remove(pod)
    for _ in range(5):
        await world.step()
        cannot_pull(world)
    world.start()  # a new operator finds the same
    for _ in range(5):
        await world.step()
    assert world.condition("Ready", "reason") == "ImagePullFailed"
    assert [pod["metadata"]["name"] for pod in world.client.bodies(PODS)] == ["s-0-0", "s-1-0"]
    assert {t["status"]["state"] for t in world.trials} == {"Pending"}
    assert len(world.trials) == 4
    warnings = [e for e in world.client.events() if e["reason"] == "ImagePullFailed"]
    assert len(warnings) == 1, "it is no news to a new operator"
    world.set(world.pod("s-1-0"), phase="Running")  # somebody has pushed it
    await world.step()
    assert world.condition("Ready", "reason") == "Accepted"
    assert world.client.alive() == 4, "all go on"
    for pod in world.client.bodies(PODS):
        pod["status"] = {}
    await world.run()
    assert world.condition("Succeeded") == "True"
    assert len(world.trials) == 8
    assert all(t["status"]["failures"] == 0 for t in world.trials)


def crash(world: World) -> None:
    """Every pod that runs fails at once, as on a module that its image lacks."""
    finished = (START + timedelta(seconds=world.seconds)).isoformat()
    for pod in world.client.bodies(PODS):
        if pod.get("status", {}).get("phase") == "Running":
            world.set(pod, phase="Failed")
            ended = {"exitCode": 1, "message": "ImportError: torch", "finishedAt": finished}
            pod["status"]["startTime"] = finished
            pod["status"]["containerStatuses"][0]["state"] = {"terminated": ended}
            world.set(pod)
        elif not pod.get("status"):
            world.set(pod, phase="Running")


async def test_a_training_that_always_crashes_costs_three_trials_and_no_more() -> None:
    world = World(study_body(parallelism=8, maxTrials=100))
    holds = 0
    for _ in range(100):
        await world.step()
        holds += world.condition("Ready", "reason") == "TemplateFails"
        if world.condition("Finished") == "True":
            break
        crash(world)
        if holds == 2:
            world.start()
    assert holds > 3
    assert world.condition("Failed", "reason") == "TemplateFails"
    assert "exit code 1: ImportError: torch" in world.condition("Failed", "message")
    states = [t["status"]["state"] for t in world.trials]
    assert states == ["Failed"] * 3 + ["Stopped"] * 5
    made = [call for call in world.client.calls if call[:2] == ("create", "pods")]
    assert len(made) == 8 + 3 * 3, "one attempt each, and the retries of three"


async def test_a_template_that_fails_is_told_of_where_no_trial_is_left_but_those() -> None:
    """All of the study's trials are there; the pod of the last has yet to go as the study ends."""
    world = World(study_body(parallelism=4, maxTrials=4))
    for _ in range(2):
        await world.step()
    late = world.pod("s-3-0")
    for _ in range(60):
        crash(world)
        late["status"] = {"phase": "Pending"}
        world.set(late)
        await world.step()
    assert [t["status"]["state"] for t in world.trials] == ["Failed"] * 3 + ["Stopped"]
    assert world.condition("Finished") != "True", "it waits for the pod"
    world.remove(world.pod("s-3-0"))
    await world.step()
    assert world.condition("Failed", "reason") == "TemplateFails"


async def test_a_study_goes_on_when_what_its_training_lacks_is_there() -> None:
    world = World(study_body(parallelism=4, maxTrials=8))
    for _ in range(4):
        await world.step()
        crash(world)
    await world.step()
    assert world.condition("Ready", "reason") == "TemplateFails"
    await world.run()
    assert world.condition("Succeeded") == "True"
    assert len(world.trials) == 8
    assert not [t for t in world.trials if t["status"]["state"] == "Failed"]


async def test_deleting_a_trial_ends_its_pod_before_another_starts() -> None:
    world = await started()
    uid = world.trials[0]["metadata"]["uid"]
    del world.client.objects["hyperbandtrials", "s-0"]
    world.task.trial_gone(uid)
    for _ in range(3):
        await world.step()
    assert "deletionTimestamp" in world.pod("s-0-0")["metadata"]
    assert world.client.most_alive <= 2
    await world.run()
    assert world.condition("Succeeded") == "True"
    assert world.client.most_alive <= 2


async def test_deleting_several_trials_at_once_ends_their_pods_before_others_start() -> None:
    world = World(study_body(parallelism=3, maxTrials=9))
    await world.step()
    world.live()
    await world.step()
    for name in ("s-0", "s-1", "s-2"):
        world.client.drop(TRIALS, name)
    for _ in range(3):
        await world.step()
    for name in ("s-0-0", "s-1-0", "s-2-0"):
        assert "deletionTimestamp" in world.pod(name)["metadata"]
    await world.run()
    assert world.condition("Succeeded") == "True"
    assert world.client.most_alive == 3


async def test_pods_of_trials_that_were_deleted_while_no_operator_worked_hold_their_slots() -> None:
    world = World(study_body(parallelism=4, maxTrials=12))
    await world.step()
    world.live()
    await world.step()
    world.client.told = lambda *_: None
    for name in ("s-0", "s-1"):
        world.client.drop(TRIALS, name)
    world.start()
    await world.step()
    for name in ("s-0-0", "s-1-0"):
        assert "deletionTimestamp" in world.pod(name)["metadata"]
    await world.run()
    assert world.condition("Succeeded") == "True"
    assert world.client.most_alive == 4


async def test_a_trial_that_is_deleted_before_its_creation_is_answered_leaves_no_pod() -> None:
    world = await started()
    create = world.client.create

    async def created(kind: Kind, namespace: str, body: Body, type_: Any, **more: Any) -> Any:
        answer = await create(kind, namespace, body, type_, **more)
        if (kind, body["metadata"]["name"]) == (TRIALS, "s-2"):
            world.client.drop(TRIALS, "s-2")
        return answer

    world.client.create = created  # type: ignore[method-assign]
    world.change(parallelism=3)
    for _ in range(4):
        await world.step()
    pod = world.client.objects.get((PODS.plural, "s-2-0"))
    assert pod is None or "deletionTimestamp" in pod["metadata"]
    assert world.client.most_alive <= 3
    await world.run()
    assert world.condition("Succeeded") == "True"
    assert world.client.most_alive <= 3


def _edited_value(sequence: int) -> Body:
    return {"level": 0, "resource": 1, "value": 0.5, "sequence": sequence}


@pytest.mark.parametrize(
    "edit",
    [
        {"targetLevel": 99},
        {"state": "Paused", "rungs": []},
        {"curve": [{}]},
        {"rungs": 5},
        {"attempt": 10**9},
        {"state": "Paused", "rungs": [_edited_value(2**63 - 1)]},
        {"rungs": [_edited_value(0)]},  # at its target, and yet Running
        {"state": "Paused", "rungs": [_edited_value(0) | {"resource": 1e308}]},
        {"state": "Paused", "rungs": [_edited_value(0) | {"resource": -1}]},
        {"gpuSeconds": 1.7e308},
        {"gpuSeconds": -1},
    ],
)
async def test_an_edited_trial_is_named(edit: Body) -> None:
    world = await started()
    trial = world.trials[0]
    trial["status"] |= edit
    world.client.touch(trial)
    world.set(world.pod("s-0-0"), phase="Succeeded", reports=REPORT)
    for _ in range(3):
        await world.step()
    assert world.condition("Ready", "reason") == "TrialUnreadable"
    assert "HyperbandTrial s-0" in world.condition("Ready", "message")


SEARCHERS = ["Random", "GaussianProcess", "KernelDensity", "Evolution"]
PARAMETERS = [
    {"name": "x", "type": "Float", "min": 0, "max": 1},
    {"name": "k", "type": "Categorical", "values": ["a", "b"]},
]


@pytest.mark.parametrize("searcher", SEARCHERS)
@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("k", "zzz", 'spec.parameters.k: "zzz" is not among its values: use one of "a", "b"'),
        ("x", 7, "spec.parameters.x: 7 is outside 0 … 1: stay inside"),
        ("y", 0.5, 'spec.parameters.y: no parameter is named "y": use one of x, k'),
    ],
)
async def test_a_configuration_of_another_space_is_named_whatever_the_searcher(
    searcher: str, name: str, value: Any, says: str
) -> None:
    world = World(study_body(searcher={"type": searcher}, parameters=PARAMETERS))
    await world.step()
    trial = world.trials[0]
    before = dict(trial["spec"]["parameters"])
    trial["spec"]["parameters"][name] = value
    world.start()
    for _ in range(2):
        await world.step()
    assert world.condition("Ready", "reason") == "TrialUnreadable"
    said = f"the record of HyperbandTrial s-0 makes no sense ({says}); undo the edit, or delete"
    assert world.condition("Ready", "message").startswith(said)
    assert world.condition("Finished") != "True"
    trial["spec"]["parameters"] = before
    await world.run()
    assert world.condition("Succeeded") == "True"


@pytest.mark.parametrize(
    "change",
    [
        lambda world: world.trials[0]["status"].update(rungs=5),
        lambda world: world.trials[0]["spec"].update(parameters={"x": "?"}),
        lambda world: world.study["spec"].update(resource={}),  # of another version of the API
    ],
    ids=["status", "configuration", "study"],
)
async def test_pods_of_a_deleted_study_are_ended_whatever_its_records_say(
    change: Callable[[World], None], caplog: pytest.LogCaptureFixture
) -> None:
    world = await started()
    change(world)
    world.start()  # a new operator
    await world.step()
    manager = Manager()
    manager.start(world.cluster)
    manager.study_seen(as_(world.study, dict))
    await asyncio.sleep(0)
    caplog.clear()
    metadata = world.study["metadata"]
    manager.study_gone(metadata["namespace"], metadata["name"], metadata["uid"])
    await asyncio.gather(*manager._endings)
    pods = world.client.bodies(PODS)
    assert len(pods) == 2
    assert all("deletionTimestamp" in pod["metadata"] for pod in pods)
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_trial_that_is_found_when_it_is_made_is_read_as_carefully() -> None:
    """Its create got through, and its answer did not."""
    world = World()

    def fault(moment: str, verb: str, plural: str, name: str) -> None:
        if (moment, verb, name) == ("after", "create", "s-0"):
            world.trials[0]["spec"]["parameters"] = {"x": "?"}
            world.client.fault = lambda *_: None
            raise AlreadyExists(409, "AlreadyExists")

    world.client.fault = fault
    await world.step()
    assert world.condition("Ready", "reason") == "TrialUnreadable"
    assert "HyperbandTrial s-0" in world.condition("Ready", "message")


async def test_only_the_spec_makes_a_study_invalid(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a searcher refuses while the study runs is our own mistake: it ends no study."""

    def refuse(*_: Any) -> None:
        raise InvalidStudyError("spec.initialParameters.x", "is refused")

    world = await started()
    monkeypatch.setattr(Engine, "observe", refuse)
    world.set(world.pod("s-0-0"), reports=REPORT)
    await world.step()
    assert world.condition("Ready", "reason") == "InternalError"
    assert world.condition("Finished") != "True"
    monkeypatch.undo()
    await world.run()
    assert world.condition("Succeeded") == "True"


async def test_a_forged_trial_does_not_take_another_ones_index() -> None:
    world = await started()
    forged = json.loads(json.dumps(world.trials[1]))
    forged["metadata"]["name"] = "s-evil"
    forged["spec"]["parameters"] = {"x": 0.0}
    world.client.add(TRIALS, forged)
    world.start()
    for _ in range(40):
        await world.step()
        world.live()
    del world.client.objects[TRIALS.plural, "s-evil"]
    check(world)
    assert world.study["status"]["best"]["trial"] != "s-evil"


async def test_what_the_server_forbids_is_shown() -> None:
    world = World()

    def fault(moment: str, verb: str, plural: str, name: str) -> None:
        if verb == "create" and name == "s-1":
            raise Forbidden(403, "Forbidden", "exceeded quota: trials")

    world.client.fault = fault
    for _ in range(2):
        await world.step()
    assert "exceeded quota" in world.condition("Ready", "message")
    world.client.fault = lambda *_: None
    await world.run()
    check(world)


async def test_forged_pods_with_our_owner_are_ignored_unless_named_as_ours() -> None:
    world = await started()
    for name in ("evil-99999999999999999999", "evil-0", "s-0-007"):
        forged = json.loads(json.dumps(world.pod("s-0-0")))
        forged["metadata"]["name"] = name
        forged["metadata"]["annotations"] = {names.METRICS_ANNOTATION: json.dumps(REPORT)}
        world.show(world.client.add(PODS, forged))
    await world.step()
    assert "rungs" not in world.trials[0]["status"] or not world.trials[0]["status"]["rungs"]
    assert not any("deletionTimestamp" in p["metadata"] for p in world.client.bodies(PODS))


async def test_lowered_parallelism_holds_from_the_next_launch_on() -> None:
    world = await started()
    world.change(parallelism=1)
    world.live()
    await world.step()
    assert sum(not is_over(as_(p, Pod)) for p in world.client.bodies(PODS)) <= 1
    await world.run()
    check(world)


async def test_a_pod_that_lost_its_owner_and_ended_is_lost() -> None:
    world = await started()
    pod = world.pod("s-0-0")
    pod["metadata"]["ownerReferences"] = []
    world.set(pod, phase="Succeeded", reports=[{"epochs": 1, "loss": -9}])
    await world.run()
    check(world)
    assert world.trials[0]["status"]["disruptions"] == 1
    assert world.study["status"]["best"]["value"] > 0, "what is nobody's reports nothing"


@pytest.mark.parametrize("status", [400, 403, 422, 500])
async def test_a_pod_that_the_server_refuses_holds_up_nobody_else(status: int) -> None:
    world = World()
    refusal = error_from(b'{"message": "admission webhook says no"}', status)

    def fault(moment: str, verb: str, plural: str, name: str) -> None:
        if (verb, plural) == ("create", "pods") and name.startswith("s-0-"):
            raise refusal

    world.client.fault = fault
    for _ in range(12):
        await world.step()
        assert world.condition("Ready", "reason") == "PodRejected"
        assert "pod s-0-0 was refused: admission webhook" in world.condition("Ready", "message")
        running = any(t.get("status", {}).get("state") == "Running" for t in world.trials)
        assert (world.condition("Progressing") == "True") is running
        world.live()
    assert all(t["status"]["state"] != "Pending" for t in world.trials[1:])
    world.client.fault = lambda *_: None
    await world.run()
    check(world)


async def test_a_trial_s_own_trouble_holds_up_nobody_else() -> None:
    world = await started()

    def fault(moment: str, verb: str, plural: str, name: str) -> None:
        if (verb, name) == ("status", "s-0"):
            raise Forbidden(403, "Forbidden", "a policy says no")

    world.client.fault = fault
    for _ in range(8):
        world.live()
        await world.step()
    assert world.condition("Ready", "reason") == "RequestRefused"
    assert "a policy says no" in world.condition("Ready", "message")
    assert len(world.trials) == 4
    assert all(t["status"]["state"] in ("Paused", "Completed") for t in world.trials[1:])
    world.client.fault = lambda *_: None
    await world.run()
    check(world)


async def test_a_change_of_the_spec_during_a_status_write_is_not_lost() -> None:
    world = await started()
    changed = False

    def fault(moment: str, verb: str, plural: str, name: str) -> None:
        nonlocal changed
        if (moment, verb, plural) == ("after", "status", "hyperbandstudies") and not changed:
            changed = True
            world.change(suspend=True)  # its event comes before the answer to the write

    world.client.fault = fault
    world.live()
    for _ in range(3):
        await world.step()
    assert changed
    assert world.condition("Suspended") == "True"


async def test_more_trials_asked_for_during_the_last_write_are_run() -> None:
    world = World(study_body(maxTrials=2))
    changed = False

    def fault(moment: str, verb: str, plural: str, name: str) -> None:
        nonlocal changed
        states = [t.get("status", {}).get("state") for t in world.trials]
        over = len(states) == 2 and set(states) <= {"Paused", "Completed"}
        writes = (moment, verb, plural) == ("before", "status", "hyperbandstudies")
        if writes and over and "Completed" in states and not changed:
            changed = True
            world.study["spec"]["maxTrials"] = 4
            world.study["metadata"]["generation"] += 1
            world.client.touch(world.study)  # nobody has told the operator yet

    world.client.fault = fault
    for _ in range(60):
        await world.step()
        world.live()
    assert changed
    assert world.study["status"]["observedGeneration"] == 2
    check(world, trials=4)


async def test_results_stay_in_the_status_while_trials_cannot_be_read() -> None:
    world = await started()
    world.live()
    for _ in range(2):
        await world.step()
    before = world.study["status"]
    assert before["best"]
    world.start()  # a new operator

    def fault(moment: str, verb: str, plural: str, name: str) -> None:
        if verb == "list":
            raise Forbidden(403, "Forbidden", "roles are not read yet")

    world.client.fault = fault
    await world.step()
    assert world.condition("Ready", "reason") == "RequestRefused"
    for key in ("best", "trials", "brackets", "seed", "gpuSeconds"):
        assert world.study["status"][key] == before[key]


async def test_attempts_that_keep_ending_early_are_repeated_more_and_more_slowly() -> None:
    world = await started(parallelism=1)
    starts = []
    for attempt in range(1, 8):
        pod = world.pod(f"s-0-{attempt - 1}")
        world.set(pod, phase="Failed")
        finished = (START + timedelta(seconds=world.seconds)).isoformat()
        pod["status"] |= {"reason": "UnexpectedAdmissionError", "startTime": finished}
        pod["status"]["containerStatuses"] = []
        world.set(pod)
        ended = looked = world.seconds
        while (PODS.plural, f"s-0-{attempt}") not in world.client.objects:
            if world.seconds > ended + 5:
                assert "BackOff 1 (s-0-" in world.condition("Progressing", "message")
            assert world.seconds < ended + 400
            looked = world.seconds
            await world.step()
        starts.append(looked - ended)
    assert starts[0] <= 1
    assert all(later >= earlier for earlier, later in pairwise(starts))
    assert starts[-1] >= 300
    await world.run()
    check(world)


async def test_a_pod_that_does_not_end_is_named() -> None:
    world = await started(parallelism=1)
    pod = world.pod("s-0-0")
    pod["spec"]["nodeName"] = "dead"
    world.set(pod, reports=REPORT, deleting=True)
    waits = [await world.task.try_step() for _ in range(3)]
    assert waits[-1] is not None and waits[-1] <= 16, "it is looked at again in time"
    world.seconds += waits[-1]
    for _ in range(3):
        await world.step()
    said = world.condition("Progressing", "message")
    assert "Terminating 1 (s-0-0 on dead does not end" in said
    assert "kubectl delete node dead, or taint it node.kubernetes.io/out-of-service" in said
    assert world.client.alive() == 1, "its slot is not free"


def refused(error: ApiError) -> World:
    """A study whose template the server answers with this when it is tried."""
    world = World()

    def fault(moment: str, verb: str, plural: str, name: str) -> None:
        if verb == "dry-run":
            raise error

    world.client.fault = fault
    return world


@pytest.mark.parametrize("error", [ServerError(503, "", "busy"), TooManyRequests(429, "", "busy")])
async def test_a_template_that_could_not_be_tried_waits(error: ApiError) -> None:
    world = refused(error)
    for _ in range(3):
        await world.step()
    assert world.condition("Ready", "reason") == "TemplateUnchecked"
    assert not world.trials
    world.client.fault = lambda *_: None
    await world.run()
    check(world)


async def test_a_template_that_is_wrong_in_itself_fails_the_study() -> None:
    world = refused(ApiError(422, "Invalid", "spec.containers[0].image: Required value"))
    await world.step()
    assert world.condition("Failed", "reason") == "InvalidSpec"
    assert "spec.trialTemplate: spec.containers[0].image: Required" in world.condition(
        "Failed", "message"
    )
    assert not world.trials


def test_the_faults_are_what_a_client_raises() -> None:
    assert issubclass(Conflict, ApiError)
    assert not issubclass(Killed, Exception)


# -- an operator that leads no more, and has not noticed yet ------------------------------------


async def test_what_a_late_operator_decides_is_refused() -> None:
    world = await started()
    late = world.task
    for pod in world.client.bodies(PODS):  # both have heard of it, neither has looked
        world.set(pod, phase="Succeeded", reports=REPORT)
    world.start()
    await world.step()
    before, asked = copy.deepcopy(world.client.objects), len(world.client.calls)
    await late.try_step()
    assert ("status", "hyperbandtrials", "s-0") in world.client.calls[asked:], "it has tried"
    assert world.client.objects == before
    await world.run()
    check(world)


async def test_a_late_operator_s_status_of_the_study_is_refused_and_read_again() -> None:
    world = await started()
    late = world.task
    world.start()
    for _ in range(3):
        world.live()
        await world.step()
    before, asked = copy.deepcopy(world.client.objects), len(world.client.calls)
    late.update({**late._body, "status": {}})  # it has something to write
    await late.try_step()
    assert ("status", "hyperbandstudies", "s") in world.client.calls[asked:], "it has tried"
    assert world.client.objects == before
    assert late._body["status"] == before["hyperbandstudies", "s"]["status"]


async def test_a_status_that_got_through_unseen_is_no_other_operator_s() -> None:
    world = await started()
    lost = False

    def fault(moment: str, verb: str, plural: str, name: str) -> None:
        nonlocal lost
        if (moment, verb, plural) == ("after", "status", "hyperbandstudies") and not lost:
            lost = True
            raise Conflict(409, "Conflict")  # of a repeated request, the first one got through

    world.client.fault = fault
    world.live()
    listed = world.client.calls.count(("list", "hyperbandtrials", ""))
    await world.step()
    await world.step()
    assert lost
    assert world.client.calls.count(("list", "hyperbandtrials", "")) == listed


async def test_the_statuses_of_all_studies_take_turns() -> None:
    world = World()
    for _ in range(2 * int(STATUSES_A_SECOND)):  # others have reserved two seconds
        world.cluster.statuses.reserve(0.0)
    status = ("status", STUDIES.plural, "s")
    while (due := await world.task.try_step()) == 0.0:  # there are news of its pods to look at
        pass
    assert due is not None and 1.9 <= due <= 2.1
    assert status not in world.client.calls
    assert len(world.trials) == 2, "nothing but the status waits"
    world.seconds += due
    await world.task.try_step()
    assert world.client.calls.count(status) == 1


async def test_a_status_that_had_to_wait_is_followed_by_a_whole_quiet_second() -> None:
    world = World()
    status = ("status", STUDIES.plural, "s")

    @asynccontextmanager
    async def gate() -> AsyncIterator[None]:
        world.seconds += 0.8
        yield

    world.cluster.statuses.gate = gate  # type: ignore[method-assign]
    await world.task.try_step()
    assert world.client.calls.count(status) == 1
    world.live()
    world.seconds += 0.9
    due = await world.task.try_step()
    assert world.client.calls.count(status) == 1
    assert due == pytest.approx(0.1)
    world.seconds += due
    await world.task.try_step()
    assert world.client.calls.count(status) == 2


class Writes:
    """The trials whose records are written, in that order."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, when: str, verb: str, plural: str, name: str) -> None:
        if (when, verb, plural) == ("before", "status", TRIALS.plural):
            self.names.append(name)


async def test_a_new_operator_writes_nothing_about_trials_without_news() -> None:
    world = await started()
    writes = world.client.fault = Writes()
    world.start()
    await world.step()
    assert writes.names == []


async def test_what_an_earlier_operator_had_under_way_is_refused() -> None:
    world = World()
    await world.step()
    world.live()
    await world.step()
    running = [as_(trial, dict) for trial in world.trials]
    assert {trial["status"]["state"] for trial in running} == {"Running"}
    world.set(world.pod("s-0-0"), reports=[world.report(world.pod("s-0-0"))])
    world.remove(world.pod("s-1-0"))
    writes = world.client.fault = Writes()
    world.start()
    await world.step()
    assert writes.names[:2] == ["s-0", "s-1"], "both before the first value is recorded"
    for trial in running:  # a value, say, with a sequence number that is given anew by now
        with pytest.raises(Conflict):
            await world.client.replace_status(
                TRIALS, "team", trial["metadata"]["name"], trial, dict
            )
    await world.run()
    check(world)


@pytest.mark.parametrize("state", ["Running", "Paused"])
async def test_a_pod_made_late_for_an_attempt_that_is_over_is_ended_at_once(state: str) -> None:
    world = await started()
    pod = world.pod("s-0-0")
    late = copy.deepcopy(pod)
    if state == "Paused":
        world.set(pod, phase="Succeeded", reports=REPORT)
    world.remove(pod)
    await world.step()
    if state == "Running":  # the attempt after it
        world.live()
        await world.step()
    assert world.trials[0]["status"]["state"] == state
    made = world.client.add(PODS, late)  # by an operator that leads no more
    world.show(made)
    await world.step()
    assert names.ENDED_ANNOTATION in made["metadata"]["annotations"]
    world.client.most_alive = 0
    await world.run()
    check(world)
    assert world.trials[0]["status"]["disruptions"] == (state == "Running")


async def test_a_pod_made_late_for_a_study_that_is_over_is_deleted() -> None:
    world = await started()
    late = copy.deepcopy(world.pod("s-0-0"))
    await world.run()
    world.remove(world.pod("s-0-0"))
    made = world.client.add(PODS, late)
    world.show(made)
    foreign = copy.deepcopy(late)
    foreign["metadata"] |= {"name": "mine", "ownerReferences": []}
    world.show(world.client.add(PODS, foreign))
    await world.step()
    assert "deletionTimestamp" in made["metadata"]
    assert ("delete", "pods", "mine") not in world.client.calls


async def test_what_got_no_answer_is_refused_once_all_is_read_again() -> None:
    world = World()
    await world.step()
    world.live()
    await world.step()
    before = {trial["metadata"]["name"]: as_(trial, dict) for trial in world.trials}

    def lose(when: str, verb: str, plural: str, name: str) -> None:
        if (when, verb, name) == ("before", "status", "s-0"):
            world.client.fault = lambda *_: None
            raise Unreachable("cut")

    world.client.fault = lose
    for name in ("s-0-0", "s-1-0"):
        world.set(world.pod(name), reports=[world.report(world.pod(name))])
    await world.step()
    await world.step()
    with pytest.raises(Conflict):
        await world.client.replace_status(TRIALS, "team", "s-0", before["s-0"], dict)
    with pytest.raises(Conflict):
        await world.client.replace_status(TRIALS, "team", "s-1", before["s-1"], dict)


async def test_a_record_that_others_have_written_is_read_again() -> None:
    """A promotion that an earlier operator had on its way arrives late, say."""
    world = await started()
    known = world.trials[0]
    world.client.touch(known)
    world.cluster.trials.see(as_(known, Object))
    lists = world.client.calls.count(("list", TRIALS.plural, ""))
    await world.task.try_step()
    assert world.client.calls.count(("list", TRIALS.plural, "")) == lists
    world.task._resync()
    await world.task.try_step()
    await world.task.try_step()
    assert world.client.calls.count(("list", TRIALS.plural, "")) > lists
    world.task._resync()
    lists = world.client.calls.count(("list", TRIALS.plural, ""))
    await world.task.try_step()
    assert world.client.calls.count(("list", TRIALS.plural, "")) == lists


async def test_a_trial_object_that_loses_its_label_is_as_one_that_is_deleted() -> None:
    told: list[str] = []
    manager = Manager()
    world = await started()
    manager._tasks["team", "s"] = world.task
    world.task.trial_gone = told.append  # type: ignore[method-assign]
    body = world.trials[0]
    before = as_(body, Object)
    manager.trial_changed(Change.MODIFIED, before, before)
    assert told == []
    del body["metadata"]["labels"][names.STUDY_LABEL]
    manager.trial_changed(Change.MODIFIED, before, as_(body, Object))
    assert told == [before.metadata.uid]
