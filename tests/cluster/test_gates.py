"""Pods with scheduling gates, as a queue holds them back: neither running nor in want of a node."""

from pathlib import Path
from typing import Any

import pytest

from hyperband.backends.kubernetes.attempts import is_over
from hyperband.backends.kubernetes.objects import PODS, Pod
from tests.cluster.harness import (
    Bench,
    bench,
    check_records,
    condition,
    eventually,
    running_operator,
    study,
)

pytestmark = pytest.mark.cluster

GATE = "team.example/quota"
QUEUE = {"kueue.x-k8s.io/queue-name": "gpus"}  # without Kueue here, a label like any other
PARALLELISM = 6


async def test_gated_pods_are_queued_and_run_when_they_are_let_in(
    kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    body = study("queued", parallelism=PARALLELISM, maxTrials=8, scheduling={"initialPods": 1})
    template = body["spec"]["trialTemplate"]
    template["metadata"] = {"labels": QUEUE}
    template["spec"]["schedulingGates"] = [{"name": GATE}]
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as here:
            await here.apply(body)
            await queued(here)
            await finished_by_a_queue(here)


async def queued(here: Bench) -> None:
    async def seen() -> tuple[dict[str, Any], list[Pod]] | None:
        body, pods = await here.study("queued"), await here.pods("queued")
        told = condition(body, "Progressing", "reason") == "Queued"
        # The first status may come before the last pod.
        counted = f"SchedulingGated {PARALLELISM}" in condition(body, "Progressing", "message")
        return (body, pods) if told and counted and len(pods) == PARALLELISM else None

    body, pods = await eventually(seen, "all pods are made and the study says Queued of them")
    assert condition(body, "Ready") == "True"
    assert body["status"]["trials"]["running"] == body["status"]["gpuSeconds"] == 0
    for pod in pods:
        scheduled = pod.status.condition("PodScheduled")
        assert scheduled is not None
        assert scheduled.reason == "SchedulingGated"
        assert QUEUE.items() <= pod.metadata.labels.items()


async def finished_by_a_queue(here: Bench) -> None:
    """Lets one pod in after another, never two at once."""

    async def step() -> dict[str, Any] | None:
        pods = await here.pods("queued")
        gated = [pod for pod in pods if pod.spec.scheduling_gates]
        admitted = [pod for pod in pods if not pod.spec.scheduling_gates and not is_over(pod)]
        if gated and not admitted:
            let_in = {"spec": {"schedulingGates": None}}
            await here.client.patch(PODS, here.namespace, gated[0].metadata.name, let_in, dict)
        body = await here.study("queued")
        assert body["status"]["trials"]["running"] <= 1, "a gated pod is not running"
        return body if condition(body, "Finished") == "True" else None

    body = await eventually(step, "the study is finished")
    assert condition(body, "Succeeded") == "True"
    trials = await here.trials("queued")
    check_records(trials, 8)
    spent = sum(a["gpuSeconds"] for t in trials for a in t["status"]["attempts"])
    assert abs(body["status"]["gpuSeconds"] - spent) < 1
