"""What a bare asynchronous client reaches with the same objects on the same API server."""

import asyncio
import json
import time
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from benchmarks.kubelet import end_of
from benchmarks.recovery import record
from hyperband.api import names
from hyperband.api.study import StudyResource, parse_study
from hyperband.api.trial import TrialResource, trial_manifest, trial_status
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.informer import Informer
from hyperband.backends.kubernetes.objects import PODS, STUDIES, TRIALS, CustomObject, Object, Pod
from hyperband.backends.kubernetes.render import render_pod
from hyperband.backends.kubernetes.sidecar import SIDECAR_IMAGE
from hyperband.backends.kubernetes.transport import Call
from hyperband.core.engine import Engine
from hyperband.core.records import Report, Trial

COUNT: Final = 1_000
LOOK_SECONDS: Final = 0.5

Body = dict[str, Any]


@dataclass(frozen=True)
class Rates:
    """A second.

    Attributes:
        launches: a trial and its pod created.
        running: the same, until all of the pods run.
        reports: patches of a pod's annotation.
        ends: a trial's value recorded, its pod patched so that it ends, which a kubelet reports
            here as for the operator, and its account written.
    """

    launches: float
    running: float
    reports: float
    ends: float


async def measure(client: Client, namespace: str, study_body: Body, count: int) -> Rates:
    """Launches as many as that, 32 at once as the operator does, and removes them.

    Scheduler and KWOK take them up meanwhile, as they do the operator's, and it hears of it. Once
    they have, reports and ends are written, `COUNT` at most.
    """
    study = parse_study(await client.create(STUDIES, namespace, study_body, dict))
    engine = Engine(study.study)
    decided = [_start(engine) for _ in range(count)]
    made: dict[int, tuple[CustomObject, Pod]] = {}

    async def launch(trial: Trial) -> None:
        item = await client.create(TRIALS, namespace, trial_manifest(study, trial), CustomObject)
        pod = render_pod(study, trial, item.metadata.uid, engine.ladder, SIDECAR_IMAGE)
        made[trial.index] = (item, await client.create(PODS, namespace, pod, Pod))

    async def report(trial: Trial) -> None:
        note = {names.METRICS_ANNOTATION: json.dumps([{"epochs": 1, "loss": 0.5}])}
        await client.patch(
            PODS, namespace, _pod(made, trial), {"metadata": {"annotations": note}}, Object
        )

    async def end(trial: Trial) -> None:
        item, pod = made[trial.index]
        resource = _ended(study, engine, trial, item)
        judged = replace(resource, attempts=(), gpu_seconds=0.0)
        written = await _write(client, study, trial, judged)
        note = {names.ENDED_ANNOTATION: "2026-01-01T00:00:00Z not good enough"}
        body = {"metadata": {"annotations": note}, "spec": {"activeDeadlineSeconds": 1}}
        await client.patch(PODS, namespace, pod.metadata.name, body, Pod)
        await client.send(end_of(pod, 143, reason="DeadlineExceeded"))
        version = written.metadata.resource_version
        await _write(client, study, trial, replace(resource, resource_version=version))

    pods = Informer(client, PODS, Pod, namespace=namespace, label_selector=names.STUDY_LABEL)
    watch = asyncio.create_task(pods.run())
    try:
        await pods.synced.wait()
        begun = time.monotonic()
        launches = count / await _timed(launch(trial) for trial in decided)
        while sum(pod.status.phase == "Running" for pod in pods) < count:
            await asyncio.sleep(LOOK_SECONDS)
        running = count / (time.monotonic() - begun)
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
    some = decided[:COUNT]
    rates = Rates(
        launches=launches,
        running=running,
        reports=len(some) / await _timed(report(trial) for trial in some),
        ends=len(some) / await _timed(end(trial) for trial in some),
    )
    await _remove(client, namespace, study.name)
    return rates


def _start(engine: Engine) -> Trial:
    decision = engine.launch()
    assert decision is not None, "the study's parallelism is less than the count"
    engine.put(decision.trial)
    return decision.trial


def _pod(made: dict[int, tuple[CustomObject, Pod]], trial: Trial) -> str:
    return made[trial.index][1].metadata.name


def _ended(study: StudyResource, engine: Engine, trial: Trial, item: CustomObject) -> TrialResource:
    """The trial's record once it has reached its first rung and its pod has ended."""
    decision = engine.observe(trial.index, [Report(engine.ladder[0], 1.0 / (2 + trial.index))])
    assert decision is not None
    engine.put(decision.trial)
    return record(study, decision.trial, item, engine)


async def _write(
    client: Client, study: StudyResource, trial: Trial, resource: TrialResource
) -> CustomObject:
    body = {
        **trial_manifest(study, trial),
        "metadata": {"name": resource.name, "resourceVersion": resource.resource_version},
        "status": trial_status(resource),
    }
    return await client.replace_status(TRIALS, study.namespace, resource.name, body, CustomObject)


async def _timed(work: Iterable[Awaitable[None]]) -> float:
    begun = time.monotonic()
    await asyncio.gather(*work)
    return time.monotonic() - begun


async def _remove(client: Client, namespace: str, study: str) -> None:
    await client.delete(STUDIES, namespace, study)
    for kind in (PODS, TRIALS):
        await client.send(Call("delete", kind, namespace))
    while [p async for page in client.pages(PODS, Object, namespace, limit=1) for p in page.items]:
        await asyncio.sleep(0.5)
