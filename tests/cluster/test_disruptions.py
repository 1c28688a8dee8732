"""What the cluster does to pods: each is repeated from its checkpoint, and none is a failure.

Tests that break a node run one after the other, and leave the cluster as they found it.
"""

import asyncio
import contextlib
import re
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from hack.cluster import engine as engines
from hack.cluster import network, paths
from hack.cluster.engine import Engine
from hack.cluster.mending import OUT_OF_SERVICE, mend_nodes
from hyperband.api import names
from hyperband.backends.kubernetes.attempts import is_ending, is_over
from hyperband.backends.kubernetes.objects import PODS, Pod
from tests.cluster.harness import (
    GOOD,
    IMAGE,
    TIMEOUT,
    Bench,
    bench,
    check_records,
    condition,
    eventually,
    running_operator,
    study,
    trainer,
)

pytestmark = pytest.mark.cluster

# Each attempt of trial 0 says all the time that it is alive, in a file that all nodes share. The
# first one saves a checkpoint and then trains for ever; the next one goes on from it.
LOST_ONCE = """
import os, threading, time
from hyperband.report import checkpoint, checkpoint_dir
attempt = os.environ["HYPERBAND_ATTEMPT"]
def live():
    with open(checkpoint_dir() / "alive", "a") as file:
        while True:
            print(attempt, time.time(), file=file, flush=True)
            time.sleep(0.1)
if os.environ["HYPERBAND_TRIAL"].endswith("-0"):
    threading.Thread(target=live, daemon=True).start()
    if attempt == "0":
        with checkpoint(1) as target:
            target.write_text("1")
        time.sleep(3600)
"""


# The first attempts of trials 0 and 1 save a checkpoint; then the one takes more memory than it
# may, and the other never ends.
GREEDY_ONCE = """
import os, time
from hyperband.report import checkpoint
trial = os.environ["HYPERBAND_TRIAL"][-2:]
if trial in ("-0", "-1") and os.environ["HYPERBAND_ATTEMPT"] == "0":
    with checkpoint(1) as target:
        target.write_text("1")
    if trial == "-0":
        memory = bytearray(10**9)
    time.sleep(3600)
"""
RUNGS = {"name": "epochs", "min": 3, "max": 9}
TRIALS = 6
# A node that does not answer takes 50 s to be called so; its pods need not wait for 30 s more.
GIVEN_UP_SOON = [
    {
        "key": f"node.kubernetes.io/{state}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 1,
    }
    for state in ("unreachable", "not-ready")
]


def lost_once(name: str, **template: Any) -> dict[str, Any]:
    """A study of 6 trials, 2 at a time, with rungs at 3 and 9 epochs."""
    command = trainer(LOST_ONCE + GOOD)
    body = study(name, command, resource=RUNGS, parallelism=2, maxTrials=TRIALS)
    body["spec"]["trialTemplate"]["spec"] |= template
    return body


@contextlib.asynccontextmanager
async def training(
    kubeconfig: str, namespace: str, tmp_path: Path, body: dict[str, Any]
) -> AsyncIterator[tuple[Bench, Pod]]:
    """A study whose trial 0 has a checkpoint and trains on; and the pod of that."""
    name = body["metadata"]["name"]
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here:
            await here.apply(body)

            async def saved() -> bool:
                there = any((paths.CHECKPOINTS / namespace).glob("*/0-*/1-0.ckpt"))
                trials = await here.trials(name) if there else []  # a kubelet tells of it later
                return bool(trials) and trials[0].get("status", {}).get("state") == "Running"

            await eventually(saved, "trial 0 has a checkpoint")
            yield here, await pod_of(here, f"{name}-0-0")


async def pod_of(here: Bench, name: str) -> Pod:
    return await here.client.get(PODS, here.namespace, name, Pod)


async def repeated(
    here: Bench, name: str, since: float, *, why: str, alone: bool = True
) -> dict[str, Any]:
    """Trial 0 at the end of its study: its first attempt was taken away, and the next resumed.

    Args:
        since: when it was taken away, by the clock of this machine.
        why: what its record says of that, as a pattern.
        alone: whether no two attempts may have lived at a time.
    """
    body = await here.finished(name)
    assert condition(body, "Succeeded") == "True"
    trials = await here.trials(name)
    check_records(trials, TRIALS)
    status = trials[0]["status"]
    assert (status["disruptions"], status["failures"]) == (1, 0), "it uses up no retry"
    first = status["attempts"][0]
    assert first["outcome"] == "Disrupted"
    assert re.search(why, first["reason"])
    assert "resumed from epoch 1" in await here.log(f"{name}-0-1")
    lives = alive(here.namespace)
    print(f"{name}: the next attempt lived after {lives['1'][0] - since:.1f} s: {first['reason']}")
    if alone:
        assert lives["0"][1] < lives["1"][0], "two never write one checkpoint"
    return status


def alive(namespace: str) -> dict[str, tuple[float, float]]:
    """Of each attempt of trial 0, when it was first and last alive."""
    (journal,) = (paths.CHECKPOINTS / namespace).glob("*/0-*/alive")
    lives: dict[str, tuple[float, float]] = {}
    for line in journal.read_text().splitlines():
        attempt, moment = line.split()
        first, _ = lives.get(attempt, (float(moment), 0.0))
        lives[attempt] = (first, float(moment))
    return lives


async def kubectl(*words: str) -> None:
    process = await asyncio.create_subprocess_exec("kubectl", *words)
    assert await process.wait() == 0, words


@pytest.fixture
def breaking(kubeconfig: Path) -> Iterator[Engine]:
    """The engine that holds the nodes; all are mended afterwards, whatever a test did to them."""
    engine = engines.running()
    assert engine is not None, "nodes can be broken on our own kind cluster alone: make up"
    try:
        yield engine
    finally:
        mend_nodes(engine, own_network=network.is_ours(engine))


@pytest.fixture
def priority(connection: Any) -> Iterator[str]:
    """A priority class above that of trials."""
    scheduling: Any = client.SchedulingV1Api(connection)
    name = f"test-{uuid.uuid4().hex[:10]}"
    scheduling.create_priority_class({"metadata": {"name": name}, "value": 1000})
    try:
        yield name
    finally:
        scheduling.delete_priority_class(name)


async def test_preemption_by_a_higher_priority_class(
    kubeconfig: str, namespace: str, tmp_path: Path, priority: str
) -> None:
    async with training(kubeconfig, namespace, tmp_path, lost_once("preempted")) as (here, victim):
        since = time.time()
        await here.client.create(PODS, namespace, _wants_all_gpus(victim, priority), Pod)
        status = await repeated(here, "preempted", since, why="PreemptionByScheduler")
    assert status["attempts"][1]["node"] != victim.spec.node_name


def _wants_all_gpus(victim: Pod, priority: str) -> dict[str, Any]:
    """A pod that needs all the GPUs of the node that the victim is on."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "important"},
        "spec": {
            "priorityClassName": priority,
            "nodeSelector": {"kubernetes.io/hostname": victim.spec.node_name},
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "sleep",
                    "image": IMAGE,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sleep", "3600"],
                    "resources": {"limits": {"nvidia.com/gpu": 4}},
                }
            ],
        },
    }


async def test_a_drain(kubeconfig: str, namespace: str, tmp_path: Path, breaking: Engine) -> None:
    async with training(kubeconfig, namespace, tmp_path, lost_once("drained")) as (here, victim):
        since, node = time.time(), str(victim.spec.node_name)
        selector = f"--pod-selector={names.STUDY_LABEL}=drained"
        await kubectl("drain", node, selector, "--ignore-daemonsets", f"--timeout={TIMEOUT:.0f}s")
        status = await repeated(here, "drained", since, why="EvictionByEvictionAPI")
    assert status["attempts"][1]["node"] != node


async def test_a_node_that_is_deleted(
    kubeconfig: str, namespace: str, tmp_path: Path, breaking: Engine
) -> None:
    async with training(kubeconfig, namespace, tmp_path, lost_once("deleted")) as (here, victim):
        since, node = time.time(), str(victim.spec.node_name)
        await kubectl("delete", "node", node)
        # Its kubelet lives and is told by the pod's removal alone: it may end the old attempt a
        # moment after the new one starts, which checkpoints are made to bear.
        status = await repeated(here, "deleted", since, why="DeletionByPodGC", alone=False)
    assert status["attempts"][1]["node"] != node


async def test_a_worker_that_restarts(
    kubeconfig: str, namespace: str, tmp_path: Path, breaking: Engine
) -> None:
    """It is back before anybody has missed it: its pod is there, and its container is not."""
    async with training(kubeconfig, namespace, tmp_path, lost_once("rebooted")) as (here, victim):
        node = await alone_on_its_node(here, victim)
        since = time.time()
        breaking.docker("kill", node)
        breaking.docker("start", node)
        # A kubelet that starts anew has no GPUs, until somebody gives it those that it pretends to
        # have. If it knows that before it looks at the pod, it refuses it.
        await repeated(here, "rebooted", since, why=r"lost with its node|^OutOfnvidia\.com/gpu: ")


async def test_a_worker_that_is_killed(
    kubeconfig: str, namespace: str, tmp_path: Path, breaking: Engine
) -> None:
    """Its pods end when somebody says that the machine is off."""
    body = lost_once("killed", tolerations=GIVEN_UP_SOON)
    async with training(kubeconfig, namespace, tmp_path, body) as (here, victim):
        node = await alone_on_its_node(here, victim)
        since = time.time()
        breaking.docker("kill", node)
        await named(here, "killed", node)
        await decided_but_0(here, "killed")
        taint = f"{OUT_OF_SERVICE}=nodeshutdown:NoExecute"
        await kubectl("taint", "node", node, taint)
        print(f"killed: said to be off after {time.time() - since:.1f} s")
        status = await repeated(here, "killed", since, why="DeletionBy")
    assert status["attempts"][1]["node"] != node


async def test_a_worker_that_is_paused_and_comes_back(
    kubeconfig: str, namespace: str, tmp_path: Path, breaking: Engine
) -> None:
    """Its pod is a ghost that is alive still: nothing takes its place until it is gone."""
    body = lost_once("paused", tolerations=GIVEN_UP_SOON)
    async with training(kubeconfig, namespace, tmp_path, body) as (here, victim):
        node = await alone_on_its_node(here, victim)
        since = time.time()
        breaking.docker("pause", node)
        await named(here, "paused", node)
        await decided_but_0(here, "paused")
        assert [pod.metadata.name for pod in await here.pods("paused") if is_ending(pod)] == [
            "paused-0-0"
        ]
        print(f"paused: goes on after {time.time() - since:.1f} s")
        breaking.docker("unpause", node)
        await repeated(here, "paused", since, why="DeletionByTaintManager")


async def test_memory_and_time_that_run_out_use_a_retry(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    body = study("greedy", trainer(GREEDY_ONCE + GOOD), resource=RUNGS, maxTrials=4)
    pod = body["spec"]["trialTemplate"]["spec"]
    pod["activeDeadlineSeconds"] = 40  # the other attempts begin and end within it
    pod["containers"][0]["resources"]["limits"]["memory"] = "100Mi"
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here:
            await here.apply(body)
            assert condition(await here.finished("greedy"), "Succeeded") == "True"
            trials = await here.trials("greedy")
            logs = [await here.log(f"greedy-{index}-1") for index in (0, 1)]
    check_records(trials, 4)
    # containerd loses the notice that memory ran out now and then (its issue 8893).
    out_of_memory = r"exit code 137 \((OOMKilled|SIGKILL)\)"
    for index, why in ((0, out_of_memory), (1, "DeadlineExceeded")):
        status = trials[index]["status"]
        assert (status["disruptions"], status["failures"]) == (0, 1)
        assert (status["attempts"][0]["outcome"]) == "Failed"
        assert re.search(why, status["attempts"][0]["reason"])
        assert "resumed from epoch 1" in logs[index]


async def alone_on_its_node(here: Bench, victim: Pod) -> str:
    """The victim's node, once no other trial is on it nor comes to it."""
    node = str(victim.spec.node_name)
    await kubectl("cordon", node)

    async def alone() -> bool:
        pods = [p for p in await here.pods() if p.spec.node_name == node and not is_over(p)]
        return [p.metadata.name for p in pods] == [victim.metadata.name]

    await eventually(alone, f"{victim.metadata.name} is alone on {node}")
    return node


async def named(here: Bench, name: str, node: str) -> None:
    """The study says which pod does not end, and what an administrator can do about it."""

    async def said() -> bool:
        message = condition(await here.study(name), "Progressing", "message")
        return f"{name}-0-0 on {node} does not end" in message and (
            f"kubectl delete node {node}, or taint it {OUT_OF_SERVICE}" in message
        )

    await eventually(said, "the study names the pod that does not end")


async def decided_but_0(here: Bench, name: str) -> None:
    """The other trials have gone on meanwhile, some of them to their end; trial 0 waits."""

    async def others() -> bool:
        first, *states = [trial["status"]["state"] for trial in await here.trials(name)]
        decided = len(states) == TRIALS - 1 and {*states} == {"Completed", "Paused"}
        return first == "Running" and decided

    await eventually(others, "all trials but 0 are decided")
