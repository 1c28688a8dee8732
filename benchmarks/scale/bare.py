"""What a bare asynchronous client reaches with the same objects on the same API server."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from benchmarks.kubelet import end_of
from benchmarks.recovery import record
from benchmarks.scale.stage import LADDER
from benchmarks.scale.training import loss
from hyperband.api import names
from hyperband.api.study import StudyResource, parse_study
from hyperband.api.trial import TrialResource, trial_manifest, trial_status
from hyperband.backends.kubernetes.api_errors import ServerError, Unreachable
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.hands import HANDS, for_each
from hyperband.backends.kubernetes.informer import Informer
from hyperband.backends.kubernetes.objects import (
    PODS,
    STUDIES,
    TRIALS,
    CustomObject,
    Kind,
    Object,
    Pod,
)
from hyperband.backends.kubernetes.render import render_pod
from hyperband.backends.kubernetes.sidecar import SIDECAR_IMAGE
from hyperband.backends.kubernetes.transport import Call
from hyperband.core.decisions import Action
from hyperband.core.engine import Engine
from hyperband.core.records import Report, Trial, TrialState

COUNT: Final = 1_000
REPORTS: Final = 5_000  # over several collections of the API server's garbage: each takes seconds
LOOK_SECONDS: Final = 0.5

Body = dict[str, Any]


@dataclass(frozen=True)
class Rates:
    """A second.

    Attributes:
        launches: a trial and its pod created.
        running: the same, until all of the pods run.
        reports: patches of a pod's annotation.
        ends: of trials that report a value at a rung and end there, until what takes their slots,
            another trial or a promotion, runs; what goes on is written, too.
        promotions: of these.
    """

    launches: float
    running: float
    reports: float
    ends: float
    promotions: float


async def measure(client: Client, namespace: str, study_body: Body, count: int) -> Rates:
    """Launches as many as that, 32 at once as the operator does, and removes them.

    Each pod follows its trial, so scheduler and KWOK take them up from the beginning, as they do
    the operator's, and it hears of it. Once they have, `REPORTS` reports are written, and `COUNT`
    ends at most.
    """
    study = parse_study(await client.create(STUDIES, namespace, study_body, dict))
    writer = _Writer(client, study)
    pods = Informer(client, PODS, Pod, namespace=namespace, label_selector=names.STUDY_LABEL)
    watch = asyncio.create_task(pods.run())

    async def until_all_run(begun: float) -> float:
        while sum(pod.status.phase == "Running" for pod in pods) < count:
            await asyncio.sleep(LOOK_SECONDS)
        return time.monotonic() - begun

    some = range(min(count, COUNT))
    try:
        await pods.synced.wait()
        begun = time.monotonic()
        launching = await _timed([for_each(range(count), lambda _: writer.take_slot(), HANDS)])
        running = await until_all_run(begun)
        reporting = await _timed(writer.report(turn % count) for turn in range(REPORTS))
        begun = time.monotonic()
        await _timed(writer.reach_rung(index) for index in some)
        turning = await until_all_run(begun)
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
    rates = Rates(
        launches=count / launching,
        running=count / running,
        reports=REPORTS / reporting,
        ends=writer.ends / turning,
        promotions=writer.promotions / turning,
    )
    await _remove(client, namespace, study.name)
    return rates


class _Writer:
    """Writes what becomes of a study's trials, and waits for nobody else.

    Attributes:
        ends: of trials so far.
        promotions: likewise.
    """

    def __init__(self, client: Client, study: StudyResource) -> None:
        self.ends = self.promotions = 0
        self._client, self._study, self._engine = client, study, Engine(study.study)
        self._items: dict[int, CustomObject] = {}
        self._pods: dict[int, Pod] = {}
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def take_slot(self) -> None:
        """Starts or promotes a trial, as the engine decides, and makes its pod."""
        decision = self._engine.launch()
        assert decision is not None, "the study's parallelism is less than the count"
        trial = decision.trial
        self._engine.put(trial)
        async with self._locks[trial.index]:
            if decision.action is Action.START:
                body = trial_manifest(self._study, trial)
                item = await self._client.create(TRIALS, self._study.namespace, body, CustomObject)
                self._items[trial.index] = item
            else:
                self.promotions += 1
                await self._write(self._record(trial))
            uid = self._items[trial.index].metadata.uid
            pod = render_pod(self._study, trial, uid, self._engine.ladder, SIDECAR_IMAGE)
            made = await self._client.create(PODS, self._study.namespace, pod, Pod)
            self._pods[trial.index] = made

    async def report(self, index: int) -> None:
        """Patches the annotation of a trial's pod."""
        note = {names.METRICS_ANNOTATION: json.dumps([{"epochs": 1, "loss": 0.5}])}
        name = self._pods[index].metadata.name
        body = {"metadata": {"annotations": note}}
        await self._client.patch(PODS, self._study.namespace, name, body, Object)

    async def reach_rung(self, index: int) -> None:
        """Reports and records a value; a trial that does not go on is ended, its slot taken."""
        await self.report(index)
        value = Report(LADDER[0], loss(str(index), LADDER[0]))
        decision = self._engine.observe(index, [value])
        assert decision is not None
        self._engine.put(decision.trial)
        async with self._locks[index]:
            judged = self._record(decision.trial)
            await self._write(replace(judged, attempts=(), gpu_seconds=0.0))
            if decision.trial.state.active:
                return
            await self._end_pod(self._pods[index], decision.trial.state)
            await self._write(self._record(decision.trial))
            self.ends += 1
        await self.take_slot()

    async def _end_pod(self, pod: Pod, state: TrialState) -> None:
        if state is TrialState.PAUSED:  # it was to go no further
            await self._client.send(end_of(pod, 0))
            return
        note = {names.ENDED_ANNOTATION: "2026-01-01T00:00:00Z not good enough"}
        body = {"metadata": {"annotations": note}, "spec": {"activeDeadlineSeconds": 1}}
        await self._client.patch(PODS, self._study.namespace, pod.metadata.name, body, Pod)
        await self._client.send(end_of(pod, 143, reason="DeadlineExceeded"))

    def _record(self, trial: Trial) -> TrialResource:
        return record(self._study, trial, self._items[trial.index], self._engine)

    async def _write(self, resource: TrialResource) -> None:
        body = {
            **trial_manifest(self._study, resource.trial),
            "metadata": {"name": resource.name, "resourceVersion": resource.resource_version},
            "status": trial_status(resource),
        }
        self._items[resource.trial.index] = await self._client.replace_status(
            TRIALS, self._study.namespace, resource.name, body, CustomObject
        )


async def _timed(work: Iterable[Awaitable[None]]) -> float:
    begun = time.monotonic()
    await asyncio.gather(*work)
    return time.monotonic() - begun


async def _remove(client: Client, namespace: str, study: str) -> None:
    await client.delete(STUDIES, namespace, study)
    for kind in (PODS, TRIALS):
        while await _any(client, kind, namespace):
            with suppress(ServerError, Unreachable):  # there are too many for one request
                await client.send(Call("delete", kind, namespace))
            await asyncio.sleep(LOOK_SECONDS)


async def _any(client: Client, kind: Kind, namespace: str) -> bool:
    async for page in client.pages(kind, Object, namespace, limit=1):
        return bool(page.items)
    return False
