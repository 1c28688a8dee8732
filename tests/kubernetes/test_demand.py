"""How many pods a study lets wait for a node, and what is said of those that wait."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperband.api.names import QUEUE_LABEL
from hyperband.backends.kubernetes.demand import Demand, waits_for_node
from hyperband.backends.kubernetes.objects import PODS, Pod
from hyperband.backends.kubernetes.probing import NODES
from tests.kubernetes.fake_cluster import START, Body, World, study_body

NODE = "worker"
NOWHERE = (
    "0/1 nodes are available: 1 Insufficient nvidia.com/gpu. preemption: 0/1 nodes are available: "
    "1 Preemption is not helpful for scheduling."
)


def pod(phase: str = "Pending", *, node: str = "", gate: str = "", **metadata: Any) -> Pod:
    body = {
        "metadata": {"name": "s-0-0", "uid": "u", **metadata},
        "spec": {
            "nodeName": node or None,
            "schedulingGates": [{"name": gate}] if gate else [],
        },
        "status": {"phase": phase},
    }
    return msgspec.convert(body, Pod)


WAITS, GATED = pod(), pod(gate="team.example/quota")
BOUND, RUNS = pod(node=NODE), pod("Running", node=NODE)
ENDING = pod(deletionTimestamp=START.isoformat())


@pytest.mark.parametrize(
    ("seen", "waits"),
    [
        (WAITS, True),
        (pod(""), True),  # just made: nobody has looked at it
        (GATED, False),
        (BOUND, False),  # its node may not have taken it yet
        (RUNS, False),
        (ENDING, False),
    ],
)
def test_which_pods_wait_for_a_node(seen: Pod, waits: bool) -> None:
    assert waits_for_node(seen) is waits


def room(pods: list[Pod], initial: int) -> int:
    """With a pod for each trial, after all of them were seen in another state before."""
    demand = Demand()
    for seen in (pods[::-1], pods):
        for index, each in enumerate(seen):
            demand.see(index, [each])
    return demand.room(initial)


@pytest.mark.parametrize(
    ("pods", "left"),
    [
        ([], 8),
        ([WAITS] * 8, 0),
        ([WAITS] * 8 + [BOUND] * 8, 0),
        ([WAITS] * 3 + [RUNS] * 12, 9),
        ([GATED] * 50 + [WAITS], 7),  # gates neither wait nor show that the cluster follows
        ([ENDING] * 20 + [WAITS], 7),  # what is taken back before it had a node shows nothing
        ([WAITS] * 20 + [RUNS] * 4, -12),  # were let in by a gate, or a bound was lowered
    ],
)
def test_as_many_may_wait_as_have_a_node_and_a_few_at_first(pods: list[Pod], left: int) -> None:
    assert room(pods, initial=8) == left


@given(st.integers(1, 20), st.lists(st.sampled_from([WAITS, GATED, BOUND, RUNS]), max_size=60))
def test_a_study_that_fills_its_room_has_none_left(initial: int, pods: list[Pod]) -> None:
    filled = pods + [WAITS] * max(0, room(pods, initial))
    assert room(filled, initial) <= 0
    allowed = max(initial, sum(each in (BOUND, RUNS) for each in filled))
    before = sum(map(waits_for_node, pods))
    assert sum(map(waits_for_node, filled)) == max(allowed, before)


# -- a whole study ----------------------------------------------------------------------------


def many(parallelism: int = 30, template: Body | None = None, **spec: Any) -> World:
    body = study_body(parallelism=parallelism, maxTrials=parallelism, **spec)
    if template is not None:
        body["spec"]["trialTemplate"] |= template
    return World(body)


def alive(world: World) -> list[Body]:
    return [p for p in world.client.bodies(PODS) if "deletionTimestamp" not in p["metadata"]]


def unplaced(world: World) -> list[Body]:
    return [p for p in alive(world) if not p["spec"].get("nodeName")]


def refuse(world: World, said: str = NOWHERE) -> None:
    """The scheduler finds no node for those that have none."""
    for each in unplaced(world):
        if "status" not in each:
            since = world.now().isoformat()
            why = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
            why |= {"message": said, "lastTransitionTime": since}
            each["status"] = {"phase": "Pending", "conditions": [why]}
            world.show(world.client.touch(each))


def place(world: World, count: int) -> None:
    """So many of those that wait get a node, and run."""
    for each in unplaced(world)[:count]:
        each["spec"]["nodeName"] = NODE
        world.set(each, phase="Running")


async def settled(world: World) -> None:
    for _ in range(3):
        await world.step()


async def test_pods_double_while_the_cluster_follows_and_stay_when_it_does_not() -> None:
    world = many()
    seen = []
    for follows in (True, True, False, True):
        await settled(world)
        refuse(world)
        await settled(world)
        seen.append((len(alive(world)), len(unplaced(world))))
        if follows:
            place(world, 8)
    assert seen == [(8, 8), (16, 8), (30, 14), (30, 14)]
    assert len(world.trials) == 30


async def test_no_trial_is_decided_on_before_its_pod_may_be_made() -> None:
    world = many(scheduling={"initialPods": 3})
    await settled(world)
    assert len(world.trials) == 3
    world.change(scheduling={"initialPods": 5})
    await settled(world)
    assert len(world.trials) == len(alive(world)) == 5
    world.start()
    await settled(world)
    assert len(world.trials) == 5, "a new operator counts the same"


async def test_what_is_repeated_waits_as_well_and_comes_first() -> None:
    """All spot nodes are taken at once."""
    world = many(parallelism=12, scheduling={"initialPods": 4})
    for _ in range(4):
        await settled(world)
        place(world, 12)
    assert len(alive(world)) == 12
    for each in alive(world):
        world.remove(each)
    await settled(world)
    assert len(alive(world)) == 4
    assert all(each["metadata"]["name"].endswith("-1") for each in alive(world))
    said = world.condition("Progressing", "message")
    assert "Withheld 8 (s-4-1: until others have a node)" in said
    await world.run()
    assert world.condition("Succeeded") == "True"


@pytest.mark.parametrize(
    "template",
    [
        {"metadata": {"labels": {QUEUE_LABEL: "gpus"}}},
        {
            "spec": {
                "containers": [{"name": "train", "image": "trainer"}],
                "schedulingGates": [{"name": "team.example/quota"}],
            }
        },
    ],
)
async def test_a_queue_sees_all_pods_and_lets_them_in(template: Body) -> None:
    world = many(template=template)
    for _ in range(2):
        await settled(world)
        for each in alive(world):  # Kueue's webhook adds its gate to pods of a queue
            each["spec"].setdefault("schedulingGates", [{"name": "kueue.x-k8s.io/admission"}])
            why = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
            each["status"] = {"phase": "Pending", "conditions": [why]}
            world.show(world.client.touch(each))
    assert len(alive(world)) == 30
    assert world.condition("Progressing", "reason") == "Queued"
    assert "SchedulingGated 30" in world.condition("Progressing", "message")
    assert world.study["status"]["trials"]["running"] == 0
    assert world.study["status"]["gpuSeconds"] == 0
    world.seconds += 2 * NODES.total_seconds()
    await settled(world)
    assert world.condition("Ready") == "True", "a queue may be long"
    for each in alive(world):
        each["spec"]["schedulingGates"] = []
        each["status"] = {}
        world.show(world.client.touch(each))
    await world.run()
    assert world.condition("Succeeded") == "True"


async def test_waiting_for_nodes_is_told_from_no_node_that_fits() -> None:
    world = many()
    await settled(world)
    refuse(world)
    await settled(world)
    assert world.condition("Ready") == "True"
    assert world.condition("Progressing", "reason") == "WaitingForNodes"
    assert "Insufficient nvidia.com/gpu" in world.condition("Progressing", "message")
    world.seconds += NODES.total_seconds()
    await settled(world)
    assert world.condition("Ready", "reason") == "Unschedulable"
    assert len(alive(world)) == 8, "an autoscaler may still see them"
    place(world, 1)
    await settled(world)
    assert world.condition("Ready") == "True"
    assert world.condition("Progressing", "reason") == "TrialsRunning"


async def test_what_waits_is_in_no_account() -> None:
    """Neither without a node, nor bound to one that is not there yet."""
    container = {"name": "train", "image": "t", "resources": {"limits": {"nvidia.com/gpu": 1}}}
    template = {"spec": {"containers": [container]}}
    world = many(template=template, budget={"gpuHours": 0.001})
    await settled(world)
    refuse(world)
    bound = unplaced(world)[:4]
    for each in bound:
        each["spec"]["nodeName"] = NODE
        each["status"] = {
            "phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "True"}],
        }
        world.show(world.client.touch(each))
    world.seconds += 600
    await settled(world)
    assert world.study["status"]["gpuSeconds"] == 0
    assert world.study["status"]["trials"]["running"] == 0
    for each in bound:  # and where its node never comes
        world.remove(each)
    await settled(world)
    assert world.study["status"]["gpuSeconds"] == 0
    assert world.condition("Finished") == "False", "no budget is spent on waiting"
    attempts = [a for t in world.trials for a in (t.get("status") or {}).get("attempts", ())]
    assert not any(attempt.get("gpuSeconds") for attempt in attempts)
