"""`make bench-state`: a study of 20,000 finished trials, as objects and archived.

On a bare API server of its own, which is gone afterwards: etcd's file without old versions tells
the bytes, and a new process for each reading tells the time and the memory.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import server
from benchmarks.decision_latency.memory import peak
from benchmarks.state.trials import study_body, write
from hyperband.api.status import progress
from hyperband.api.study import StudyResource, parse_study
from hyperband.api.trial import TrialResource
from hyperband.backends.kubernetes.archiver import Archiver
from hyperband.backends.kubernetes.archives import ArchiveReader
from hyperband.backends.kubernetes.cache import Cache
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.cluster import Cluster
from hyperband.backends.kubernetes.connection import connect
from hyperband.backends.kubernetes.objects import STUDIES
from hyperband.backends.kubernetes.store import TrialStore
from hyperband.core.engine import Engine
from hyperband.core.records import Spent

NAMESPACE = "default"
TRIALS = 20_000
KEPT = 1 / 20  # of the trials: as spec.retention.trials has it by default


@dataclass(frozen=True)
class Reading:
    """What one process had to do to have the study's engine again."""

    seconds: float
    cpu: float  # seconds of it that this process has worked
    memory: int  # bytes, above what the libraries take
    status: int  # bytes of the study's status
    decides: str  # all that is decided next and shown, to be compared


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--read", nargs=2, metavar=("KUBECONFIG", "STUDY"), help="for itself")
    options = parser.parse_args()
    if options.read:
        print(json.dumps(vars(asyncio.run(_read(*options.read)))))
        return
    console = Console(width=100)
    table = Table(title="A study of finished trials", title_justify="left")
    for column in (
        "",
        "trials",
        "in etcd, MB",
        "a trial, bytes",
        "read back, s",
        "CPU, s",
        "memory, MB",
        "status, B",
    ):
        table.add_column(column, justify="left" if not column else "right")
    for what, trials, epochs, early in (
        ("stopped early", options.trials, 81, True),
        ("200 points each", options.trials // 4, 200, False),  # the longest curve that is kept
    ):
        with server.running() as running:
            asyncio.run(_measure(running, table, what, trials, epochs, early))
    console.print(table)


async def _measure(
    running: server.Server, table: Table, what: str, trials: int, epochs: int, early: bool
) -> None:
    async with Client(connect(str(running.kubeconfig))) as client:
        name = "bench"
        body = study_body(name, trials, epochs=epochs, early=early)
        study = parse_study(await client.create(STUDIES, NAMESPACE, body, dict))
        before = running.etcd_bytes()
        started = time.monotonic()
        await write(client, study)
        _say(f"{what}: {trials} trials written in {time.monotonic() - started:.0f} s")
        objects = running.etcd_bytes() - before
        first = _reading(running.kubeconfig, name)
        _row(table, f"{what}, objects", objects, trials, first)
        for keep in (round(KEPT * trials), 0):
            started = time.monotonic()
            archives = await _archive(client, study, keep)
            taken = time.monotonic() - started
            _say(f"{what}: {archives} archives, {keep} objects kept, in {taken:.0f} s")
            reading = _reading(running.kubeconfig, name)
            assert reading.decides == first.decides, "it decides as from objects"
            held = running.etcd_bytes() - before
            _row(table, f"{what}, archived but {keep}", held, trials, reading)


async def _archive(client: Client, study: StudyResource, keep: int) -> int:
    pods: Any = Cache()  # there are none
    workers: Any = None
    cluster = Cluster(client, pods, pods, lambda: datetime.now(UTC), time.monotonic, workers)
    store, _ = await _load(client, study)
    retention = {"spec": {"retention": {"trials": keep}}}
    changed = await client.patch(STUDIES, NAMESPACE, study.name, retention, dict)
    store.study = parse_study(changed)
    archiver = Archiver(cluster, store, over=True)
    while await archiver.work():
        pass
    assert len(store.resources) == keep
    return store.archives.next_chunk


async def _load(client: Client, study: StudyResource) -> tuple[TrialStore, Engine]:
    archives = ArchiveReader[TrialResource](client, NAMESPACE, study.name)
    store = TrialStore(client, study, archives, lambda: datetime.now(UTC))
    return store, await store.load()


def _reading(kubeconfig: Path, study: str) -> Reading:
    words = [sys.executable, "-m", "benchmarks.state", "--read", str(kubeconfig), study]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE)
    return Reading(**json.loads(done.stdout))


async def _read(kubeconfig: str, name: str) -> Reading:
    libraries = peak()
    async with Client(connect(kubeconfig)) as client:
        study = parse_study(await client.get(STUDIES, NAMESPACE, name, dict))
        started, worked = time.monotonic(), time.process_time()
        store, engine = await _load(client, study)
        seconds, cpu = time.monotonic() - started, time.process_time() - worked
    totals = store.totals
    status = progress(engine, Spent(totals.gpu_seconds, 0.0, totals.resource_units))
    text = json.dumps(status, separators=(",", ":"))
    decides = f"{text} {engine.finish(Spent())} {sorted(engine.trials)[-1]}"
    return Reading(seconds, cpu, peak() - libraries, len(text), decides)


def _row(table: Table, what: str, size: int, trials: int, reading: Reading) -> None:
    table.add_row(
        what,
        str(trials),
        f"{size / 1e6:.1f}",
        f"{size / trials:.0f}",
        f"{reading.seconds:.1f}",
        f"{reading.cpu:.1f}",
        f"{reading.memory / 1e6:.0f}",
        str(reading.status),
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
