"""Studies that start warm: they wait for others, take their values over, and do without."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hyperband.api import names
from hyperband.backends.kubernetes.api_errors import Conflict, ServerError, Unreachable
from hyperband.backends.kubernetes.manager import Manager
from hyperband.backends.kubernetes.objects import STUDIES, TRIALS
from tests.kubernetes.fake_cluster import NAMESPACE, Body, Killed, World, as_, study_body

PARAMETERS = [0.9, 0.2, 0.4, 0.6, 5.0]  # of the earlier study's trials; the last one is outside


def warm_world(*studies: str, **spec: Any) -> World:
    return World(study_body(warmStart={"fromStudies": list(studies or ["old"])}, **spec))


def add_study(world: World, name: str = "old", *, finished: bool = True, **spec: Any) -> Body:
    """A study with a trial, and a value at each of two rungs, for each of PARAMETERS."""
    body = study_body(**spec)
    body["metadata"]["name"] = name
    body = world.client.add(STUDIES, body)
    for index, x in enumerate(PARAMETERS):
        add_trial(world, body, index, x)
    if finished:
        finish(world, body)
    return body


def add_trial(world: World, study: Body, index: int, x: float) -> None:
    metadata = study["metadata"]
    owner = {"kind": names.STUDY_KIND, "controller": True} | {k: metadata[k] for k in OWNER}
    rungs = [
        {"level": 0, "resource": 1, "value": x + 1, "sequence": 2 * index},
        {"level": 1, "resource": 3, "value": x, "sequence": 2 * index + 1},
    ]
    body = {
        "metadata": {
            "name": f"{metadata['name']}-{index}",
            "namespace": NAMESPACE,
            "labels": {names.STUDY_LABEL: metadata["name"]},
            "ownerReferences": [owner],
        },
        "spec": {"index": index, "bracket": 0, "parameters": {"x": x}},
        "status": {"state": "Completed", "rungs": rungs},
    }
    world.client.add(TRIALS, body)


OWNER = ("name", "uid")


def finish(world: World, study: Body) -> None:
    done = {"type": "Finished", "status": "True", "reason": "Exhausted", "message": ""}
    study["status"] = {"conditions": [done]}
    world.client.touch(study)


def events(world: World) -> dict[str, str]:
    return {body["reason"]: body["message"] for body in world.client.events()}


def taken(world: World) -> Any:
    """What the searcher was given, by study."""
    assert world.task._keeper is not None
    return [(t.study, t.parameters["x"]) for t in world.task._keeper.engine.study.earlier]


async def test_values_of_a_finished_study_are_taken_over() -> None:
    world = warm_world()
    old = add_study(world)
    await world.step()
    assert taken(world) == [("old", x) for x in PARAMETERS[:4]]
    said = (
        "4 of 5 trials with values are taken over; "
        "the searcher tries the best of them and learns nothing from the others; "
        "left out: 1 with x outside of 0 … 1"
    )
    shown = world.study["status"]["warmStart"]
    assert (shown["values"], shown["studies"][0]["uid"]) == (8, old["metadata"]["uid"])
    assert shown["studies"][0]["message"] == said
    assert events(world)["WarmStarted"] == f"warm start from old: {said}"
    first = world.trials[0]["spec"]
    assert (first["suggestion"]["origin"], first["parameters"]) == ("Earlier", {"x": 0.2})
    await world.run()
    assert world.condition("Succeeded") == "True"
    assert world.study["status"]["warmStart"] == shown


async def test_it_waits_for_the_end_of_the_others_and_says_so() -> None:
    world = warm_world("old", "older", maxTrials=2)
    old = add_study(world, finished=False)
    assert await world.task.try_step() is None, "nothing to do until somebody wakes it"
    for type_ in ("Ready", "Progressing"):
        assert world.condition(type_) == "False"
        assert world.condition(type_, "reason") == "WaitingForStudies"
    said = world.condition("Progressing", "message")
    assert "waits until old is finished; there is no study older" in said
    assert "apply it, or" in said
    await world.step()
    finish(world, old)
    add_study(world, "older", finished=False)
    await world.step()
    assert "waits until older is finished" in world.condition("Progressing", "message")
    assert not world.trials
    finish(world, world.client.objects[STUDIES.plural, "older"])
    await world.step()
    assert {study for study, _ in taken(world)} == {"old", "older"}
    assert [t["spec"]["suggestion"]["origin"] for t in world.trials] == ["Earlier", "Earlier"]
    assert {e["type"] for e in world.client.events() if e["reason"] == "WaitingForStudies"} == {
        "Normal"
    }


async def test_a_template_that_cannot_work_is_found_before_the_wait_is_over() -> None:
    world = warm_world()

    def fault(moment: str, verb: str, *_: str) -> None:
        if verb == "dry-run":
            raise ServerError(503, "", "busy")

    world.client.fault = fault
    await world.step()
    assert world.condition("Ready", "reason") == "TemplateUnchecked"


async def test_two_studies_that_wait_for_one_another_are_told_so() -> None:
    world = warm_world()
    add_study(world, finished=False, warmStart={"fromStudies": ["s"]})
    await world.step()
    said = world.condition("Ready", "message")
    assert said == (
        "s -> old -> s is a circle, in which each waits for the next: delete one of them"
    )


async def test_a_circle_of_more_studies_is_named_as_long_as_there_is_one() -> None:
    world = warm_world("a", "x", "b")
    add_study(world, "x", finished=False)
    add_study(world, "a", finished=False, warmStart={"fromStudies": ["x", "b"]})
    add_study(world, "b", finished=False, warmStart={"fromStudies": ["done", "c"]})
    await world.step()
    assert world.condition("Ready", "message") == "waits until a and x and b are finished"
    add_study(world, "done", warmStart={"fromStudies": ["s"]})  # waits for nobody any more
    add_study(world, "c", finished=False, warmStart={"fromStudies": ["s"]})
    for name, woken in (("other", False), ("c", True)):
        world.task._wake.clear()
        world.task.other_study_changed(name)
        assert world.task._wake.is_set() is woken
    await world.step()
    said = world.condition("Ready", "message")
    assert said.startswith("waits until a and x are finished; s -> b -> c -> s is a circle, in")
    del world.client.objects[STUDIES.plural, "c"]
    world.task._wake.clear()
    world.task.other_study_changed("c")
    assert world.task._wake.is_set()
    await world.step()
    assert world.condition("Ready", "message") == "waits until a and x and b are finished"


async def test_a_long_way_is_followed_for_a_bounded_number_of_requests() -> None:
    world = warm_world("s-0")
    for i in range(150):
        body = study_body(warmStart={"fromStudies": [f"s-{i + 1}"]})
        body["metadata"]["name"] = f"s-{i}"
        world.client.add(STUDIES, body)
    await world.step()
    assert world.condition("Ready", "message") == "waits until s-0 is finished"
    assert sum(call[:2] == ("get", STUDIES.plural) for call in world.client.calls) <= 110


async def test_a_study_that_cannot_be_compared_fails_this_one_at_once() -> None:
    world = warm_world()
    add_study(world, finished=False, objective={"metric": "accuracy"})
    await world.step()
    assert world.condition("Failed", "reason") == "InvalidSpec"
    said = world.condition("Failed", "message")
    assert said.startswith('spec.warmStart.fromStudies[0]: old has the metric "accuracy"')


async def test_a_restarted_operator_takes_over_the_same() -> None:
    world = warm_world()
    add_study(world)
    await world.step()
    before = taken(world)
    world.start()
    await world.step()
    assert taken(world) == before
    assert [e["reason"] for e in world.client.events()].count("WarmStarted") == 1


async def test_studies_are_read_once_by_an_operator() -> None:
    world = warm_world()
    old = add_study(world)
    await world.step()
    del world.client.objects[STUDIES.plural, "old"]
    world.task.trial_gone(world.trials[0]["metadata"]["uid"])  # everything of its own again
    for change in ({"parallelism": 1}, {"parallelism": 2}):
        world.change(**change)
        await world.step()
        assert len(taken(world)) == 4
    assert world.study["status"]["warmStart"]["studies"][0]["gone"] is False
    assert old["metadata"]["uid"]


@pytest.mark.parametrize("again", [False, True], ids=["deleted", "made anew"])
async def test_a_study_that_is_gone_after_the_start_is_done_without(again: bool) -> None:
    world = warm_world()
    old = add_study(world)
    await world.step()
    del world.client.objects[STUDIES.plural, "old"]
    if again:  # of another metric: that is no matter of this study any more
        body = study_body(objective={"metric": "accuracy"})
        body["metadata"]["name"] = "old"
        world.client.add(STUDIES, body)
    for _ in range(2):
        world.start()
        for _ in range(2):
            await world.step()
        assert taken(world) == []
        row = world.study["status"]["warmStart"]["studies"][0]
        assert (row["gone"], row["values"], row["uid"]) == (True, 0, old["metadata"]["uid"])
    gone = [e for e in world.client.events() if e["reason"] == "EarlierStudyGone"]
    assert [e["type"] for e in gone] == ["Warning"], "once"
    await world.run()
    assert world.condition("Succeeded") == "True"


async def test_what_it_starts_from_is_shown_before_the_first_trial_is_made() -> None:
    """Killed at any call, it has written which studies it started from, or made no trial."""
    calls = 0
    for position in range(100):
        world, left = warm_world(), position
        add_study(world)

        def fault(moment: str, *_: str) -> None:
            nonlocal left, calls
            left -= 1
            if left == -1:
                calls += 1
                raise Killed

        world.client.fault = fault
        try:
            await world.step()
        except Killed:
            pass
        else:
            break
        assert not world.trials or "warmStart" in world.study["status"]
        world.client.objects.pop((STUDIES.plural, "old"))
        world.start()
        await world.step()
        waits = world.condition("Progressing", "reason") == "WaitingForStudies"
        assert waits is not bool(world.trials)
    assert calls >= 10


async def test_an_end_that_comes_while_it_looks_is_not_missed() -> None:
    world = warm_world()
    old = add_study(world, finished=False)

    def fault(moment: str, verb: str, plural: str, name: str) -> None:
        if (moment, verb) == ("before", "dry-run"):
            world.client.fault = lambda *_: None
            finish(world, old)
            world.task.other_study_changed("old")

    world.client.fault = fault
    world.task._wake.clear()
    await world.step()
    assert world.condition("Progressing", "reason") == "WaitingForStudies"
    assert world.task._wake.is_set()
    await world.step()
    assert world.trials


FAULTS = [Conflict(409, "Conflict"), ServerError(500), Unreachable("cut"), Killed()]


@pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)
async def test_a_fault_at_every_call(error: Exception | Killed) -> None:
    for position in range(1000):
        world, left = warm_world(), position
        add_study(world)

        def fault(moment: str, *_: str) -> None:
            nonlocal left
            if moment == "before":
                left -= 1
                if left == -1:
                    raise error

        world.client.fault = fault
        await world.run()
        assert world.condition("Succeeded") == "True"
        shown = world.study["status"]["warmStart"]
        assert (shown["values"], shown["studies"][0]["gone"]) == (8, False)
        assert world.trials[0]["spec"]["suggestion"]["origin"] == "Earlier"
        if left >= 0:
            break
    assert position >= 40


async def test_a_study_without_values_gives_nothing_and_warns() -> None:
    world = warm_world(parameters=[{"name": "y", "type": "Float", "min": 0, "max": 1}])
    add_study(world)
    await world.step()
    assert taken(world) == []
    warned = [e for e in world.client.events() if e["reason"] == "WarmStarted"]
    assert [e["type"] for e in warned] == ["Warning"]
    said = "0 of 5 trials with values are taken over; left out: 5 without y"
    assert warned[0]["message"] == f"warm start from old: {said}"


@pytest.mark.parametrize("searcher", ["GaussianProcess", "KernelDensity", "Evolution"])
async def test_a_searcher_that_learns_is_not_said_to_try_the_best_only(searcher: str) -> None:
    world = warm_world(searcher={"type": searcher})
    add_study(world)
    await world.step()
    said = "4 of 5 trials with values are taken over; left out: 1 with x outside of 0 … 1"
    assert events(world)["WarmStarted"] == f"warm start from old: {said}"


async def test_the_manager_wakes_those_that_wait() -> None:
    world = warm_world()
    old = add_study(world, finished=False)
    manager = Manager()
    manager.start(world.cluster)
    manager.study_seen(as_(world.study, dict))
    await eventually(lambda: world.condition("Ready", "reason") == "WaitingForStudies")
    world.seconds += 2  # the status may be written again
    finish(world, old)
    manager.study_seen(as_(old, dict))
    await eventually(lambda: bool(world.trials))
    await manager.stop()


async def eventually(probe: Callable[[], bool]) -> None:
    for _ in range(1000):
        if probe():
            return
        await asyncio.sleep(0)  # the others' turn
    raise AssertionError("never")
