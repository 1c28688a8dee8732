"""How studies end, and what is kept: budgets, targets, stop, suspension, retention, TTL."""

import asyncio
import copy
from collections.abc import Callable
from typing import Any

import pytest

from hyperband.api import names
from hyperband.backends.kubernetes import study_pods
from hyperband.backends.kubernetes.api_errors import Forbidden
from hyperband.backends.kubernetes.cache import Cache
from hyperband.backends.kubernetes.objects import PODS, STUDIES, TRIALS
from tests.kubernetes.fake_cluster import (
    Body,
    Killed,
    World,
    overdue,
    study_body,
    trains,
)

GPU = {"resources": {"limits": {"nvidia.com/gpu": 2}}}
TEMPLATE = {"spec": {"containers": [{"name": "train", "image": "trainer", **GPU}]}}


async def step(world: World) -> None:
    """A look at what there is to do, a second after the one before."""
    await world.task.try_step()
    world.seconds += 1


async def started(**spec: Any) -> World:
    """A study whose first two pods run, on two GPUs each."""
    world = World(study_body(trialTemplate=TEMPLATE, **spec))
    await step(world)
    world.live()
    await step(world)
    assert {t["status"]["state"] for t in world.trials[:2]} == {"Running"}
    return world


def disruption(reason: str) -> Body:
    return {"type": "DisruptionTarget", "status": "True", "reason": reason}


def states(world: World) -> list[str]:
    return [t["status"]["state"] for t in world.trials]


def finish(world: World) -> tuple[str, str, str]:
    """Succeeded, its reason, and its message."""
    return tuple(world.condition("Succeeded", key) for key in ("status", "reason", "message"))  # type: ignore[return-value]


async def end(world: World) -> None:
    """Lets what was told to end do so, until the study is over."""
    for _ in range(10):
        if world.condition("Finished") == "True":
            return
        for pod in world.client.bodies(PODS):
            if "deletionTimestamp" in pod["metadata"]:
                world.remove(pod)
            elif overdue(pod):
                world.expire(pod)
        await step(world)
    raise AssertionError(f"not over: {world.study['status']}")


# -- targets -----------------------------------------------------------------------------------


async def test_a_target_ends_the_study_and_names_the_trial() -> None:
    world = await started(
        earlyStopping=[{"metric": "accuracy", "goal": "Maximize", "value": 0.9}], parallelism=2
    )
    pod = world.pod("s-1-0")
    world.set(pod, reports=[{"epochs": 0.5, "loss": 1.0, "accuracy": 0.91}])  # between two rungs
    await step(world)
    await end(world)
    succeeded, reason, message = finish(world)
    assert (succeeded, reason) == ("True", "TargetReached")
    assert message.startswith("s-1: accuracy 0.91 at epochs 0.5 reaches the target 0.9")
    assert states(world) == ["Stopped", "Stopped"]
    reasons = [t["status"]["reason"] for t in world.trials]
    assert reasons == ["StudyEnded", "TargetReached"]
    assert world.client.alive() == 0


@pytest.mark.parametrize("value", [0.9, -1e308])
async def test_values_that_are_none_reach_no_target(value: float) -> None:
    world = await started(earlyStopping=[{"metric": "acc", "goal": "Maximize", "value": value}])
    text = '[{"epochs": 0.5, "loss": 1.0, "acc": NaN}, {"epochs": 0.6, "loss": 1, "acc": Infinity}]'
    world.set(world.pod("s-0-0"), reports=text)
    await step(world)
    assert states(world) == ["Running", "Running"]


async def test_a_target_that_nobody_reports_is_warned_of() -> None:
    target = {"metric": "acc", "goal": "Maximize", "value": 0.9}
    world = await started(earlyStopping=[target])
    for name in ("s-0-0", "s-1-0"):
        world.set(world.pod(name), reports=[{"epochs": 1, "loss": 0.5, "accuracy": 0.5}])
        await step(world)
    (event,) = [e for e in world.client.events() if e["reason"] == "TargetNotReported"]
    assert event["message"] == ("no report has held acc (spec.earlyStopping), only accuracy, loss")


# -- a change that makes no sense ------------------------------------------------------------


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_change_that_makes_no_sense_ends_no_study(restarted: bool) -> None:
    """An older definition may let it through."""
    world = await started()
    world.change(ttlAfterFinished="soon")
    if restarted:
        world.start()
    world.set(world.pod("s-0-0"), phase="Succeeded", reports=[{"epochs": 1, "loss": 0.5}])
    await step(world)
    await step(world)
    assert world.condition("Ready", "reason") == "InvalidSpec"
    assert world.condition("Finished") == "False"
    assert len(world.trials) == 2, "nothing new starts"
    world.change(ttlAfterFinished="1h")
    await world.run()
    assert finish(world)[:2] == ("True", "Exhausted")


# -- stop --------------------------------------------------------------------------------------


@pytest.mark.parametrize("suspended", [False, True])
async def test_stop_ends_the_study_for_good(suspended: bool) -> None:
    world = await started()
    world.set(world.pod("s-0-0"), phase="Succeeded", reports=[{"epochs": 1, "loss": 0.5}])
    await step(world)
    if suspended:
        world.change(suspend=True)
        await step(world)
    world.change(stop=True)
    await step(world)
    await end(world)
    assert finish(world)[:2] == ("True", "Stopped")
    assert "Running" not in states(world)
    assert "Pending" not in states(world)


async def test_stopped_without_a_result_it_has_failed() -> None:
    world = await started()
    world.change(stop=True)
    await step(world)
    await end(world)
    assert world.condition("Failed", "reason") == "Stopped"
    assert "none of 2 trials has a result" in world.condition("Failed", "message")


async def test_a_study_that_waits_for_another_one_can_be_stopped() -> None:
    world = World(study_body(warmStart={"fromStudies": ["earlier"]}))
    await step(world)
    assert world.condition("Ready", "reason") == "WaitingForStudies"
    world.change(stop=True)
    await step(world)
    await step(world)
    assert world.condition("Failed", "reason") == "Stopped"


# -- budgets -----------------------------------------------------------------------------------


async def test_gpu_hours_are_counted_while_pods_run() -> None:
    """Four GPUs for 900 s are one GPU-hour; no event tells when that is over."""
    world = await started(budget={"gpuHours": 1.0}, onBudget="Stop")
    wait = await world.task.try_step()
    assert wait is not None
    world.seconds += 880 - world.seconds
    wait = await world.task.try_step()
    assert wait == pytest.approx(20)
    assert states(world) == ["Running", "Running"]
    world.seconds += 20
    await world.task.try_step()
    assert states(world) == ["Stopped", "Stopped"]
    await end(world)
    assert world.condition("Failed", "reason") == "BudgetReached"
    assert "1 GPU-hours are used; budget.gpuHours is 1" in world.condition("Failed", "message")
    assert world.study["status"]["gpuSeconds"] >= 3600


async def test_what_runs_may_finish_and_what_waits_is_not_started() -> None:
    world = await started(budget={"duration": "1m"})
    world.change(parallelism=3, budget={"duration": "1m"})
    await step(world)
    third = world.pod("s-2-0")
    world.seconds += 60
    await step(world)
    assert states(world) == ["Running", "Running", "Stopped"]
    for name in ("s-0-0", "s-1-0"):
        world.set(world.pod(name), phase="Succeeded", reports=[{"epochs": 1, "loss": 0.5}])
    world.remove(third)
    await step(world)
    assert states(world)[:2] == ["Paused", "Paused"]
    assert finish(world)[:2] == ("True", "BudgetReached")
    assert "budget.duration is 60 s" in finish(world)[2]


async def test_a_disrupted_attempt_is_not_repeated_once_the_budget_is_spent() -> None:
    world = await started(budget={"duration": "1m"})
    world.seconds += 60
    await step(world)
    for name in ("s-0-0", "s-1-0"):
        world.remove(world.pod(name))
    await step(world)
    assert states(world) == ["Stopped", "Stopped"]
    assert world.condition("Failed", "reason") == "BudgetReached"
    assert not world.client.bodies(PODS)


async def test_a_budget_that_was_reached_stays_so_though_the_account_turns_out_lower() -> None:
    """Until a pod's end is known it is charged up to now."""
    world = await started(budget={"gpuHours": 1.0}, onBudget="Stop")
    world.seconds = 901
    await step(world)
    assert states(world) == ["Stopped", "Stopped"]
    world.seconds = 800  # when their containers ended, by the node's clock
    for pod in world.client.bodies(PODS):
        world.expire(pod)
    world.seconds = 905
    world.start()
    await step(world)
    assert world.condition("Failed", "reason") == "BudgetReached"
    assert world.study["status"]["gpuSeconds"] == 3200
    assert len(world.trials) == 2


async def test_resource_units() -> None:
    world = await started(budget={"resourceUnits": 2}, maxTrials=9)
    for name in ("s-0-0", "s-1-0"):
        world.set(world.pod(name), phase="Succeeded", reports=[{"epochs": 1, "loss": 0.5}])
    await step(world)
    assert finish(world)[:2] == ("True", "BudgetReached")
    assert "2 epochs are trained" in finish(world)[2]
    assert len(world.trials) == 2


async def test_a_budget_that_is_spent_while_trials_are_launched_is_named_before_one_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = {"budget": {"resourceUnits": 2}, "onBudget": "Stop", "maxTrials": 9}
    world = await started(parallelism=3, **spec)
    report = [{"epochs": 1, "loss": 0.5}]
    world.set(world.pod("s-0-0"), phase="Succeeded", reports=report)
    create = world.client.create

    async def slowly(*words: Any) -> Any:  # so that news are looked at meanwhile
        made = await create(*words)
        for _ in range(20):
            await asyncio.sleep(0)
        return made

    monkeypatch.setattr(world.client, "create", slowly)
    named: list[bool] = []  # at each write of a trial that is ended by the budget

    def spend(when: str, verb: str, plural: str, name: str) -> None:
        if (when, verb, plural) == ("after", "create", TRIALS.plural):
            world.set(world.pod("s-1-0"), phase="Succeeded", reports=report)
        ended = [t for t in world.trials if t.get("status", {}).get("reason") == "StudyEnded"]
        if (when, verb, plural) == ("after", "status", TRIALS.plural) and ended:
            named.append("budgetReached" in world.study["status"])

    world.client.fault = spend
    await step(world)
    await end(world)
    assert finish(world)[:2] == ("True", "BudgetReached")
    assert named and all(named)


async def test_time_in_suspension_is_not_spent() -> None:
    world = await started(budget={"duration": "100s"})
    world.change(suspend=True)
    await step(world)
    world.seconds += 1000
    world.live()
    await step(world)
    world.change(suspend=False)
    await step(world)
    assert world.condition("Finished") == "False"
    assert world.study["status"]["suspendedSeconds"] >= 1000
    world.start()
    await step(world)
    assert world.condition("Finished") == "False"
    world.seconds += 100
    await step(world)
    await end(world)
    assert world.condition("Failed", "reason") == "BudgetReached"


async def test_that_the_budget_is_spent_is_seen_while_trials_run_on() -> None:
    world = await started(budget={"duration": "1m"})
    world.seconds += 60
    await step(world)
    assert world.condition("Progressing", "reason") == "BudgetReached"
    assert "what runs may end by itself" in world.condition("Progressing", "message")
    assert [e for e in world.client.events() if e["reason"] == "BudgetReached"]
    world.change(budget={"duration": "1h"})
    await step(world)
    assert "budgetReached" not in world.study["status"]
    assert world.condition("Progressing", "reason") == "TrialsRunning"


@pytest.mark.parametrize("raised", [{"budget": {"resourceUnits": 100}}, {"maxTrials": 3}])
async def test_a_spec_that_changes_while_records_are_written_counts(raised: Body) -> None:
    world = await started(budget={"resourceUnits": 6}, maxTrials=2, hyperband={"mode": "None"})
    if "maxTrials" in raised:
        world.change(budget={"resourceUnits": 100})
    changed: list[str] = []

    def change(when: str, verb: str, plural: str, name: str) -> None:
        both = states(world).count("Completed") == 2
        if (when, verb, plural) == ("after", "status", TRIALS.plural) and both and not changed:
            changed.append(name)
            world.change(**raised)

    world.client.fault = change
    world.live()
    for _ in range(2):  # the second one decides again
        await step(world)
    assert changed
    assert "budgetReached" not in world.study["status"]
    assert (world.condition("Finished") == "True") is ("maxTrials" not in raised)


async def test_a_budget_that_is_raised_in_time_counts() -> None:
    world = await started(budget={"duration": "1m"})
    world.seconds += 30
    world.change(budget={"duration": "1h"})
    world.seconds += 60
    for _ in range(20):
        await step(world)
        world.live()
    assert finish(world)[:2] == ("True", "Exhausted")


# -- the account ---------------------------------------------------------------------------------


async def test_a_pod_that_vanished_while_no_operator_ran_is_paid_for() -> None:
    world = await started()
    pod = world.pod("s-0-0")
    del world.client.objects[PODS.plural, pod["metadata"]["name"]]  # no watch tells of it
    world.seconds = 500
    world.start()
    await step(world)
    attempt = world.trials[0]["status"]["attempts"][0]
    assert (attempt["outcome"], attempt["reason"]) == ("Disrupted", "its pod is gone")
    assert attempt["gpuSeconds"] == 2 * 500
    assert world.trials[0]["status"]["attempt"] == 1


@pytest.mark.parametrize("mode", ["Promotion", "Stopping"])
async def test_a_pod_that_had_reported_when_it_was_first_seen_is_paid_for(mode: str) -> None:
    world = World(study_body(trialTemplate=TEMPLATE, hyperband={"mode": mode}))
    await step(world)
    pod = world.pod("s-0-0")
    world.set(pod, phase="Running", reports=[{"epochs": 1, "loss": 0.5}])
    await step(world)
    assert world.trials[0]["status"]["rungs"][0]["value"] == 0.5
    del world.client.objects[PODS.plural, pod["metadata"]["name"]]  # no watch tells of it
    world.seconds = 500
    world.start()
    await step(world)
    assert world.trials[0]["status"]["attempts"][0]["gpuSeconds"] == 2 * 500


async def test_a_stopped_trial_whose_pod_vanished_is_paid_for() -> None:
    world = await started(budget={"duration": "100s"}, onBudget="Stop")
    world.seconds = 150
    await step(world)
    assert states(world) == ["Stopped", "Stopped"]
    for pod in list(world.client.bodies(PODS)):
        del world.client.objects[PODS.plural, pod["metadata"]["name"]]
    world.seconds = 200
    world.start()
    await step(world)
    assert [t["status"]["gpuSeconds"] for t in world.trials] == [400, 400]
    assert world.study["status"]["gpuSeconds"] == 800
    assert world.condition("Finished") == "True"


async def test_a_pod_that_its_node_took_along_is_paid_for() -> None:
    """The garbage collector of pods says Failed; the container is as it was last heard of."""
    world = await started()
    pod = world.pod("s-0-0")
    pod["status"] |= {"phase": "Failed", "conditions": [disruption("DeletionByPodGC")]}
    world.seconds = 500
    world.set(pod)
    await step(world)
    attempt = world.trials[0]["status"]["attempts"][0]
    assert (attempt["outcome"], attempt["gpuSeconds"]) == ("Disrupted", 2 * 500)
    world.seconds += 24 * 3600
    world.task._resync()
    await step(world)
    assert "deletionTimestamp" in pod["metadata"]


async def test_an_init_container_that_fails_is_paid_for() -> None:
    world = World(study_body(trialTemplate=TEMPLATE))
    await step(world)
    pod = world.pod("s-0-0")
    ended = {"exitCode": 1, "finishedAt": "2026-01-01T02:00:00Z"}
    pod["status"] = {
        "phase": "Failed",
        "startTime": "2026-01-01T00:00:00Z",
        "initContainerStatuses": [{"name": "fetch", "state": {"terminated": ended}}],
        "containerStatuses": [{"name": "train", "state": {"waiting": {}}}],
    }
    world.set(pod)
    await step(world)
    assert world.trials[0]["status"]["attempts"][0]["gpuSeconds"] == 2 * 7200


async def test_a_training_that_failed_beside_another_container_is_accounted_as_failed() -> None:
    world = await started()
    pod = world.pod("s-0-0")
    ended = {"exitCode": 3, "finishedAt": "2026-01-01T00:00:01Z", "message": "ImportError: x"}
    pod["status"]["containerStatuses"] = [
        {"name": "train", "state": {"terminated": ended}},
        {"name": "proxy", "state": {"running": {}}},
    ]
    world.set(pod)
    await step(world)
    world.seconds += 31
    await step(world)
    assert overdue(pod)
    proxy = {"exitCode": 137, "finishedAt": "2026-01-01T00:00:40Z"}
    pod["status"]["containerStatuses"][1]["state"] = {"terminated": proxy}
    pod["status"] |= {"phase": "Failed", "reason": "DeadlineExceeded"}
    world.set(pod)
    await step(world)
    attempt = world.trials[0]["status"]["attempts"][0]
    assert (attempt["outcome"], attempt["reason"]) == ("Failed", "exit code 3: ImportError: x")
    assert attempt["gpuSeconds"] == 2 * 40


async def test_a_pod_that_is_ended_after_its_trial_s_promotion_is_no_disruption() -> None:
    world = await started(maxTrials=2)
    for name, loss in (("s-0-0", 0.5), ("s-1-0", 0.4)):
        world.set(world.pod(name), reports=[{"epochs": 1, "loss": loss}])  # and both run on
        await step(world)
    world.change(parallelism=4)
    await step(world)
    promoted = world.trials[1]["status"]
    assert (promoted["reason"], promoted["attempt"]) == ("Promoted", 1)
    world.seconds += 31
    await step(world)
    world.expire(world.pod("s-1-0"))
    await step(world)
    assert world.trials[1]["status"]["attempts"][0]["outcome"] == "Ended"


async def test_resource_between_rungs_is_spent_as_it_is_reported() -> None:
    world = await started(
        budget={"resourceUnits": 5}, onBudget="Stop", hyperband={"mode": "None"}, maxTrials=2
    )
    for name in ("s-0-0", "s-1-0"):
        world.set(world.pod(name), reports=[{"epochs": 2, "loss": 1.0}])
    await step(world)
    assert states(world) == ["Running", "Running"]
    world.set(world.pod("s-1-0"), reports=[{"epochs": 2.9, "loss": 1.0}] * 1)
    world.set(world.pod("s-0-0"), reports=[{"epochs": 2.5, "loss": 1.0}])
    await step(world)
    assert states(world) == ["Stopped", "Stopped"]
    await end(world)
    assert "5.4 epochs are trained" in world.condition("Failed", "message")


async def test_pulling_an_image_is_paid_for() -> None:
    world = World(study_body(trialTemplate=TEMPLATE))
    await step(world)
    waiting = {"waiting": {"reason": "ContainerCreating"}}
    for name in ("s-0-0", "s-1-0"):
        world.pod(name)["status"] = {
            "phase": "Pending",
            "startTime": "2026-01-01T00:00:00Z",
            "containerStatuses": [{"name": "train", "state": waiting}],
        }
        world.set(world.pod(name))
    world.seconds = 40
    world.task._resync()
    await step(world)
    assert world.trials[0]["status"]["attempts"][0]["startTime"] == "2026-01-01T00:00:00Z"
    world.seconds = 100
    del world.client.objects[PODS.plural, "s-0-0"]  # while no operator runs
    world.pod("s-1-0")["status"] |= {"phase": "Failed"}
    world.start()
    await step(world)
    assert [t["status"]["gpuSeconds"] for t in world.trials[:2]] == [200, 200]


# -- how pods are ended and kept -----------------------------------------------------------------


async def test_a_pod_that_was_ended_by_us_is_an_account_and_no_failure() -> None:
    world = await started(failurePolicy={"retries": 0, "maxFailedTrials": 0}, maxTrials=2)
    world.change(suspend=True)
    await step(world)
    for pod in world.client.bodies(PODS):
        assert pod["metadata"]["annotations"]["hyperband.dev/ended"].endswith("is suspended")
    world.live()
    await step(world)
    assert [t["status"]["attempt"] for t in world.trials] == [1, 1]
    assert [t["status"]["failures"] for t in world.trials] == [0, 0]
    world.change(suspend=False)
    await world.run()
    assert finish(world)[:2] == ("True", "Exhausted")
    assert {pod["metadata"]["name"] for pod in world.client.bodies(PODS)} >= {"s-0-0", "s-1-0"}


async def test_a_pod_that_obeys_no_deadline_is_deleted() -> None:
    """Its node is dead, say."""
    world = await started()
    world.change(suspend=True)
    await step(world)
    pod = world.pod("s-0-0")
    world.seconds += 44
    await world.task.try_step()
    assert "deletionTimestamp" not in pod["metadata"]
    world.seconds += 62
    world.task._resync()
    await world.task.try_step()
    assert "deletionTimestamp" in pod["metadata"]


@pytest.mark.parametrize("when", ["2099-01-01T00:00:00Z", "9999-12-31T23:59:59+00:00"])
async def test_a_forged_mark_keeps_no_pod_alive(when: str) -> None:
    world = await started()
    pod = world.pod("s-0-0")
    pod["metadata"]["annotations"] = {"hyperband.dev/ended": f"{when} x"}
    pod["spec"]["terminationGracePeriodSeconds"] = 2**63 - 1
    world.set(pod)
    await step(world)
    assert world.condition("Ready") == "True"
    world.change(stop=True)
    await step(world)
    await end(world)
    assert world.condition("Failed", "reason") == "Stopped"


@pytest.mark.parametrize(("logs", "kept"), [("Keep", True), ("Discard", False)])
async def test_logs_of_pods_that_are_ended(logs: str, kept: bool) -> None:
    world = await started(retention={"pods": "1h", "logs": logs})
    world.change(suspend=True)
    await step(world)
    world.live()
    assert bool(world.client.bodies(PODS)) == kept


async def test_trouble_after_the_end_does_not_change_how_it_ended() -> None:
    world = World(study_body(retention={"pods": "1h", "logs": "Keep"}))
    await world.run()
    before = world.study["status"]

    def fault(moment: str, verb: str, plural: str, name: str) -> None:
        if (verb, plural) == ("delete", "pods"):
            raise Forbidden(403, "Forbidden", "no")

    world.client.fault = fault
    world.seconds += 3700
    world.task._resync()
    await world.task.try_step()
    assert ("delete", "pods", "s-0-0") in world.client.calls
    assert world.study["status"] == before


async def test_finished_pods_are_deleted_after_their_time() -> None:
    world = await started(retention={"pods": "1h", "logs": "Keep"}, maxTrials=2)
    pod = world.pod("s-0-0")
    world.set(pod, phase="Succeeded", reports=[{"epochs": 1, "loss": 0.5}])
    await step(world)
    for seconds, there in ((3500, True), (200, False)):
        world.seconds += seconds
        world.task._resync()
        await world.task.try_step()
        assert ("deletionTimestamp" not in pod["metadata"]) == there
    world.remove(pod)
    await world.run()
    assert finish(world)[:2] == ("True", "Exhausted")
    assert world.trials[0]["status"]["failures"] == 0


@pytest.mark.parametrize("restarted", [False, True])
async def test_pods_of_a_finished_study_are_deleted_after_their_time(restarted: bool) -> None:
    world = World(study_body(retention={"pods": "1h", "logs": "Keep"}))
    await world.run()
    assert world.client.bodies(PODS)
    if restarted:
        world.start()
    world.seconds += 3700
    world.task._resync()
    await world.task.try_step()
    assert all("deletionTimestamp" in pod["metadata"] for pod in world.client.bodies(PODS))
    for pod in list(world.client.bodies(PODS)):
        world.remove(pod)
    world.client.calls.clear()
    world.task._resync()
    await world.task.try_step()
    assert world.client.calls == []


async def test_many_old_pods_are_deleted_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_pods, "DISCARDED", 2)
    world = World(study_body(retention={"pods": "1h", "logs": "Keep"}))
    await world.run()
    many = len(world.client.bodies(PODS))
    assert many > 4
    world.seconds += 3700
    world.task._resync()
    asked: list[int] = []
    for _ in range(many):
        world.client.calls.clear()
        wait = await world.task.try_step()  # no watch has told of a deletion so far
        asked.append(sum(call[:2] == ("delete", PODS.plural) for call in world.client.calls))
        if wait is None:
            break
        assert wait == 0
    assert sum(asked) == many, "each once"
    assert max(asked) == 2


async def test_a_study_with_many_old_pods_does_not_neglect_its_trials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(study_pods, "DISCARDED", 1)
    world = await started(retention={"pods": "1h", "logs": "Keep"}, maxTrials=4)
    for name in ("s-0-0", "s-1-0"):
        world.set(world.pod(name), phase="Succeeded", reports=[{"epochs": 1, "loss": 0.5}])
    await step(world)
    world.seconds += 3700
    world.task._resync()
    deleted: list[str] = []
    for _ in range(2):
        world.client.calls.clear()
        await world.task.try_step()
        (name,) = [call[2] for call in world.client.calls if call[:2] == ("delete", "pods")]
        deleted.append(name)
    assert sorted(deleted) == ["s-0-0", "s-1-0"]


async def test_a_finished_study_looks_only_at_pods_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is woken by each of them, and there may be 10,000 of others."""
    world = World()
    await world.run()
    await step(world)
    late = copy.deepcopy(world.pod("s-1-0"))
    world.remove(world.pod("s-1-0"))
    made = world.client.add(PODS, late)
    world.show(made)

    def refuse(self: Any) -> Any:
        raise AssertionError("walks all pods")

    monkeypatch.setattr(Cache, "__iter__", refuse)
    asked: list[Any] = []
    by_index = world.pods.by_index
    monkeypatch.setattr(world.pods, "by_index", lambda key: asked.append(key) or by_index(key))
    await step(world)
    metadata = late["metadata"]
    assert asked == [(metadata["namespace"], metadata["ownerReferences"][0]["uid"])]
    assert "deletionTimestamp" not in made["metadata"], "it is over"
    late["status"] = {"phase": "Running"}
    world.remove(made)
    made = world.client.add(PODS, late)
    world.show(made)
    await step(world)
    assert "deletionTimestamp" in made["metadata"]


async def test_a_finished_study_is_deleted_after_its_time() -> None:
    world = World(study_body(ttlAfterFinished="1d"))
    await world.run()
    wait = await world.task.try_step()
    assert wait is not None
    assert 86_000 < wait <= 86_400
    world.seconds += wait
    await world.task.try_step()
    assert ("delete", STUDIES.plural, "s") in world.client.calls


async def test_a_study_that_could_not_run_is_deleted_after_its_time() -> None:
    world = World(study_body(ttlAfterFinished="1h", hyperband={"brackets": 9}))
    await step(world)
    assert world.condition("Failed", "reason") == "InvalidSpec"
    world.seconds += 3601
    await step(world)
    await step(world)
    assert ("delete", STUDIES.plural, "s") in world.client.calls


# -- resume --------------------------------------------------------------------------------------


def environment(pod: Body) -> dict[str, str]:
    return {e["name"]: e.get("value") for e in pod["spec"]["containers"][0]["env"]}


async def test_without_resume_a_promotion_starts_from_scratch() -> None:
    world = World(study_body(resume=False, checkpoint={"volume": VOLUME}))
    await world.run()
    promoted = [t for t in world.trials if t["status"]["state"] == "Completed"]
    assert promoted
    for trial in promoted:
        name = trial["metadata"]["name"]
        first, second = (environment(world.pod(f"{name}-{n}")) for n in range(2))
        assert first["HYPERBAND_CHECKPOINT_DIR"] != second["HYPERBAND_CHECKPOINT_DIR"]
        assert second["HYPERBAND_RESOURCE_FROM"] == "0"
    states_ = world.study["status"]
    assert states_["resourceUnits"] == 4 * 1 + 3 * len(promoted)


# -- checkpoints ---------------------------------------------------------------------------------

VOLUME = {"hostPath": {"path": "/scratch"}}


def cleaners(world: World) -> list[Body]:
    return [pod for pod in world.client.bodies(PODS) if not trains(pod)]


async def clean_up(world: World) -> None:
    for _ in range(6):
        await step(world)
        world.live()


@pytest.mark.parametrize("restarted", [False, True])
async def test_checkpoints_that_nobody_can_want_are_removed(restarted: bool) -> None:
    world = World(study_body(checkpoint={"volume": VOLUME, "cleanUp": "Remove"}))
    await world.run()
    if restarted:
        world.start()
    await clean_up(world)
    (pod,) = cleaners(world)
    kept = {t["spec"]["index"] for t in world.trials if t["status"]["state"] == "Completed"}
    kept.add(world.study["status"]["best"]["index"])
    removed = {0, 1, 2, 3} - kept
    assert removed
    command = pod["spec"]["containers"][0]["command"]
    assert {int(word) for word in command[4:]} == removed
    uid = world.study["metadata"]["uid"][:8]
    assert command[3] == f"/checkpoint/team/s-{uid}"
    assert pod["metadata"]["ownerReferences"][0]["kind"] == "HyperbandStudy"
    assert world.study["status"]["checkpointsRemoved"] == len(removed)
    world.client.calls.clear()
    world.start()
    await clean_up(world)
    assert ("create", PODS.plural, "s-cleanup-1") not in world.client.calls


async def test_while_a_study_runs_many_checkpoints_are_removed_together() -> None:
    world = World(
        study_body(
            checkpoint={"volume": VOLUME, "cleanUp": "Remove", "cleanUpImage": "busybox:1"},
            maxTrials=60,
            hyperband={"mode": "Stopping"},
            parallelism=4,
        )
    )
    first: Body | None = None
    for _ in range(200):
        world.task._resync()
        await step(world)
        world.live()
        if first is None and cleaners(world):
            first = cleaners(world)[0]
            assert world.condition("Finished") == "False"
        if world.condition("Finished") == "True":
            break
    await clean_up(world)
    assert first is not None
    assert first["spec"]["containers"][0]["image"] == "busybox:1"
    names_ = [
        word for pod in cleaners(world) for word in pod["spec"]["containers"][0]["command"][4:]
    ]
    assert len(names_) == len(set(names_)), "each once"
    over = [t for t in world.trials if t["status"]["state"] == "Stopped"]
    best = world.study["status"]["best"]["index"]
    assert {int(name) for name in names_} == {t["spec"]["index"] for t in over} - {best}
    assert not first["spec"]["containers"][0].get("env")


async def test_the_checkpoint_of_the_trial_that_reached_the_target_stays() -> None:
    target = {"metric": "accuracy", "goal": "Maximize", "value": 0.9}
    checkpoint = {"volume": VOLUME, "cleanUp": "Remove"}
    world = await started(earlyStopping=[target], checkpoint=checkpoint, hyperband={"brackets": 2})
    world.set(world.pod("s-1-0"), reports=[{"epochs": 0.5, "loss": 1.0, "accuracy": 0.91}])
    await step(world)
    await end(world)
    await clean_up(world)
    (pod,) = cleaners(world)
    assert pod["metadata"]["annotations"]["hyperband.dev/removes"] == "0"


async def test_a_clean_up_that_fails_is_given_up_and_told() -> None:
    world = World(study_body(checkpoint={"volume": VOLUME, "cleanUp": "Remove"}))
    await world.run()
    for _ in range(8):
        for _ in range(3):  # only one, and the next after a while
            await step(world)
        for pod in cleaners(world):
            if "status" not in pod:
                world.set(pod, phase="Failed")
        world.seconds += 300
        world.task._resync()
    assert len(cleaners(world)) == 3
    assert "checkpointsRemoved" not in world.study["status"], "the next operator tries again"
    (event,) = [e for e in world.client.events() if e["reason"] == "CheckpointsNotRemoved"]
    assert event["message"].startswith("pod s-cleanup-")


async def test_a_foreign_pod_of_the_name_is_told_and_left_alone() -> None:
    world = World(study_body(checkpoint={"volume": VOLUME, "cleanUp": "Remove"}))
    await world.run()
    foreign = world.client.add(PODS, {"metadata": {"name": "s-cleanup-0", "namespace": "team"}})
    await step(world)
    (event,) = [e for e in world.client.events() if e["reason"] == "CheckpointsNotRemoved"]
    assert event["message"].startswith("pod s-cleanup-0 exists and is not the study's: delete it")
    assert "deletionTimestamp" not in foreign["metadata"]


def unschedulable(pod: Body) -> Body:
    said = "0/3 nodes are available: 3 node(s) had untolerated taint(s)"
    why = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": said}
    return {"phase": "Pending", "conditions": [why]}


def on_a_dead_node(pod: Body) -> Body:
    return {"phase": "Running", "startTime": pod["metadata"]["creationTimestamp"]}


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(
    ("status", "patience", "said"),
    [
        (unschedulable, 900, "(Unschedulable: 0/3 nodes are available: 3 node(s) had untolerated"),
        (on_a_dead_node, 3600, "pod s-cleanup-0 has not ended in time"),
    ],
)
async def test_a_clean_up_that_never_ends_does_not_keep_the_study(
    status: Callable[[Body], Body], patience: int, said: str, restarted: bool
) -> None:
    checkpoint = {"volume": VOLUME, "cleanUp": "Remove"}
    world = World(study_body(checkpoint=checkpoint, ttlAfterFinished="1h"))
    await world.run()
    await step(world)
    for number in range(3):
        pod = cleaners(world)[-1]
        pod["status"] = status(pod)
        world.show(world.client.touch(pod))
        for seconds, there in ((patience - 10, True), (60, False)):
            if restarted and number == 0:
                world.start()
            world.seconds += seconds
            world.task._resync()
            await step(world)
            assert ("deletionTimestamp" not in pod["metadata"]) == there
        if "startTime" not in pod["status"]:  # else it stays while its node is silent
            world.remove(pod)
        else:
            world.show(pod)
        world.seconds += 300
        world.task._resync()
        await step(world)
    await step(world)
    assert ("delete", STUDIES.plural, "s") in world.client.calls
    created = [c for c in world.client.calls if c[0] == "create" and "cleanup" in c[2]]
    assert len(created) == 3
    assert any(event["reason"] == "CheckpointsNotRemoved" for event in world.client.events())
    assert any(said in message for message in world.client.said)


async def test_pods_that_have_cleaned_up_are_deleted_while_the_study_runs() -> None:
    world = await started(
        checkpoint={"volume": VOLUME, "cleanUp": "Remove"},
        retention={"pods": "1h", "logs": "Keep"},
        hyperband={"mode": "Stopping"},
        maxTrials=200,
        parallelism=4,
    )
    for _ in range(100):
        if cleaners(world) and "finishedAt" in str(cleaners(world)[0].get("status")):
            break
        world.task._resync()
        await step(world)
        world.live()
    (pod,) = cleaners(world)
    for seconds, there in ((0, True), (3700, False)):
        world.seconds += seconds
        for _ in range(20):  # old pods of trials have their turns too
            world.task._resync()
            await step(world)
        assert ("deletionTimestamp" not in pod["metadata"]) == there
    assert world.condition("Finished") == "False"
    removed = set(pod["metadata"]["annotations"][names.REMOVES_ANNOTATION].split())
    world.remove(pod)
    for _ in range(20):
        world.task._resync()
        await step(world)
        world.live()
    for other in cleaners(world):
        again = other["metadata"]["annotations"][names.REMOVES_ANNOTATION].split()
        assert not removed & set(again), "it is remembered what is removed"


async def test_without_being_asked_no_checkpoint_is_removed() -> None:
    world = World(study_body(checkpoint={"volume": VOLUME}))
    await world.run()
    await clean_up(world)
    assert not cleaners(world)


# -- killed at any call ----------------------------------------------------------------------------


async def cut_short(when: str, kill_at: int) -> tuple[World, int]:
    """Two trials run, and one of them reaches the target; also returns how many calls that took."""
    target = {"metric": "loss", "goal": "Minimize", "value": 0.25}
    world = World(study_body(trialTemplate=TEMPLATE, earlyStopping=[target]))
    calls = 0

    def fault(moment: str, *_: str) -> None:
        nonlocal calls
        calls += moment == when
        if moment == when and calls == kill_at:
            raise Killed

    world.client.fault = fault
    for _ in range(30):
        try:
            await step(world)
        except Killed:
            world.start()
            continue
        if world.condition("Finished") == "True":
            break
        for pod in world.client.bodies(PODS):
            if "status" not in pod:
                world.set(pod, phase="Running")
            elif overdue(pod):
                world.expire(pod)
            elif pod["metadata"]["name"] == "s-1-0" and pod["status"]["phase"] == "Running":
                world.set(pod, reports=[{"epochs": 0.5, "loss": 0.2}])
    return world, calls


@pytest.mark.parametrize("when", ["before", "after"])
async def test_killed_at_any_call_of_a_study_that_is_cut_short(when: str) -> None:
    _, total = await cut_short(when, 0)
    assert total > 12
    for kill_at in range(1, total + 1):
        world, _ = await cut_short(when, kill_at)
        assert finish(world)[:2] == ("True", "TargetReached"), f"killed {when} call {kill_at}"
        assert states(world) == ["Stopped", "Stopped"]
        assert world.client.alive() == 0
