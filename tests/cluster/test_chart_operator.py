"""The operator in the cluster: two replicas, installed by the chart with its default rights."""

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.harness import (
    Bench,
    Census,
    bench,
    census,
    check_promotions,
    check_records,
    condition,
    eventually,
    study,
    trainer,
)
from tests.cluster.releases import (
    SYSTEM,
    Release,
    environment,
    holder,
    installed_for_all,
    kubectl,
    leader,
    on_node,
    refused,
)

pytestmark = pytest.mark.cluster

LEASE_SECONDS = 15  # the chart's default
RENEWED_SECONDS = 2  # between two renewals, of which the last may have been so long ago
TRIALS = 12
TRIED = 6  # in each mode
VALUES = (
    "--set=replicas=2,podDisruptionBudget.enabled=true,networkPolicy.enabled=true",
    # So that one that hangs is noticed within a test's patience.
    "--set=livenessProbe.periodSeconds=2,terminationGracePeriodSeconds=5",
)
HARMLESS = {"limits": {"memory": "64Mi"}}  # trials without GPUs: more of them than GPUs run at once


@pytest.fixture(scope="module")
def release(kubeconfig: str) -> Iterator[Release]:
    with installed_for_all(*VALUES) as installed:
        yield installed


def without_gpu(name: str, **changes: Any) -> dict[str, Any]:
    body = study(name, **changes)
    body["spec"]["trialTemplate"]["spec"]["containers"][0]["resources"] = HARMLESS
    return body


async def leads(release: Release, but: str = "") -> str:
    """The pod that leads, once there is one that is not `but`."""

    def look() -> str:
        now = leader()
        return now if now != but and named(release, now) else ""

    async def found() -> str:
        return await asyncio.to_thread(look)

    return str(await eventually(found, f"another pod than {but or 'none'} leads"))


async def both_ready(release: Release) -> None:
    async def ready() -> bool:
        return len(await asyncio.to_thread(release.ready_pods)) == 2

    await eventually(ready, "both of the operator's pods are ready")


async def work_has_begun(here: Bench, name: str, values: int = 3) -> None:
    """Waits until the study has recorded some values."""

    async def recorded() -> bool:
        trials = await here.trials(name)
        return sum(len(t["status"].get("rungs", [])) for t in trials if "status" in t) >= values

    await eventually(recorded, f"study {name} has {values} values")
    assert condition(await here.study(name), "Finished") != "True"


async def check(here: Bench, name: str, counted: Census) -> None:
    """The study ends as if one operator had been there all the time."""
    body = await here.finished(name)
    trials = await here.trials(name)
    assert condition(body, "Succeeded") == "True"
    check_records(trials, TRIALS)
    check_promotions(trials, eta=3)
    assert all(t["status"]["failures"] == 0 for t in trials)
    assert all(t["status"]["disruptions"] == 0 for t in trials)
    assert counted.most <= 4
    assert not counted.twice


def main_process(pod: dict[str, Any]) -> tuple[str, str]:
    """The node of a pod, and there the number of its first process."""
    container = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    node = pod["spec"]["nodeName"]
    # grep fails where a process has ended since the shell listed it, whatever it finds.
    found = on_node(node, "sh", "-c", f"grep -ls {container} /proc/[0-9]*/cgroup || true")
    assert found, f"{pod['metadata']['name']} has no process"
    return node, min((line.split("/")[2] for line in found.splitlines()), key=int)


def named(release: Release, name: str) -> dict[str, Any]:
    """The pod of that name, {} if it is gone or about to go."""
    return next((pod for pod in release.pods() if pod["metadata"]["name"] == name), {})


def ask(pod: str, path: str) -> tuple[bool, str]:
    """Asks a pod over HTTP, through the API server: whether the answer was 200, and its text."""
    url = f"/api/v1/namespaces/{SYSTEM}/pods/{pod}:8080/proxy{path}"
    done = subprocess.run(["kubectl", "get", "--raw", url], capture_output=True, text=True)
    return done.returncode == 0, done.stdout + done.stderr


async def test_a_study_of_each_mode(kubeconfig: str, namespace: str, release: Release) -> None:
    """At once; one of them is proposed for by a model, which processes of their own fit."""
    modes = {
        "promotion": {"hyperband": {"mode": "Promotion"}},
        "stopping": {"hyperband": {"mode": "Stopping"}, "ttlAfterFinished": "1h"},
        "synchronous": {"hyperband": {"mode": "Synchronous"}},
        "none": {"hyperband": {"mode": "None"}},
        # A model proposes once there are six values.
        "model": {"searcher": {"type": "GaussianProcess", "seed": 1}, "maxTrials": 9},
    }
    async with bench(kubeconfig, namespace) as here:
        for name, changes in modes.items():
            spec = {"parallelism": 2, "maxTrials": TRIED, **changes}
            await here.apply(without_gpu(name, **spec))
        bodies = {name: await here.finished(name) for name in modes}
        trials = {name: await here.trials(name) for name in modes}
    for name in modes:
        assert condition(bodies[name], "Succeeded") == "True", name
        check_records(trials[name], bodies[name]["spec"]["maxTrials"])
        assert bodies[name]["status"]["best"]["resource"] == 9
    origins = {t["spec"]["suggestion"]["origin"] for t in trials["model"]}
    assert "GaussianProcess" in origins
    said = release.log()
    assert "Traceback" not in said
    assert not refused(said)


async def test_the_notes_to_the_letter(namespace: str, release: Release) -> None:
    """What the chart prints is run as it stands, by somebody who has nothing but these notes."""
    notes = release.helm("get", "notes", release.name)
    lines = notes.partition("\n---\n")[0].splitlines()
    commands = "\n".join(line.strip() for line in lines if line.startswith("  "))
    assert "my-team" in commands
    try:
        done = subprocess.run(
            ["bash", "-ec", f"set -o pipefail\n{commands}"],
            capture_output=True,
            text=True,
            env=environment(),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "hyperbandstudy.hyperband.dev/first condition met" in done.stdout
        assert "Succeeded" in done.stdout, done.stdout
    finally:
        kubectl("delete", "namespace", "my-team", "--ignore-not-found", "--wait=false")


async def test_probes_and_metrics(release: Release) -> None:
    await both_ready(release)
    first = await leads(release)
    [other] = {pod["metadata"]["name"] for pod in release.pods()} - {first}
    for pod in (first, other):
        assert ask(pod, "/healthz")[0]
        assert ask(pod, "/readyz?exclude=leader")[0]
    assert ask(first, "/readyz")[0]
    assert not ask(other, "/readyz")[0], "it waits for its turn"
    assert not ask(other, "/readyz/leader")[0]
    service = f"services/{release.full_name}-metrics:http/proxy/metrics"
    text = kubectl("get", "--raw", f"/api/v1/namespaces/{SYSTEM}/{service}")
    assert "\nhyperband_" in text
    assert "hyperband_leader 1" in ask(first, "/metrics")[1]
    assert "hyperband_leader 0" in ask(other, "/metrics")[1]


async def test_the_container_is_as_locked_as_its_namespace_asks(release: Release) -> None:
    labels = json.loads(kubectl("get", "namespace", SYSTEM, "-o", "json"))["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    await both_ready(release)
    node, process = main_process(release.pods()[0])
    status = dict(
        line.split(":\t", 1)
        for line in on_node(node, "cat", f"/proc/{process}/status").splitlines()
    )
    assert status["Uid"].split() == ["65532"] * 4
    assert status["Gid"].split() == ["65532"] * 4
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    mounts = on_node(node, "cat", f"/proc/{process}/mounts").splitlines()
    [root] = [line.split()[3] for line in mounts if line.split()[1] == "/"]
    assert "ro" in root.split(",")


async def test_a_study_outlives_whatever_befalls_its_operator(
    kubeconfig: str, namespace: str, release: Release
) -> None:
    """A process that is killed, one that hangs, a pod that is taken away without any grace."""
    await both_ready(release)
    async with bench(kubeconfig, namespace) as here, census(here) as counted:
        await here.apply(study("hunted", trainer(pause=3.0), maxTrials=TRIALS))
        await work_has_begun(here, "hunted", 3)
        leading = await leads(release)
        killed = await asyncio.to_thread(holder)
        signal(release, leading, "KILL")
        # It gave nothing back; its pod's next process may be the one that leads next.

        async def followed() -> bool:
            return await asyncio.to_thread(holder) not in ("", killed)

        await eventually(followed, "another process leads")
        await work_has_begun(here, "hunted", 6)
        hangs = await leads(release)
        before = restarts(release, hangs)
        signal(release, hangs, "STOP")
        again = await leads(release, but=hangs)

        async def restarted() -> bool:  # live means that the event loop answers
            return await asyncio.to_thread(restarts, release, hangs) > before

        await eventually(restarted, f"the kubelet has restarted {hangs}")
        kubectl("delete", "pod", "-n", SYSTEM, again, "--grace-period=0", "--force")
        await leads(release, but=again)
        await check(here, "hunted", counted)
    await both_ready(release)


def signal(release: Release, pod: str, name: str) -> None:
    """To the first process of a pod, which nobody inside could send it."""
    node, process = main_process(named(release, pod))
    on_node(node, "kill", f"-{name}", process)


async def test_an_eviction_hands_over_at_once_and_spares_the_other_one(
    kubeconfig: str, namespace: str, release: Release
) -> None:
    """As a drain does it: the budget lets one pod go at a time."""
    await both_ready(release)
    async with bench(kubeconfig, namespace) as here, census(here) as counted:
        await here.apply(study("drained", trainer(pause=1.0), maxTrials=TRIALS))
        await work_has_begun(here, "drained")
        first = await leads(release)
        [other] = {pod["metadata"]["name"] for pod in release.pods()} - {first}
        evict(first)
        ended = time.monotonic()
        with pytest.raises(AssertionError, match="disruption budget"):
            evict(other)
        assert await leads(release, but=first) == other
        assert time.monotonic() - ended < LEASE_SECONDS - RENEWED_SECONDS, "it was not given back"
        await check(here, "drained", counted)


def evict(pod: str) -> None:
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": SYSTEM},
    }
    url = f"/api/v1/namespaces/{SYSTEM}/pods/{pod}/eviction"
    kubectl("create", "--raw", url, "-f", "-", stdin=json.dumps(body))


def restarts(release: Release, pod: str) -> int:
    return int(named(release, pod)["status"]["containerStatuses"][0]["restartCount"])
