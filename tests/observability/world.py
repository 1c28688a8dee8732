"""What Prometheus is to see: a bare API server, the real operator, and pods that the test plays."""

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import yaml

from benchmarks import server
from hack.cluster import gobuild
from hyperband.api import names
from hyperband.api.schema.policies import OPERATOR_NAMESPACE
from hyperband.api.times import in_seconds
from hyperband.backends.kubernetes.api_errors import ApiError
from hyperband.backends.kubernetes.client import MERGE_PATCH, Client
from hyperband.backends.kubernetes.objects import PODS, STUDIES, Kind
from hyperband.backends.kubernetes.transport import Call
from tests.chaos import pods
from tests.chaos.pods import Body, Fates, Step
from tests.kubernetes.fake_cluster import study_body

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "charts/hyperband-operator/files/prometheus-rules.yaml"
DASHBOARD = ROOT / "charts/hyperband-operator/files/grafana-dashboard.json"
NAMESPACES = Kind("", "v1", "namespaces", namespaced=False)
SERVICE_ACCOUNTS = Kind("", "v1", "serviceaccounts")
TEAM = "team"
TRIALS, PARALLELISM = 14, 4  # of a study
STEP_SECONDS = 0.6  # between two things that happen to a pod
PATIENCE = 180.0
LOOK_SECONDS = 0.2


async def eventually(what: str, look: Callable[[], Awaitable[T | None]]) -> T:
    """What `look` gives once it is something.

    Raises:
        AssertionError: it never is.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while not (found := await look()):
                await asyncio.sleep(LOOK_SECONDS)
            return found
    raise AssertionError(f"never: {what}")


async def make_namespaces(client: Client) -> None:
    """One for studies, with what controllers would put into it, and that of the Lease."""
    for name in (TEAM, OPERATOR_NAMESPACE):
        await client.create(NAMESPACES, None, {"metadata": {"name": name}}, dict)
    await client.create(SERVICE_ACCOUNTS, TEAM, {"metadata": {"name": "default"}}, dict)


async def make_study(client: Client, name: str, **pod_spec: Any) -> None:
    """A study whose pods hold a GPU each."""
    container = {"name": "train", "image": "trainer"}
    limits = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
    body = study_body(
        resource={"name": "epochs", "min": 1, "max": 9},
        searcher={"type": "GaussianProcess"},
        parallelism=PARALLELISM,
        maxTrials=TRIALS,
        trialTemplate={"spec": {"containers": [container | limits], **pod_spec}},
    )
    body["metadata"] = {"name": name}
    await client.create(STUDIES, TEAM, body, dict)


class Kubelet:
    """Plays the pods: of the first trial one fails, of the second one is evicted.

    Attributes:
        still: nothing happens to a pod while somebody else holds it.
    """

    def __init__(self, client: Client) -> None:
        self.still = asyncio.Lock()
        self._client, self._dice = client, random.Random(0)
        self._steps: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        revision = "0"
        async for page in self._client.pages(PODS, dict[str, Any], TEAM):
            revision = page.metadata.resource_version
        events = self._client.watch(PODS, TEAM, resource_version=revision, seconds=600, margin=30.0)
        async with aclosing(events):
            async for line in events:
                event = json.loads(line)
                if event["type"] in ("ADDED", "MODIFIED"):
                    task = asyncio.create_task(self._later(event["object"]))
                    self._steps.add(task)
                    task.add_done_callback(self._steps.discard)

    async def _later(self, pod: Body) -> None:
        await asyncio.sleep(STEP_SECONDS)
        async with self.still:
            step = self._next(pod, in_seconds(datetime.now(UTC)))
            if step is not None:
                with contextlib.suppress(ApiError):  # it has changed meanwhile: another event tells
                    await self._do(pod, step)

    def _next(self, pod: Body, moment: str) -> Step | None:
        if names.TRIAL_LABEL not in pod["metadata"]["labels"]:
            return None
        if pods.phase(pod) == "Running" and pod["metadata"]["labels"][names.ATTEMPT_LABEL] == "0":
            trial = pod["metadata"]["labels"][names.TRIAL_LABEL]
            if trial == "0":
                return pods.ended(pod, moment, 1)
            if trial == "1":
                return pods.evicted(pod, moment)
        return pods.next_step(pod, moment, self._dice, Fates())

    async def _do(self, pod: Body, step: Step) -> None:
        version = {"resourceVersion": pod["metadata"]["resourceVersion"]}
        name, body, part = pod["metadata"]["name"], {}, None
        if step.gone:
            await self._client.delete(PODS, TEAM, name, grace_period_seconds=0)
            return
        if step.status is not None:
            body, part = {"metadata": version, "status": step.status}, "status"
        else:
            text = pods.text(step.reports or [])
            body = {"metadata": {**version, "annotations": {names.METRICS_ANNOTATION: text}}}
        call = Call("patch", PODS, TEAM, name, part, body=body, content_type=MERGE_PATCH)
        await self._client.send(call)


@contextlib.contextmanager
def program(words: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended at the end."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}"}
    with log.open("ab") as out:
        process = subprocess.Popen(words, stdout=out, stderr=out, env=environment)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def operator(kubeconfig: Path, port: int, log: Path) -> Any:
    """The operator, for all namespaces."""
    words = [sys.executable, "-m", "hyperband.cli", "operator", "--kubeconfig", str(kubeconfig)]
    words += ["--listen", f"127.0.0.1:{port}", "--log-format", "json"]
    return program(words, log)


@contextlib.asynccontextmanager
async def prometheus(operator_port: int, folder: Path) -> AsyncIterator["Prometheus"]:
    """The real one, which scrapes the operator once a second and has the rules.

    As in a cluster the target has a label `namespace`, and a study's own is to win.
    """
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [
            {
                "job_name": "hyperband-operator",
                "honor_labels": True,
                "static_configs": [
                    {
                        "targets": [f"127.0.0.1:{operator_port}"],
                        "labels": {"namespace": OPERATOR_NAMESPACE},
                    }
                ],
            }
        ],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    (port,) = server.free_ports(1)
    words = [
        str(gobuild.PROMETHEUS.binary),
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with program(words, folder / "prometheus.log"):
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            yield Prometheus(session)


class Prometheus:
    """Its HTTP API."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ask(self, path: str, **query: str) -> Any:
        """The data of an answer.

        Raises:
            AssertionError: it says that the question makes no sense.
        """
        async with self._session.get(f"/api/v1/{path}", params=query) as answer:
            body = await answer.json()
        assert body["status"] == "success", (query, body)
        return body["data"]

    async def value(self, query: str) -> float | None:
        """Of an expression with one result; None without any, or while it does not answer."""
        with contextlib.suppress(aiohttp.ClientError):
            result = (await self.ask("query", query=query))["result"]
            return float(result[0]["value"][1]) if result else None
        return None


async def ready(port: int) -> bool | None:
    """Whether the operator there works."""
    with contextlib.suppress(aiohttp.ClientError):
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/readyz") as answer,
        ):
            return answer.status == 200
    return None


async def text(port: int) -> str:
    """A scrape."""
    url = f"http://127.0.0.1:{port}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.text()
