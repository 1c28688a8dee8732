"""Operators in the cluster that the chart limits to a list of namespaces, which they share."""

import asyncio
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client

from tests.cluster.harness import bench, check_records, condition, eventually, study
from tests.cluster.releases import (
    BESIDE_OTHERS,
    Release,
    kubectl,
    leader,
    load_image,
    objects,
    refused,
)

pytestmark = pytest.mark.cluster

STATUS = ("update", "hyperbandtrials.hyperband.dev", "--subresource=status")
TEAMS = ("team-a", "team-b")
NAMES = ("ops", *TEAMS, "stranger")


@pytest.fixture(scope="module")
def places(connection: Any) -> Iterator[dict[str, str]]:
    """Namespaces of the module's own: the operator's, two teams', and one that is not listed."""
    core: Any = client.CoreV1Api(connection)
    made = {}
    for name in NAMES:
        labels = {"hyperband.dev/test": ""}
        if name == "ops":
            labels["pod-security.kubernetes.io/enforce"] = "restricted"
        body = {"metadata": {"generateName": f"test-{name}-", "labels": labels}}
        made[name] = core.create_namespace(body).metadata.name
    try:
        yield made
    finally:
        for name in made.values():
            core.delete_namespace(name)


@pytest.fixture(scope="module")
def release(places: dict[str, str]) -> Iterator[Release]:
    load_image()
    teams = f"{{{places['team-a']},{places['team-b']}}}"
    values = (*BESIDE_OTHERS, f"--set=replicas=2,namespaces={teams},reporter.namespaces={teams}")
    installed = Release("few", places["ops"], values)
    installed.install()
    try:
        yield installed
    finally:
        installed.uninstall()


async def shared(places: dict[str, str], release: Release) -> set[str]:
    """The two pods, once both are ready and each leads in one of the namespaces."""

    async def each_leads() -> set[str]:
        ready = {pod["metadata"]["name"] for pod in await asyncio.to_thread(release.ready_pods)}
        lead = {leader(places[team], "hyperband-namespace-operator") for team in TEAMS}
        return lead if lead == ready and len(lead) == len(TEAMS) else set()

    lead: set[str] = await eventually(each_leads, "each of two pods leads in a namespace")
    return lead


def may(place: str, release: Release, *words: str) -> bool:
    """Whether the operator's account may do something there."""
    account = f"system:serviceaccount:{release.namespace}:{release.full_name}"
    words = ("kubectl", "auth", "can-i", *words, f"--as={account}", f"--namespace={place}")
    return subprocess.run(words, capture_output=True).returncode == 0


async def test_it_works_on_the_listed_namespaces_and_no_others(
    kubeconfig: str, places: dict[str, str], release: Release
) -> None:
    for place in ("team-a", "team-b", "stranger"):
        async with bench(kubeconfig, places[place]) as here:
            await here.apply(study("s"))
    for place in TEAMS:
        async with bench(kubeconfig, places[place]) as here:
            body = await here.finished("s")
            check_records(await here.trials("s"), 9)
            assert condition(body, "Succeeded") == "True"
    stranger = objects("hbs", "s", "-n", places["stranger"])
    assert "status" not in stranger, "nobody has taken it up"
    assert await shared(places, release)
    said = release.log()
    assert "Traceback" not in said
    assert not refused(said)


def test_its_rights_end_at_these_namespaces(places: dict[str, str], release: Release) -> None:
    assert may(places["team-a"], release, "create", "pods")
    assert may(places["team-b"], release, *STATUS)
    for words in (("create", "pods"), ("list", "hyperbandstudies.hyperband.dev"), ("get", "pods")):
        assert not may(places["stranger"], release, *words)
        assert not may(places["ops"], release, *words)
    for words in (("get", "secrets"), ("create", "pods", "--subresource=exec"), ("get", "nodes")):
        assert not may(places["team-a"], release, *words)


async def test_deleted_it_gives_its_leases_back(
    kubeconfig: str, places: dict[str, str], release: Release
) -> None:
    """The other pod, which has nothing to wait for, takes that one, and the next pod gets one."""
    before = leader(places["team-a"], "hyperband-namespace-operator")
    kubectl("delete", "pod", "-n", release.namespace, before)
    assert before not in await shared(places, release)
    async with bench(kubeconfig, places["team-a"]) as here:
        await here.apply(study("again", maxTrials=3))
        body = await here.finished("again")
    assert condition(body, "Succeeded") == "True"
