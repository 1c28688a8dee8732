"""The client and the informer against a real API server: what the fake one only claims."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hyperband.backends.kubernetes import api_errors as errors
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.connection import connect
from hyperband.backends.kubernetes.informer import Change, Informer
from hyperband.backends.kubernetes.objects import PODS, Kind, Object, Pod
from tests.cluster.harness import TIMEOUT as WAIT  # a bound, not an expectation

pytestmark = pytest.mark.cluster

CONFIG_MAPS = Kind("", "v1", "configmaps")
REVIEWS = Kind("authorization.k8s.io", "v1", "subjectaccessreviews", namespaced=False)
LABEL = "hyperband.dev/client-test"


@pytest.fixture
async def client(kubeconfig: Path) -> AsyncIterator[Client]:
    async with Client(connect(kubeconfig)) as opened:
        yield opened


class Seen:
    """What on_change was told."""

    def __init__(self) -> None:
        self.changes: list[tuple[Change, str]] = []
        self._more = asyncio.Event()

    def __call__(self, change: Change, old: Object | None, new: Object | None) -> None:
        told = new or old
        assert told is not None
        self.changes.append((change, told.metadata.name))
        self._more.set()

    async def until(self, change: Change, name: str) -> None:
        async with asyncio.timeout(WAIT):
            while (change, name) not in self.changes:
                self._more.clear()
                await self._more.wait()


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {LABEL: "yes"}},
        "data": data,
    }


def unschedulable_pod(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {LABEL: "yes"}},
        "spec": {
            "nodeSelector": {LABEL: "nowhere"},
            "containers": [
                {"name": "a", "image": "a", "resources": {"limits": {"nvidia.com/gpu": 1}}}
            ],
        },
    }


async def test_an_objects_life(client: Client, namespace: str) -> None:
    seen = Seen()
    informer = Informer(
        client, CONFIG_MAPS, Object, namespace=namespace, label_selector=LABEL, on_change=seen
    )
    following = asyncio.create_task(informer.run())
    try:
        await asyncio.wait_for(informer.synced.wait(), WAIT)
        made = await client.create(CONFIG_MAPS, namespace, config_map("a", x="1"), Object)
        informer.put(made)
        assert informer.get(namespace, "a") == made
        with pytest.raises(errors.AlreadyExists):
            await client.create(CONFIG_MAPS, namespace, config_map("a"), Object)
        patched = await client.patch(
            CONFIG_MAPS, namespace, "a", {"data": {"x": "2"}}, Object,
            resource_version=made.metadata.resource_version,
        )  # fmt: skip
        assert int(patched.metadata.resource_version) > int(made.metadata.resource_version)
        with pytest.raises(errors.Conflict):
            await client.patch(
                CONFIG_MAPS, namespace, "a", {"data": {"x": "3"}}, Object,
                resource_version=made.metadata.resource_version,
            )  # fmt: skip
        await seen.until(Change.MODIFIED, "a")
        assert informer.get(namespace, "a") == patched
        with pytest.raises(errors.Conflict):
            await client.delete(CONFIG_MAPS, namespace, "a", uid="another")
        await client.delete(CONFIG_MAPS, namespace, "a", uid=made.metadata.uid)
        await seen.until(Change.DELETED, "a")
        with pytest.raises(errors.NotFound):
            await client.get(CONFIG_MAPS, namespace, "a", Object)
        informer.put(patched)  # an answer that comes too late
        assert informer.get(namespace, "a") is None
    finally:
        following.cancel()


async def test_pages_are_one_state(client: Client, namespace: str) -> None:
    async with asyncio.TaskGroup() as tasks:
        for number in range(25):
            body = config_map(f"m{number}")
            tasks.create_task(client.create(CONFIG_MAPS, namespace, body, Object))
    pages = [
        p
        async for p in client.pages(CONFIG_MAPS, Object, namespace, label_selector=LABEL, limit=10)
    ]
    assert [len(p.items) for p in pages] == [10, 10, 5]
    assert len({p.metadata.resource_version for p in pages}) == 1


async def test_deletions_during_a_gap_are_found(client: Client, namespace: str) -> None:
    """From an old resourceVersion: the server still has the events, or says 410 and is listed."""
    seen = Seen()
    for name in ("kept", "gone"):
        await client.create(CONFIG_MAPS, namespace, config_map(name), Object)
    informer = Informer(
        client, CONFIG_MAPS, Object, namespace=namespace, label_selector=LABEL, on_change=seen
    )
    following = asyncio.create_task(informer.run())
    await asyncio.wait_for(informer.synced.wait(), WAIT)
    following.cancel()
    await asyncio.wait([following])
    await client.delete(CONFIG_MAPS, namespace, "gone")
    informer.revision = 1
    following = asyncio.create_task(informer.run())
    try:
        await seen.until(Change.DELETED, "gone")
        assert [o.metadata.name for o in informer] == ["kept"]
        assert informer.revision > 1
    finally:
        following.cancel()


async def test_pods(client: Client, namespace: str) -> None:
    body = unschedulable_pod("p")
    dry = await client.create(PODS, namespace, body, Pod, dry_run=True, field_validation="Strict")
    assert dry.spec.containers[0].resources.limits == {"nvidia.com/gpu": "1"}
    misspelt = {**body, "spec": {**body["spec"], "nodeSelecter": {}}}
    with pytest.raises(errors.ApiError, match="nodeSelecter") as caught:
        await client.create(PODS, namespace, misspelt, Pod, field_validation="Strict")
    assert caught.value.status == 400
    with pytest.raises(errors.Invalid) as invalid:
        await client.create(PODS, namespace, {**body, "spec": {"containers": []}}, Pod)
    assert invalid.value.details["causes"][0]["field"] == "spec.containers"
    seen = Seen()
    index = lambda p: (p.metadata.namespace, p.metadata.labels.get(LABEL))  # noqa: E731
    informer = Informer(
        client, PODS, Pod, label_selector=LABEL, on_change=seen, index=index
    )  # all namespaces
    following = asyncio.create_task(informer.run())
    try:
        await asyncio.wait_for(informer.synced.wait(), WAIT)
        await client.create(PODS, namespace, body, Pod)
        await seen.until(Change.MODIFIED, "p")  # the scheduler says that it cannot
        (found,) = informer.by_index((namespace, "yes"))
        scheduled = found.status.condition("PodScheduled")
        assert scheduled is not None and scheduled.reason == "Unschedulable"
        # The label goes, the pod stays: to the informer that is a deletion.
        await client.patch(PODS, namespace, "p", {"metadata": {"labels": {LABEL: None}}}, Pod)
        await seen.until(Change.DELETED, "p")
        assert (await client.get(PODS, namespace, "p", Pod)).metadata.deletion_timestamp is None
        await client.delete(PODS, namespace, "p", grace_period_seconds=0)
    finally:
        following.cancel()


async def test_status_writes_have_preconditions(client: Client, namespace: str) -> None:
    made = await client.create(PODS, namespace, unschedulable_pod("p"), Pod)
    first = made.metadata.resource_version
    metadata = {"name": "p", "namespace": namespace, "resourceVersion": "1"}
    whole = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": {}}
    with pytest.raises(errors.Conflict):
        await client.replace_status(PODS, namespace, "p", whole, Pod)
    assert int(first) > 1


async def test_review(client: Client, namespace: str) -> None:
    spec = {
        "user": "system:serviceaccount:none:none",
        "resourceAttributes": {"namespace": namespace, "verb": "patch", "resource": "pods"},
    }
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    assert (await client.create_review(REVIEWS, body))["status"]["allowed"] is False
