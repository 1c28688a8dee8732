"""Runs a schedule against the API server of KUBECONFIG, in a namespace of its own.

The operator is a process of its own that knows only the proxy. Its pods are kept from every node by
a scheduling gate, and the test plays their kubelet by writing their status; or kubelets run them.
"""

import asyncio
import contextlib
import json
import logging
import os
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from hyperband.api import names
from hyperband.api.status import is_finished
from hyperband.api.times import in_seconds
from hyperband.backends.kubernetes.api_errors import ApiError, NotFound
from hyperband.backends.kubernetes.client import MERGE_PATCH, Client
from hyperband.backends.kubernetes.connection import connect
from hyperband.backends.kubernetes.objects import PODS, STUDIES, TRIALS, Kind
from hyperband.backends.kubernetes.transport import Call
from tests.chaos import pods
from tests.chaos.invariants import Ledger, check, compare, trials_of
from tests.chaos.lives import steps_at_random, steps_in_order
from tests.chaos.pods import Body, Fates, Step
from tests.chaos.proxy import Proxy
from tests.chaos.schedules import Schedule, real_schedule
from tests.chaos.simulated import run
from tests.cluster.harness import Operator

log = logging.getLogger(__name__)

SLOTS = 6  # schedules at once
TICK = 0.3  # seconds between two looks at the pods
TROUBLES = 3
LIMIT = 480.0  # seconds: ten times what it takes where nothing else runs
LOG = 12_000  # characters of an operator's log, where something does not hold
AFTERMATH = 5.0  # seconds in which a dead operator's last call may land
APART = 0.5  # between what two watches tell of a pod's going: its times are in whole seconds
NAMESPACES = Kind("", "v1", "namespaces", namespaced=False)
SERVICE_ACCOUNTS = Kind("", "v1", "serviceaccounts")
REPORTER = Path(__file__).resolve().parents[2] / "manifests/namespace/reporter.yaml"


async def run_real(seed: int) -> None:
    """Runs the real schedule of that number and checks it.

    Raises:
        AssertionError: something does not hold.
    """
    schedule = real_schedule(seed)
    connection = await asyncio.to_thread(connect, os.environ["KUBECONFIG"])
    with TemporaryDirectory(prefix="chaos-") as folder:
        log_file = Path(folder, "operator.log")
        try:
            async with Client(connection) as client, _namespace(client, schedule) as where:
                cluster = RealCluster(schedule, client, where)
                await cluster.run(log_file)
            check(cluster.study, cluster.trials, cluster.ledger, rounding=APART)
        except AssertionError as error:
            text = log_file.read_text() if log_file.exists() else ""
            raise AssertionError(f"{error}\nthe operator's log ends with\n{text[-LOG:]}") from error
    if schedule.ordered:
        undisturbed = await asyncio.to_thread(run, schedule.undisturbed())
        compare(cluster.trials, undisturbed.trials)


@asynccontextmanager
async def _namespace(client: Client, schedule: Schedule) -> AsyncIterator[str]:
    """A namespace in which pods can be made."""
    name = f"chaos-{uuid.uuid4().hex[:10]}"
    await client.create(NAMESPACES, None, {"metadata": {"name": name}}, dict)
    try:
        if schedule.kubelet:
            await _kubectl("apply", "-n", name, "-f", str(REPORTER))
        while not await _exists(client, SERVICE_ACCOUNTS, name, "default"):
            await asyncio.sleep(0.1)
        yield name
    finally:
        await client.delete(NAMESPACES, None, name)


async def _exists(client: Client, kind: Kind, namespace: str, name: str) -> bool:
    with contextlib.suppress(NotFound):
        await client.get(kind, namespace, name, dict)
        return True
    return False


async def _kubectl(*words: str) -> None:
    process = await asyncio.create_subprocess_exec(
        "kubectl", *words, stdout=asyncio.subprocess.DEVNULL
    )
    assert await process.wait() == 0, f"kubectl {' '.join(words)}"


class RealCluster:
    """What the server has of one schedule's study, its operators, and its pods' kubelet."""

    def __init__(self, schedule: Schedule, client: Client, namespace: str) -> None:
        self.schedule = schedule
        self.study: Body = {}
        self.ledger = Ledger(schedule.study["spec"]["parallelism"])
        self._client, self._namespace = client, namespace
        self._dice = random.Random(f"{schedule.seed} world")
        self._objects: dict[tuple[str, str], Body] = {}  # by plural and name, as last seen
        self._troubles = 0
        self._killed = False

    @property
    def trials(self) -> list[Body]:
        return trials_of(self._bodies(TRIALS), "s")

    def _bodies(self, kind: Kind) -> list[Body]:
        return [body for (plural, _), body in self._objects.items() if plural == kind.plural]

    async def run(self, log_file: Path) -> None:
        """Until the study is over, and a while longer.

        Raises:
            AssertionError: it is never over, or an operator has ended by itself.
        """
        operator = await asyncio.to_thread(Operator, self._namespace, log_file)
        kubeconfig = log_file.with_name("operator.kubeconfig")
        server = await asyncio.to_thread(connect, kubeconfig)

        def kill() -> None:
            if operator.alive:
                self._killed = True
                operator.kill()

        proxy = Proxy(server, self.schedule.faults, kill, self._dice, self.schedule.hidden)
        proxy.landed = self._landed
        async with proxy:
            redirect(kubeconfig, proxy.url)
            parts = (
                self._live(),
                self._follow(PODS),
                self._follow(TRIALS),
                self._operate(operator),
            )
            tasks = [asyncio.create_task(part) for part in parts]
            try:
                first = asyncio.FIRST_COMPLETED  # the study's end, or an error of any of them
                done, _ = await asyncio.wait(tasks, timeout=LIMIT, return_when=first)
                assert done, f"stuck: {self.study.get('status')}"
                for task in done:
                    task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                kill()

    async def _operate(self, operator: Operator) -> None:
        """One operator after the other: one that cannot reach the server at its start gives up."""
        while True:
            operator.start()
            while operator.alive:
                await asyncio.sleep(0.1)
            gave_up = "hyperband operator: " in operator.text()[-LOG:].splitlines()[-1]
            assert self._killed or gave_up, "the operator has ended by itself"
            self._killed = False
            await asyncio.sleep(self._dice.uniform(0.0, self.schedule.pauses))

    async def _follow(self, kind: Kind) -> None:
        """Keeps the objects of a kind, and tells the ledger of them."""
        revision = ""
        async for page in self._client.pages(kind, dict[str, Any], self._namespace):
            revision = page.metadata.resource_version
            for body in page.items:
                self._see(kind, body)
        while True:  # a server that is busy ends a watch whose events it cannot get rid of
            events = self._client.watch(
                kind, self._namespace, resource_version=revision, seconds=600, margin=30.0
            )
            async with aclosing(events):
                async for line in events:
                    event = json.loads(line)
                    assert event["type"] != "ERROR", event
                    self._heed(kind, event["type"], event["object"])
                    revision = event["object"]["metadata"]["resourceVersion"]

    def _heed(self, kind: Kind, change: str, body: Body) -> None:
        if change in ("ADDED", "MODIFIED"):
            self._see(kind, body)
        elif change == "DELETED":
            self._objects.pop((kind.plural, body["metadata"]["name"]), None)
            if kind is PODS:
                self.ledger.gone(body, datetime.now(UTC))

    def _see(self, kind: Kind, body: Body) -> None:
        key = (kind.plural, body["metadata"]["name"])
        known = self._objects.get(key)
        if known is not None and _revision(known) > _revision(body):
            return
        self._objects[key] = body
        if kind is PODS:
            self.ledger.seen(body)
        elif body.get("status"):
            self.ledger.written(body)

    def _landed(self, body: Body) -> None:
        if body.get("kind") == "Pod":
            self.ledger.landed(body)

    async def _live(self) -> None:
        """The study is made, and its pods live, until it is over."""
        body = {**self.schedule.study, "metadata": {"name": "s"}}
        self.study = await self._client.create(STUDIES, self._namespace, body, dict)
        while not is_finished(self.study.get("status") or {}):
            await self._tick()
        for _ in range(int(AFTERMATH / TICK)):
            await self._tick()

    async def _tick(self) -> None:
        await asyncio.sleep(TICK)
        self.study = await self._client.get(STUDIES, self._namespace, "s", dict)
        all_pods, moment = self._bodies(PODS), in_seconds(datetime.now(UTC))
        fates = self.schedule.fates if self._troubles < TROUBLES else Fates()
        if self.schedule.kubelet:
            running = [p for p in all_pods if pods.phase(p) == "Running" and not pods.is_ending(p)]
            steps = [(p, Step(deleted=True)) for p in running if self._dice.random() < fates.fails]
        elif self.schedule.ordered:
            given = (self.study, self.trials, all_pods, moment, self._dice, fates)
            steps = list(steps_in_order(*given))
        else:
            steps = list(steps_at_random(all_pods, moment, self._dice, fates))
        for pod, step in steps:
            self._troubles += step.is_trouble
            with contextlib.suppress(ApiError):  # it has changed meanwhile: the next look tells
                await self._do(pod, step)

    async def _do(self, pod: Body, step: Step) -> None:
        """Carries out what happens to a pod, as its kubelet, its training or somebody would."""
        name = pod["metadata"]["name"]
        if step.deleted:
            await self._client.delete(PODS, self._namespace, name)
        elif step.gone:
            await self._patch(name, {"metadata": {"finalizers": None}})
            if not pods.is_ending(pod):
                await self._client.delete(PODS, self._namespace, name, grace_period_seconds=0)
        elif step.status is not None:
            if pods.FINALIZER not in pod["metadata"].get("finalizers", []):
                await self._patch(name, {"metadata": {"finalizers": [pods.FINALIZER]}})
            await self._patch(name, {"status": step.status}, "status")
        else:
            text = pods.text(step.reports or [])
            await self._patch(name, {"metadata": {"annotations": {names.METRICS_ANNOTATION: text}}})

    async def _patch(self, name: str, body: Body, subresource: str | None = None) -> None:
        call = Call(
            "patch", PODS, self._namespace, name, subresource, body=body, content_type=MERGE_PATCH
        )
        answer = json.loads(await self._client.send(call))
        if "deletionTimestamp" not in answer["metadata"] or answer["metadata"].get("finalizers"):
            self._see(PODS, answer)


def redirect(kubeconfig: Path, url: str) -> None:
    """Lets a kubeconfig lead to the proxy, with the same credentials."""
    config = yaml.safe_load(kubeconfig.read_text())
    config["clusters"][0]["cluster"] = {"server": url}
    kubeconfig.write_text(yaml.safe_dump(config))


def _revision(body: Body) -> int:
    return int(body["metadata"]["resourceVersion"])
