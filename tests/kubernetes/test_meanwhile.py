"""News that come while the server is being asked for something else."""

import asyncio
import random
from typing import Any

import pytest

from hyperband.backends.kubernetes.api_errors import Conflict, Unreachable
from hyperband.backends.kubernetes.hands import FEW
from hyperband.backends.kubernetes.objects import PODS, STUDIES, TRIALS, Kind
from tests.kubernetes.fake_cluster import Body, World, study_body


async def test_a_report_is_answered_while_the_study_s_status_is_written() -> None:
    world = World()
    await world.step()
    world.live()
    asked, go = asyncio.Event(), asyncio.Event()
    replace = world.client.replace_status

    async def slow(kind: Kind, namespace: str, name: str, body: Body, type_: Any) -> Any:
        if kind == STUDIES:
            asked.set()
            await go.wait()
        return await replace(kind, namespace, name, body, type_)

    world.client.replace_status = slow  # type: ignore[method-assign]
    step = asyncio.create_task(world.step())
    await asked.wait()
    world.set(world.pod("s-0-0"), reports=[{"epochs": 1, "loss": 0.5}])
    for _ in range(1_000):
        if world.trials[0]["status"].get("rungs"):
            break
        await asyncio.sleep(0)
    assert world.trials[0]["status"].get("rungs") and not step.done()
    go.set()
    await step


async def test_a_write_without_an_answer_is_not_forgotten_for_another_one_s_conflict() -> None:
    """The value of the one may arrive late: its number must not be given to another."""
    world = World()
    await world.step()
    world.live()
    await world.step()
    replace, conflicting = world.client.replace_status, asyncio.Event()

    async def troubled(kind: Kind, namespace: str, name: str, body: Body, type_: Any) -> Any:
        if (kind, name) == (TRIALS, "s-0"):
            await asyncio.sleep(0)
            conflicting.set()
            raise Conflict(409)
        if (kind, name) == (TRIALS, "s-1"):
            await conflicting.wait()
            raise Unreachable("no answer")
        return await replace(kind, namespace, name, body, type_)

    world.client.replace_status = troubled  # type: ignore[method-assign]
    world.set(world.pod("s-0-0"), phase="Failed")
    world.set(world.pod("s-1-0"), reports=[{"epochs": 1, "loss": 0.4}])
    await world.task.try_step()
    world.client.replace_status = replace  # type: ignore[method-assign]
    world.client.calls.clear()
    await world.task.try_step()
    written = world.client.calls.count(("status", TRIALS.plural, "s-1"))
    assert written == 2, "first so that what was on its way comes to a Conflict, then the value"


async def test_a_write_without_an_answer_is_not_forgotten_for_a_trial_that_is_deleted() -> None:
    world = World()
    await world.step()
    world.live()
    await world.step()
    replace = world.client.replace_status

    async def troubled(kind: Kind, namespace: str, name: str, body: Body, type_: Any) -> Any:
        if (kind, name) == (TRIALS, "s-1"):
            world.client.drop(TRIALS, "s-0")  # from now on, all is to be read again
            raise Unreachable("no answer")
        return await replace(kind, namespace, name, body, type_)

    world.client.replace_status = troubled  # type: ignore[method-assign]
    world.set(world.pod("s-1-0"), reports=[{"epochs": 1, "loss": 0.4}])
    await world.task.try_step()
    world.client.replace_status = replace  # type: ignore[method-assign]
    world.client.calls.clear()
    await world.task.try_step()
    written = world.client.calls.count(("status", TRIALS.plural, "s-1"))
    assert written == 2, "first so that what was on its way comes to a Conflict, then the value"


async def running(count: int) -> tuple[World, list[Body]]:
    """That many trials, whose records take 0.1 s each to be written from now on, and their pods."""
    world = World(study_body(parallelism=count, maxTrials=400, hyperband={"mode": "Promotion"}))
    await world.step()
    while len(pods := world.client.bodies(PODS)) < count:  # more each time some get a node
        for pod in pods:
            world.set(pod, phase="Running")
        await world.step()
    for pod in pods:
        world.set(pod, phase="Running")
    await world.step()
    replace = world.client.replace_status

    async def slow(kind: Kind, namespace: str, name: str, body: Body, type_: Any) -> Any:
        if kind == TRIALS:
            world.seconds += 0.1
        return await replace(kind, namespace, name, body, type_)

    world.client.replace_status = slow  # type: ignore[method-assign]
    return world, pods


def recorded(world: World) -> int:
    """How many trials have a value."""
    return sum(bool(trial.get("status", {}).get("rungs")) for trial in world.trials)


def finish(world: World, pod: Body) -> None:
    world.set(pod, phase="Succeeded", reports=[{"epochs": 1, "loss": 0.5}])


def recorded_at_creations(world: World) -> list[int]:
    """How many trials have a value whenever a pod is created from now on."""
    create, before = world.client.create, list[int]()

    async def count(kind: Kind, namespace: str, body: Any, type_: Any) -> Any:
        if kind == PODS:
            before.append(recorded(world))
        return await create(kind, namespace, body, type_)

    world.client.create = count  # type: ignore[method-assign]
    return before


async def test_slots_are_filled_before_a_long_burst_of_values_is_written() -> None:
    world, pods = await running(40)
    for pod in pods:
        finish(world, pod)
    before = recorded_at_creations(world)
    while await world.task.try_step() == 0.0:
        pass
    assert recorded(world) == 40
    assert 0 < before[0] < 40


async def test_slots_are_filled_also_while_a_burst_of_values_is_still_coming() -> None:
    world, pods = await running(100)
    replace, before = world.client.replace_status, recorded_at_creations(world)

    async def bring_all(kind: Kind, namespace: str, name: str, body: Body, type_: Any) -> Any:
        if kind == TRIALS:
            world.client.replace_status = replace  # type: ignore[method-assign]
            for pod in pods[1:]:
                finish(world, pod)
        return await replace(kind, namespace, name, body, type_)

    world.client.replace_status = bring_all  # type: ignore[method-assign]
    finish(world, pods[0])
    while await world.task.try_step() == 0.0:
        pass
    assert recorded(world) == 100
    assert sum(values < 100 for values in before) >= 5, before


async def test_a_study_of_many_trials_that_is_stopped_tells_how_far_it_is() -> None:
    world, pods = await running(100)

    def stopped() -> int:
        return sum(trial["status"]["state"] == "Stopped" for trial in world.trials)

    world.change(stop=True)
    told = set()
    while await world.task.try_step() == 0.0 and world.condition("Finished") != "True":
        assert world.study["status"]["trials"]["stopped"] <= stopped()
        told.add(world.study["status"]["trials"]["stopped"])
    assert len(told) >= 3, told
    for pod in pods:
        world.set(pod, phase="Failed")
    await world.run()
    assert stopped() == 100
    assert world.condition("Finished") == "True"


async def test_slots_that_were_left_free_do_not_hurry_a_study_that_may_not_launch() -> None:
    world = World(study_body(parallelism=10))
    create = world.client.create

    async def slow(*arguments: Any, **more: Any) -> Any:
        world.seconds += 0.6
        return await create(*arguments, **more)

    world.client.create = slow  # type: ignore[method-assign]
    assert await world.task.try_step() == 0.0
    assert len(world.trials) < 10
    world.change(hyperband={"brackets": 9})
    await world.task.try_step()
    assert world.condition("Ready", "reason") == "InvalidSpec"
    assert await world.task.try_step() != 0.0


async def test_a_study_that_stops_ends_whom_it_has_looked_at_and_hears_out_the_others() -> None:
    world, pods = await running(200)
    world.change(stop=True)
    for pod in pods[50:]:
        finish(world, pod)
    assert await world.task.try_step() == 0.0
    states = [trial["status"]["state"] for trial in world.trials]
    assert states[:5] == ["Stopped"] * 5
    assert 0 < recorded(world) < 150
    while await world.task.try_step() == 0.0:
        pass
    assert recorded(world) == 150


async def test_the_pods_of_a_deleted_study_leave_room_for_requests_of_others() -> None:
    world, _ = await running(40)
    delete, under_way, most = world.client.delete, 0, 0

    async def slow(*arguments: Any, **more: Any) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        await delete(*arguments, **more)
        under_way -= 1

    world.client.delete = slow  # type: ignore[method-assign]
    await world.task.end_pods()
    assert all("deletionTimestamp" in pod["metadata"] for pod in world.client.bodies(PODS))
    assert 1 < most <= FEW


@pytest.mark.parametrize("mode", ["Promotion", "Stopping", "Synchronous"])
@pytest.mark.parametrize("seed", range(8))
async def test_no_two_writes_of_a_trial_are_under_way_at_once(seed: int, mode: str) -> None:
    """Every request takes its time, pods move meanwhile, and nothing comes to a Conflict."""
    parallel = study_body(parallelism=6, maxTrials=18, hyperband={"mode": mode})
    world, dice, conflicts = World(parallel), random.Random(seed), 0
    kept = {name: getattr(world.client, name) for name in ("create", "replace_status", "patch")}

    def slow(name: str) -> Any:
        async def call(*arguments: Any, **more: Any) -> Any:
            nonlocal conflicts
            for _ in range(dice.randrange(4)):
                await asyncio.sleep(0)
                pods = [p for p in world.client.bodies(PODS) if dice.random() < 0.1]
                for pod in pods:
                    world.advance(pod)
            try:
                return await kept[name](*arguments, **more)
            except Conflict:
                conflicts += 1
                raise

        return call

    for name in kept:
        setattr(world.client, name, slow(name))
    await world.run()
    assert conflicts == 0
    assert world.condition("Succeeded") == "True"
    assert world.client.most_alive <= 6
    assert [trial["spec"]["index"] for trial in world.trials] == list(range(18))
    values = sorted(v["sequence"] for t in world.trials for v in t["status"].get("rungs", []))
    assert values == list(range(len(values)))
