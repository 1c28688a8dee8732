"""Studies whose trainings only write a file: a native sidecar reports for them."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from hack.cluster import engine as engines
from hyperband.api import names
from hyperband.backends.kubernetes.objects import PODS
from tests.cluster.harness import (
    Bench,
    bench,
    check_promotions,
    check_records,
    condition,
    eventually,
    running_operator,
    study,
)

pytestmark = pytest.mark.cluster

MIB = 2**20
GRACE_SECONDS = 30  # most of it is the sidecar's, for an API server that takes its time
# A training in a shell, which knows nothing of Kubernetes. Its loss falls with the epochs.
SHELL = """
set -eu
epoch=$HYPERBAND_RESOURCE_FROM
test ! -e /var/run/secrets/hyperband.dev
test ! -e /var/run/secrets/kubernetes.io
while [ "$epoch" -lt "$HYPERBAND_RESOURCE_TO" ]; do
  epoch=$((epoch + 1))
  loss=$(awk "BEGIN {print ($HYPERBAND_PARAM_X - 0.3) ^ 2 + 1 / $epoch}")
  echo "{\\"epochs\\": $epoch, \\"loss\\": $loss}" >>"$HYPERBAND_REPORT_FILE"
done
"""


@pytest.fixture
async def here(
    kubeconfig: str, namespace: str, tmp_path: Path, sidecar_image: None
) -> AsyncIterator[Bench]:
    with running_operator(namespace, tmp_path / "operator.log"):
        async with bench(kubeconfig, namespace) as opened:
            yield opened


def reported(name: str, script: str = SHELL, **changes: Any) -> dict[str, Any]:
    """A study in mode Sidecar whose training is a shell script, without a GPU."""
    body = study(name, ["sh", "-c", script], **({"reporting": {"mode": "Sidecar"}} | changes))
    pod = body["spec"]["trialTemplate"]["spec"]
    pod["terminationGracePeriodSeconds"] = GRACE_SECONDS
    pod["containers"][0]["resources"] = {"requests": {"cpu": "20m"}}
    return body


async def raw_pods(here: Bench, name: str) -> list[dict[str, Any]]:
    return await here.objects(PODS, name)


def status_of(pod: dict[str, Any], container: str) -> dict[str, Any]:
    status = pod["status"]
    statuses = (*status.get("initContainerStatuses", []), *status.get("containerStatuses", []))
    return next(dict(each) for each in statuses if each["name"] == container)


def ended(pod: dict[str, Any], container: str) -> datetime:
    return datetime.fromisoformat(status_of(pod, container)["state"]["terminated"]["finishedAt"])


async def test_a_shell_script_is_reported_for(here: Bench, connection: Any) -> None:
    """Under the strictest pod security, and within quotas that ask for limits of everything."""
    core: Any = client.CoreV1Api(connection)
    enforce = {"pod-security.kubernetes.io/enforce": "restricted"}
    await asyncio.to_thread(core.patch_namespace, here.namespace, {"metadata": {"labels": enforce}})
    body = reported("shell")
    del body["spec"]["checkpoint"]  # a hostPath, which is not allowed here
    pod = body["spec"]["trialTemplate"]["spec"]
    pod["securityContext"] = {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    pod["containers"][0]["securityContext"] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    await here.apply(body)
    found = await here.finished("shell")
    assert condition(found, "Succeeded") == "True"
    trials = await here.trials("shell")
    check_records(trials, 9)
    check_promotions(trials, 3)
    assert found["status"]["promotions"] > 0
    assert all(trial["status"]["failures"] == 0 for trial in trials)
    pods = await raw_pods(here, "shell")
    assert len(pods) >= 9
    for one in pods:
        epochs = [each["epochs"] for each in annotation(one)]
        env = {e["name"]: e.get("value") for e in one["spec"]["containers"][0]["env"]}
        first, last = int(env["HYPERBAND_RESOURCE_FROM"]), int(env["HYPERBAND_RESOURCE_TO"])
        assert epochs == list(range(first + 1, last + 1)), "each line once, none lost"
        assert one["status"]["phase"] == "Succeeded"
        sidecar = status_of(one, names.SIDECAR)["state"]["terminated"]
        assert sidecar["exitCode"] == 0, "it ends by itself"
        # What it takes is its kubelet's, which notices each end a moment later.
        lingered = ended(one, names.SIDECAR) - ended(one, "train")
        assert lingered.total_seconds() <= GRACE_SECONDS / 2, "the pod is not kept alive"
        assert sidecar["startedAt"] <= status_of(one, "train")["state"]["terminated"]["startedAt"]
        mounts = [m["mountPath"] for m in one["spec"]["containers"][0]["volumeMounts"]]
        assert mounts == [names.REPORT_MOUNT]


def annotation(pod: dict[str, Any]) -> list[Any]:
    text = pod["metadata"]["annotations"].get(names.METRICS_ANNOTATION, "[]")
    return list(json.loads(text))


# Waits until somebody makes the file `end` beside the reports.
WAITS = """
echo '{"epochs": 1, "loss": 0.5}' >>"$HYPERBAND_REPORT_FILE"
trap 'exit 143' TERM
while [ ! -e "$(dirname "$HYPERBAND_REPORT_FILE")/end" ]; do sleep 0.2; done
cat "$(dirname "$HYPERBAND_REPORT_FILE")/end"
"""


async def run_in(here: Bench, pod: str, container: str, script: str) -> str:
    """Runs a shell script in a container of a pod."""
    process = await asyncio.create_subprocess_exec(
        *("kubectl", "exec", "-n", here.namespace, pod, "-c", container, "--", "sh", "-c", script),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return output.decode()


async def one_pod(here: Bench, name: str) -> dict[str, Any]:
    """The pod of a study of one trial, once its first report is there."""

    async def first() -> dict[str, Any] | None:
        pods = await raw_pods(here, name)
        return pods[0] if pods and annotation(pods[0]) else None

    found: dict[str, Any] = await eventually(first, f"{name} reports")
    return found


def waiting(name: str) -> dict[str, Any]:
    """A study of one trial that reports once and then waits for a word."""
    body = reported(name, WAITS, maxTrials=1, parallelism=1, hyperband={"mode": "None"})
    body["spec"]["resource"] = {"name": "epochs", "min": 1, "max": 3}
    return body


# 10,000 reports, garbage, a line of 10 MB, and a report again.
FLOOD = r"""
cd "$(dirname "$HYPERBAND_REPORT_FILE")"
awk 'BEGIN {for (i = 0; i < 10000; i++) printf "{\"epochs\": 1.%d, \"loss\": 0.4}\n", 10000 + i}' \
  >>metrics.jsonl
head -c 3000000 /dev/urandom >>metrics.jsonl
head -c 10000000 /dev/zero >>metrics.jsonl
printf '\n{"epochs": 2, "loss": 0.25}\n' >>metrics.jsonl
"""
LAST = r"""
cd "$(dirname "$HYPERBAND_REPORT_FILE")"
printf '{"epochs": 2, "loss": 0.25}\n{"epochs": 3, "loss": 0.125}' >>metrics.jsonl
touch end
"""


async def test_little_memory_is_enough_and_a_killed_sidecar_goes_on(here: Bench) -> None:
    await here.apply(waiting("frugal"))
    pod = await one_pod(here, "frugal")
    name = pod["metadata"]["name"]
    await run_in(here, name, "train", FLOOD)

    async def second() -> bool:
        (one,) = await raw_pods(here, "frugal")
        return 2 in epochs_of(one)

    await eventually(second, "what comes after the garbage is reported")
    peak = await asyncio.to_thread(peak_memory, pod)
    print(f"peak memory of the sidecar: {peak / MIB:.1f} MiB")
    assert peak < 30 * MIB

    await asyncio.to_thread(kill, pod)

    async def restarted() -> bool:
        (one,) = await raw_pods(here, "frugal")
        status = status_of(one, names.SIDECAR)
        return status["restartCount"] == 1 and bool(status["started"])

    await eventually(restarted, "the sidecar runs again")
    await run_in(here, name, "train", LAST)
    body = await here.finished("frugal")
    assert condition(body, "Succeeded") == "True"
    (trial,) = await here.trials("frugal")
    assert trial["status"]["attempt"] == 0 and trial["status"]["failures"] == 0
    assert "report 1 is" in trial["status"]["reportError"]
    (last,) = await raw_pods(here, "frugal")
    epochs = epochs_of(last)
    assert epochs == sorted(set(epochs)) and epochs[-2:] == [2, 3], "nothing twice, nothing lost"


async def test_an_image_that_cannot_be_pulled_holds_the_study(here: Bench) -> None:
    image = "hyperband.dev/no-such-sidecar:1"
    await here.apply(reported("away", reporting={"mode": "Sidecar", "image": image}))

    async def held() -> str:
        body = await here.study("away")
        right = condition(body, "Ready", "reason") == "ImagePullFailed"
        return condition(body, "Ready", "message") if right else ""

    message = await eventually(held, "the study is held")
    for said in (image, names.SIDECAR, "--sidecar-image", "spec.reporting.image"):
        assert said in message
    for trial in await here.trials("away"):
        assert (trial.get("status") or {}).get("failures", 0) == 0


def epochs_of(pod: dict[str, Any]) -> list[float]:
    return [each["epochs"] for each in annotation(pod) if isinstance(each, dict)]


def on_node(pod: dict[str, Any], script: str) -> str:
    """Runs a script on the pod's node for each cgroup, $d, of its sidecar."""
    container = status_of(pod, names.SIDECAR)["containerID"].rpartition("/")[2]
    engine = engines.running()
    assert engine is not None
    find = f"find /sys/fs/cgroup -type d -name '*{container}*'"
    node = pod["spec"]["nodeName"]
    loop = f"for d in $({find}); do {script}; done; true"
    return engine.docker("exec", node, "sh", "-c", loop)


def peak_memory(pod: dict[str, Any]) -> int:
    """What the sidecar has used at most, in bytes, as its node's kernel counts it."""
    files = '"$d/memory.peak" "$d/memory.max_usage_in_bytes"'
    said = on_node(pod, f"cat {files} 2>/dev/null")
    found = [int(each) for each in said.split()]
    assert found, "the node's kernel tells nothing of the container"
    return max(found)


def kill(pod: dict[str, Any]) -> None:
    """Kills the sidecar as a node that is out of memory does."""
    on_node(pod, 'kill -9 $(cat "$d/cgroup.procs") 2>/dev/null')
