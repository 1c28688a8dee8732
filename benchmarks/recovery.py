"""`make bench-recovery`: how soon a study goes on after its operator was killed, by its trials.

On a real API server, in a namespace of its own that is deleted at the end. The study's trials are
objects with the records of a study that was played; the few active ones have pods that are held by
a scheduling gate, so that nothing trains. An operator is killed with SIGKILL; then the trial with
the highest index, the last one of a pass, gets a report; then another operator process is started.
The study goes on with the decision that follows from that report.
"""

import argparse
import asyncio
import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.player import Player
from hyperband.api import names
from hyperband.api.study import StudyResource, parse_study
from hyperband.api.trial import AttemptRecord, TrialResource, trial_manifest, trial_status
from hyperband.backends.kubernetes.api_errors import NotFound
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.connection import connect
from hyperband.backends.kubernetes.objects import (
    PODS,
    STUDIES,
    TRIALS,
    CustomObject,
    Kind,
    Object,
    Pod,
)
from hyperband.backends.kubernetes.transport import Call
from hyperband.core.engine import Engine
from hyperband.core.records import Report, Trial
from hyperband.core.seeds import generator

NAMESPACES = Kind("", "v1", "namespaces", namespaced=False)
SIZES = (10, 1_000, 10_000)
PARALLELISM = 8
PATIENCE_SECONDS = 300.0  # with one operator process
DELETED_AT_ONCE = "500"  # objects in one request
NAMESPACE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Figures:
    """Wall-clock seconds of an operator process, one after the other."""

    load: float  # Python and the process's modules, until it asks the API server for something
    caches: float  # until all pods and trials are known, and it asks for the Lease
    lease: float  # until that of the process that was killed is free
    work: float  # until the decision at the end of the first pass: records are read, pods looked at


def main() -> int:
    """Measures, prints and cleans up; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="how many trials")
    options = parser.parse_args()
    console = Console(width=100)
    kubeconfig = os.environ.get("KUBECONFIG") or _kind()
    if kubeconfig is None:
        console.print("No kind cluster is up and KUBECONFIG is not set: make up")
        return 2
    os.environ["KUBECONFIG"] = kubeconfig
    table = Table(title=f"Recovery after kill -9, s ({_machine()})", title_justify="left")
    for column in ("trials", "to load", "caches", "Lease", "first pass", "all but the Lease"):
        table.add_column(column, justify="right")
    for size in options.sizes:
        figures = asyncio.run(measure(console, kubeconfig, size))
        without = figures.load + figures.caches + figures.work
        each = (figures.load, figures.caches, figures.lease, figures.work, without)
        table.add_row(f"{size:,}", *(f"{seconds:.1f}" for seconds in each))
    console.print(table)
    return 0


async def measure(console: Console, kubeconfig: str, size: int) -> Figures:
    """The figures of one study of that size."""
    async with Client(connect(kubeconfig)) as client, _namespace(client) as namespace:
        started = time.monotonic()
        study = parse_study(await client.create(STUDIES, namespace, study_body(size), dict))
        trials = played(study, size)
        await write(client, study, trials)
        console.print(f"{size:,} trials written in {time.monotonic() - started:.0f} s")
        with _operator(namespace) as process:
            pod = await _highest_pod(client, study, process)
            process.kill()
        await _report(client, study, pod)
        index = pod.metadata.labels[names.TRIAL_LABEL]
        with _operator(namespace) as process:
            return _follow(process, f"{study.name}-{index}: ")


def study_body(size: int) -> dict[str, Any]:
    container = {"name": "train", "image": "never-pulled", "command": ["true"]}
    gate = {"name": "hyperband.dev/benchmark"}
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.STUDY_KIND,
        "metadata": {"name": "recovery"},
        "spec": {
            "objective": {"metric": "loss"},
            "resource": {"name": "epochs", "min": 1, "max": 81},
            "searcher": {"type": "Random", "seed": 0},
            "parameters": [
                {"name": "learning_rate", "type": "Float", "min": 1e-5, "max": 0.1, "scale": "Log"},
                {"name": "layers", "type": "Integer", "min": 1, "max": 4},
                {"name": "dropout", "type": "Float", "min": 0, "max": 0.6},
            ],
            "parallelism": PARALLELISM,
            "maxTrials": size + PARALLELISM,
            "reporting": {"mode": "Manual"},
            "trialTemplate": {"spec": {"schedulingGates": [gate], "containers": [container]}},
        },
    }


def played(study: StudyResource, size: int) -> list[Trial]:
    """The trials of the study once so many have been started; the last ones are active."""
    loss = generator(0, size, "recovery")
    player = Player(Engine(study.study), lambda trial, resource: float(loss.random()), 0)
    while len(player.engine.trials) < size:
        for _ in player.play():
            if len(player.engine.trials) == size:
                break
    return list(player.engine.trials.values())


def record(study: StudyResource, trial: Trial, item: CustomObject, engine: Engine) -> TrialResource:
    """The whole record of a trial: its curve, and an attempt of a minute for each rung."""
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    minute = timedelta(minutes=1)
    attempts = tuple(
        AttemptRecord(
            number=number,
            pod=names.pod_name(study.name, trial.index, number),
            node="node-1",
            start_time=begin + number * minute,
            training_time=begin + number * minute,
            end_time=begin + (number + 1) * minute,
            outcome="Succeeded",
            resource=value.resource,
            gpu_seconds=60.0,
        )
        for number, value in enumerate(trial.rungs)
    )
    return TrialResource(
        trial=trial,
        name=item.metadata.name,
        uid=item.metadata.uid,
        resource_version=item.metadata.resource_version,
        ladder=engine.ladder,
        curve=tuple(Report(value.resource, value.value) for value in trial.rungs),
        attempts=attempts,
        gpu_seconds=60.0 * len(attempts),
        transition_time=begin,
    )


async def write(client: Client, study: StudyResource, trials: list[Trial]) -> None:
    """Creates the trial objects, as many at once as the client sends."""
    engine = Engine(study.study)

    async def one(trial: Trial) -> None:
        body = trial_manifest(study, trial)
        item = await client.create(TRIALS, study.namespace, body, CustomObject)
        if trial.rungs:  # else nothing has happened to it yet
            status = trial_status(record(study, trial, item, engine))
            changed = {**body, "status": status}
            changed["metadata"] = {
                "name": item.metadata.name,
                "resourceVersion": item.metadata.resource_version,
            }
            await client.replace_status(
                TRIALS, study.namespace, item.metadata.name, changed, CustomObject
            )

    await asyncio.gather(*(one(trial) for trial in trials))


async def _highest_pod(client: Client, study: StudyResource, process: subprocess.Popen[str]) -> Pod:
    """Of the trial with the highest index, once there are as many pods as there may be."""
    while process.poll() is None:
        pages = client.pages(PODS, Pod, study.namespace)
        pods = [pod async for page in pages for pod in page.items]
        if len(pods) == PARALLELISM:
            return max(pods, key=lambda pod: int(pod.metadata.labels[names.TRIAL_LABEL]))
        await asyncio.sleep(0.2)
    raise RuntimeError("the operator has ended before it had made its pods")


async def _report(client: Client, study: StudyResource, pod: Pod) -> None:
    """What the pod's training would report at its end."""
    body = await client.get(PODS, study.namespace, pod.metadata.name, dict)
    env = {each["name"]: each.get("value") for each in body["spec"]["containers"][0]["env"]}
    report = {"epochs": float(env[names.ENV_RESOURCE_TO]), "loss": 0.5}
    note = {"metadata": {"annotations": {names.METRICS_ANNOTATION: json.dumps([report])}}}
    await client.patch(PODS, study.namespace, pod.metadata.name, note, dict)


def _follow(process: subprocess.Popen[str], decision: str) -> Figures:
    """Reads an operator's log as it comes; to be called right after the start."""
    assert process.stderr is not None
    marks = (" watching ", "waiting for the Lease", "leading, with the Lease", decision)
    moments = [time.monotonic()]
    for line in process.stderr:
        if marks[len(moments) - 1] in line:
            moments.append(time.monotonic())
        if len(moments) > len(marks):
            return Figures(*(after - before for before, after in pairwise(moments)))
    raise RuntimeError(f"the operator has ended before it came to {marks[len(moments) - 1]!r}")


@contextmanager
def _operator(namespace: str) -> Iterator[subprocess.Popen[str]]:
    """An operator process, its log in `stderr`; it is ended at last."""
    words = [sys.executable, "-m", "hyperband.cli", "operator", "-n", namespace]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    limit = threading.Timer(PATIENCE_SECONDS, process.kill)
    limit.start()
    try:
        yield process
    finally:
        limit.cancel()
        process.send_signal(signal.SIGTERM)
        process.communicate()


@asynccontextmanager
async def _namespace(client: Client) -> AsyncIterator[str]:
    """A namespace, deleted at the end with all that is in it: the collector would take long."""
    name = f"bench-recovery-{uuid.uuid4().hex[:8]}"
    await client.create(NAMESPACES, None, {"metadata": {"name": name}}, dict)
    try:
        yield name
    finally:
        for kind in (STUDIES, TRIALS, PODS):
            while await _any(client, kind, name):
                await client.send(Call("delete", kind, name, query={"limit": DELETED_AT_ONCE}))
        await client.delete(NAMESPACES, None, name)
        deadline = time.monotonic() + NAMESPACE_SECONDS
        with suppress(NotFound):
            while True:
                await client.get(NAMESPACES, None, name, Object)
                if time.monotonic() > deadline:
                    raise TimeoutError(f"namespace {name} is still there: kubectl delete ns {name}")
                await asyncio.sleep(1)


async def _any(client: Client, kind: Kind, namespace: str) -> bool:
    async for page in client.pages(kind, Object, namespace, limit=1):
        return bool(page.items)
    return False


def _kind() -> str | None:
    done = subprocess.run(
        [sys.executable, "-m", "hack.cluster", "kubeconfig"], capture_output=True, text=True
    )
    return done.stdout.strip() if done.returncode == 0 else None


def _machine() -> str:
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, API server beside it"


if __name__ == "__main__":
    sys.exit(main())
