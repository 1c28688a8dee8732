"""Several trials of a study launched at once, and what goes wrong on the way."""

import asyncio
from typing import Any

import pytest

from hyperband.api import names
from hyperband.backends.kubernetes.api_errors import (
    ApiError,
    Forbidden,
    NotLeading,
    Unreachable,
)
from hyperband.backends.kubernetes.objects import PODS, TRIALS, Kind
from tests.kubernetes.fake_cluster import Body, Killed, World, study_body


async def marked(**spec: Any) -> World:
    """A study of whose two trials the status tells; six more may be started."""
    world = World(study_body(maxTrials=8, **spec))
    await world.step()
    assert world.study["status"]["allStartedBelow"] == 2
    world.change(parallelism=8)
    return world


def indices(world: World) -> list[int]:
    return [trial["spec"]["index"] for trial in world.trials]


class Late:
    """Creations of trials that take longer than others'."""

    def __init__(self, world: World, *late: str) -> None:
        self.begun: list[str] = []
        self.asked = asyncio.Event()  # by all that are late
        self.go = asyncio.Event()
        self._late, self._create = set(late), world.client.create
        world.client.create = self.create  # type: ignore[method-assign]

    async def create(self, kind: Kind, namespace: str, body: Body, type_: Any, **more: Any) -> Any:
        name = body["metadata"]["name"]
        if kind == TRIALS:
            self.begun.append(name)
            if self._late <= set(self.begun):
                self.asked.set()
            if name in self._late:
                await self.go.wait()
        return await self._create(kind, namespace, body, type_, **more)


async def killed_in_a_burst() -> World:
    """A study whose trials 3 and 5 were not written when its operator ended."""
    world = await marked()
    late = Late(world, "s-3", "s-5")
    step = asyncio.create_task(world.step())
    await late.asked.wait()
    for _ in range(50):  # what is not late comes to its end
        await asyncio.sleep(0)
    step.cancel()
    await asyncio.gather(step, return_exceptions=True)
    assert indices(world) == [0, 1, 2, 4, 6, 7]
    late.go.set()
    world.start()
    return world


async def test_one_that_is_late_holds_up_no_other() -> None:
    world = await marked()
    late = Late(world, "s-2")
    step = asyncio.create_task(world.step())
    await late.asked.wait()
    while "s-7-0" not in {pod["metadata"]["name"] for pod in world.client.bodies(PODS)}:
        await asyncio.sleep(0)
    assert 2 not in indices(world)
    late.go.set()
    await step
    assert world.study["status"]["allStartedBelow"] == 8
    await world.run()
    assert indices(world) == list(range(8))


async def test_what_a_killed_operator_had_not_written_is_started_again() -> None:
    undisturbed = await marked()
    await undisturbed.run()
    world = await killed_in_a_burst()
    await world.step()
    assert indices(world) == list(range(8))
    assert [t["spec"] for t in world.trials] == [t["spec"] for t in undisturbed.trials]
    await world.run()
    assert world.condition("Succeeded") == "True"
    assert world.study["status"]["allStartedBelow"] == 8


async def test_what_a_killed_operator_had_on_its_way_is_taken_as_it_is() -> None:
    world = await killed_in_a_burst()
    manifest = next(t for t in world.trials if t["spec"]["index"] == 4)
    late = {**manifest, "metadata": {**manifest["metadata"], "name": "s-3"}}
    late["spec"] = {**manifest["spec"], "index": 3, "parameters": {"x": 0.125}}
    late.pop("status", None)
    late["metadata"]["labels"] = {**manifest["metadata"]["labels"], names.TRIAL_LABEL: "3"}
    create, arrived = world.client.create, False

    async def after_it(kind: Kind, namespace: str, body: Body, type_: Any, **more: Any) -> Any:
        nonlocal arrived
        if kind == TRIALS and not arrived:
            arrived = True
            world.client.add(TRIALS, late)
        return await create(kind, namespace, body, type_, **more)

    world.client.create = after_it  # type: ignore[method-assign]
    await world.run()
    assert indices(world) == list(range(8))
    assert world.trials[3]["spec"]["parameters"] == {"x": 0.125}


@pytest.mark.parametrize("deleted", [0, 5, 7])
@pytest.mark.parametrize("mode", ["Promotion", "Synchronous"])
async def test_what_somebody_has_deleted_stays_away(mode: str, deleted: int) -> None:
    world = await marked(hyperband={"mode": mode})
    await world.step()
    assert world.study["status"]["allStartedBelow"] == 8
    world.client.drop(TRIALS, f"s-{deleted}")
    world.start()
    await world.run()
    assert indices(world) == [index for index in range(8) if index != deleted]
    assert world.study["status"]["allStartedBelow"] == 8


async def test_a_burst_in_which_one_has_failed_can_be_cancelled() -> None:
    """As where the Lease is lost: whoever cancels the task waits for its end."""
    world = await marked()
    late = Late(world, "s-3")
    refused = NotLeading("not sent")

    def fault(moment: str, verb: str, plural: str, name: str) -> None:
        if (moment, verb, plural, name) == ("before", "create", TRIALS.plural, "s-5"):
            raise refused

    world.client.fault = fault
    run = asyncio.create_task(world.task.run())
    await late.asked.wait()
    for _ in range(50):  # the one is refused, the other is still under way
        await asyncio.sleep(0)
    run.cancel()
    for _ in range(50):
        await asyncio.sleep(0)
    assert run.cancelled()


@pytest.mark.parametrize("edited", [0, -3, -(2**62)])
async def test_where_the_status_is_edited_all_that_are_missing_are_started(edited: int) -> None:
    world = await killed_in_a_burst()
    world.study["status"]["allStartedBelow"] = edited
    world.start()
    await world.run()
    assert indices(world) == list(range(8))
    assert world.study["status"]["allStartedBelow"] == 8


@pytest.mark.parametrize(
    "error", [Forbidden(403, "Forbidden", "quota"), Unreachable("cut"), Killed()]
)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", ["s-2", "s-4", "s-7"])
async def test_a_fault_in_a_burst_loses_nothing(
    name: str, when: str, error: ApiError | Unreachable | Killed
) -> None:
    world = await marked()
    failed = False

    def fault(moment: str, verb: str, plural: str, called: str) -> None:
        nonlocal failed
        if (moment, verb, plural, called) == (when, "create", TRIALS.plural, name) and not failed:
            failed = True
            raise error

    world.client.fault = fault
    await world.run()
    assert failed
    assert indices(world) == list(range(8))
    assert world.client.most_alive <= 8


async def test_where_trials_are_refused_for_long_they_are_asked_for_one_by_one() -> None:
    world = await marked()
    refused: list[str] = []

    def fault(moment: str, verb: str, plural: str, name: str) -> None:
        if (moment, verb, plural) == ("before", "create", TRIALS.plural) and int(name[2:]) > 3:
            refused.append(name)
            raise Forbidden(403, "Forbidden", "exceeded quota: trials")

    world.client.fault = fault
    await world.step()
    assert "exceeded quota" in world.condition("Ready", "message")
    for _ in range(3):
        refused.clear()
        await world.step()
        assert refused == ["s-4"]
    assert world.study["status"]["trials"]["total"] == 4
    world.client.fault = lambda *_: None
    await world.run()
    assert indices(world) == list(range(8))
