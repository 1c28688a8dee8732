"""Templates that never work, or not yet: the first pods tell, and no trial is burnt for it."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from hack.cluster import engine as engines
from hack.cluster import kindcluster
from hyperband.backends.kubernetes.attempts import is_over
from tests.cluster.harness import (
    IMAGE,
    TIMEOUT,
    Bench,
    bench,
    check_records,
    condition,
    eventually,
    running_operator,
    study,
)

pytestmark = pytest.mark.cluster

PARALLELISM = 4
CRASH = ["python3", "-c", "import a_module_that_the_image_lacks"]


@pytest.fixture
def late_image() -> Iterator[tuple[str, Any]]:
    """An image's name that no node knows yet, and a function that brings it to them."""
    engine = engines.running()
    assert engine is not None, "images can be brought to our own kind cluster alone: make up"
    name = f"hyperband.dev/late-{uuid.uuid4().hex[:10]}:dev"
    nodes = [n.name for n in kindcluster.nodes(engine) if "control-plane" not in n.name]

    def bring() -> None:
        for node in nodes:
            engine.docker("exec", node, "ctr", "-n", "k8s.io", "images", "tag", IMAGE, name)

    try:
        yield name, bring
    finally:
        for node in nodes:
            engine.docker("exec", node, "ctr", "-n", "k8s.io", "images", "rm", name)


@pytest.fixture
async def here(kubeconfig: str, namespace: str, tmp_path: Path) -> AsyncIterator[Bench]:
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as opened:
            yield opened


def template(name: str, spec: dict[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    """A study of 5 trials, 4 at a time, whose pods need no GPU, with these changes."""
    policy = {"retries": 1, "maxFailedTrials": 10}
    body = study(name, parallelism=PARALLELISM, maxTrials=5, failurePolicy=policy)
    pod = body["spec"]["trialTemplate"]["spec"]
    pod["containers"][0] |= {"resources": {"requests": {"cpu": "20m"}}} | container
    pod |= spec or {}
    return body


async def held(here: Bench, body: dict[str, Any], reason: str, says: str, pods: int) -> None:
    """Waits until a study is held for this reason, with so many pods left that try to start."""
    name = body["metadata"]["name"]
    await here.apply(body)

    async def said() -> dict[str, Any] | None:
        found = await here.study(name)
        right = condition(found, "Ready", "reason") == reason
        return found if right and says in condition(found, "Ready", "message") else None

    found = await eventually(said, f"{name} says what keeps its pods from starting")
    assert condition(found, "Progressing") == "False"
    assert condition(found, "Progressing", "reason") == reason
    assert "no pod of the study has started" in condition(found, "Ready", "message")

    async def few() -> bool:
        return len([pod for pod in await here.pods(name) if not is_over(pod)]) == pods

    await eventually(few, f"{pods} pods of {name} try to start")
    await unburnt(here, name)


async def unburnt(here: Bench, name: str) -> None:
    """No trial has failed or used up a retry, and none is there that is not tried at once."""
    trials = await here.trials(name)
    assert len(trials) <= PARALLELISM
    for trial in trials:
        status = trial.get("status") or {}
        assert status.get("state", "Pending") == "Pending"
        assert status.get("failures", 0) == 0


async def goes_on(here: Bench, name: str) -> None:
    """What was missing is there now: the study runs to its end, and no retry is used."""
    # A kubelet that has tried in vain for a while takes up to 5 min to try again.
    body = await here.finished(name, 300 + TIMEOUT)
    assert condition(body, "Succeeded") == "True"
    assert condition(body, "Ready") == "True"
    trials = await here.trials(name)
    check_records(trials, 5)
    assert all(trial["status"]["failures"] == 0 for trial in trials)


async def fails(here: Bench, body: dict[str, Any], says: str) -> None:
    """The study fails by the retries of three trials; the others are spared."""
    name = body["metadata"]["name"]
    await here.apply(body)
    found = await here.finished(name)
    assert condition(found, "Failed", "reason") == "TemplateFails"
    assert says in condition(found, "Failed", "message")
    states = [trial["status"]["state"] for trial in await here.trials(name)]
    assert states.count("Failed") in (3, 4), "a fourth may have begun its retry before the third"
    assert {*states} <= {"Failed", "Stopped"}


async def test_templates_that_do_not_work(
    here: Bench, connection: Any, late_image: tuple[str, Any]
) -> None:
    """All of them at once, as each waits for its kubelet most of the time."""
    core: Any = client.CoreV1Api(connection)
    image, bring = late_image

    async def an_image_that_is_pushed_late() -> None:
        await held(here, template("image", image=image), "ImagePullFailed", image, pods=2)
        await asyncio.to_thread(bring)
        await goes_on(here, "image")

    async def a_secret_that_is_made_late() -> None:
        source = {"secretKeyRef": {"name": "data", "key": "token"}}
        body = template("secret", env=[{"name": "TOKEN", "valueFrom": source}])
        says = 'secret "data" not found'
        await held(here, body, "ContainerCreationFailed", says, pods=2)
        secret = {"metadata": {"name": "data"}, "stringData": {"token": "t"}}
        await asyncio.to_thread(core.create_namespaced_secret, here.namespace, secret)
        await goes_on(here, "secret")

    async def a_volume_that_is_not_there() -> None:
        volumes = [{"name": "data", "configMap": {"name": "data"}}]
        mounts = [{"name": "data", "mountPath": "/data"}]
        body = template("volume", {"volumes": volumes}, volumeMounts=mounts)
        says = "kubectl describe pod volume-0-0"
        await held(here, body, "ContainerCreationFailed", says, pods=2)

    async def more_gpus_than_any_node_has() -> None:
        body = template("huge", resources={"limits": {"nvidia.com/gpu": 99}})
        await here.apply(body)

        async def said() -> dict[str, Any] | None:
            found = await here.study("huge")
            waits = condition(found, "Progressing", "reason") == "WaitingForNodes"
            message = condition(found, "Progressing", "message")
            return found if waits and "Insufficient nvidia.com/gpu" in message else None

        found = await eventually(said, "huge says what its pods wait for")
        assert condition(found, "Ready") == "True", "a node may come that fits"
        await unburnt(here, "huge")

    async def a_training_that_crashes_at_once() -> None:
        says = "exit code 1: ModuleNotFoundError: No module named 'a_module_that_the_image_lacks'"
        await fails(here, template("crash", command=CRASH), says)

    async def an_init_container_that_fails() -> None:
        fetch = {"name": "fetch", "image": IMAGE, "command": ["sh", "-c", "exit 7"]}
        body = template("init", {"initContainers": [fetch | {"imagePullPolicy": "IfNotPresent"}]})
        await fails(here, body, "container fetch: exit code 7")

    async def a_command_that_is_not_there() -> None:
        says = "exit code 128 (StartError)"
        await fails(here, template("command", command=["no-such-program"]), says)

    await asyncio.gather(
        an_image_that_is_pushed_late(),
        a_secret_that_is_made_late(),
        a_volume_that_is_not_there(),
        more_gpus_than_any_node_has(),
        a_training_that_crashes_at_once(),
        an_init_container_that_fails(),
        a_command_that_is_not_there(),
    )
