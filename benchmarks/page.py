"""How soon the page's server answers for a large study: `python -m benchmarks.page --trials 10000`.

A simulated study is served in this process and asked for over HTTP, as a browser does: all that a
study's page shows, at first, and again after each of some changes. Times are of the wall clock and,
in brackets, of the processor; the browser's own are not in them.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp

from hyperband.api.files import load_manifest
from hyperband.api.study import parse_study
from hyperband.api.trial import AttemptRecord, TrialResource, trial_manifest, trial_status
from hyperband.backends.kubernetes.telemetry.server import Address
from hyperband.backends.simulator.curves import AnalyticCurves
from hyperband.backends.simulator.faults import Faults
from hyperband.backends.simulator.simulation import Simulation
from hyperband.core.records import Report, RungValue, Trial
from hyperband.dashboard import snapshot
from hyperband.dashboard.access import OwnMachine
from hyperband.dashboard.feeds import Feed, Feeds
from hyperband.dashboard.serve import serving
from hyperband.dashboard.snapshot import Snapshot

SAMPLE: Final = Path("manifests/samples/digits.yaml")
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
PARTS: Final = (
    "",
    "/figures/curves",
    "/figures/best",
    "/figures/rungs",
    "/figures/timeline",
    "/figures/importance",
    "/parallel",
    "/trials?sort=value",
    "/decisions",
)
AGAIN: Final = tuple(part for part in PARTS if part not in ("/figures/importance", ""))
CHANGES, RUNNING = 10, 64
Body = dict[str, Any]


def objects(trials: int) -> tuple[Body, list[Body]]:
    """A study and its trials as a cluster would hold them, with a report at each unit."""
    body = load_manifest(SAMPLE)
    body["metadata"] |= {"uid": "uid", "namespace": "default"}
    body["spec"] |= {"maxTrials": trials, "parallelism": RUNNING}
    resource = parse_study(body)
    study = resource.study
    curves = AnalyticCurves(study.space, study.resource, study.objective, seconds=60)
    simulation = Simulation(study, curves, Faults(), gpus=1)
    made = []
    for trial in simulation.run().trials:
        recorded = TrialResource(
            trial,
            f"digits-{trial.index}",
            f"uid-{trial.index}",
            "",
            simulation.engine.ladder,
            curve=tuple(_curve(trial.rungs)),
            attempts=tuple(_attempts(trial)),
            gpu_seconds=60.0,
        )
        made.append({**trial_manifest(resource, trial), "status": trial_status(recorded)})
    for each in made:
        each["metadata"]["uid"] = f"uid-{each['spec']['index']}"
    return body, made


def _curve(rungs: tuple[RungValue, ...]) -> Iterator[Report]:
    before, value = 0, 2.5
    for rung in rungs:
        steps = int(rung.resource) - before
        for i in range(1, steps + 1):
            yield Report(before + i, value + (rung.value - value) * i / steps)
        before, value = int(rung.resource), rung.value


def _attempts(trial: Trial) -> Iterator[AttemptRecord]:
    for number, rung in enumerate(trial.rungs):
        start = START + timedelta(seconds=rung.sequence * 2.0)
        end = start + timedelta(seconds=60 * rung.resource)
        pod, node = f"digits-{trial.index}-{number}", f"gpu-{trial.index % 8}"
        yield AttemptRecord(
            number, pod, node, start, start, end, "Succeeded", "", rung.resource, 60
        )


class Still:
    """A source of one study, in which nothing happens but what it is told."""

    local = False

    def __init__(self, body: Body, trials: list[Body]) -> None:
        self._body, self._trials = body, trials

    @property
    def wrong(self) -> str:
        return ""

    def studies(self) -> list[snapshot.Body]:
        return [self._body]

    def study(self, namespace: str, name: str) -> snapshot.Body | None:
        return self._body

    async def follow(self, feed: Feed) -> None:
        for i, trial in enumerate(self._trials):
            feed.live.see_trial(trial)
            if i % 500 == 0:  # a page of a list
                await asyncio.sleep(0)
        feed.complete()

    async def pods(self, at: Snapshot, index: int) -> list[Body]:
        return []

    async def events(self, at: Snapshot, index: int) -> list[Body]:
        return []

    async def log(self, at: Snapshot, index: int, attempt: int | None, tail: int) -> bytes:
        return b""


class Stopwatch:
    """Of the wall and of the processor."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        """Milliseconds since it was made."""
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return wall * 1000, cpu * 1000


def shown(read: tuple[float, float]) -> str:
    return f"{read[0]:6.0f} ms ({read[1]:.0f})"


async def measure(trials: int) -> None:
    """Prints it all."""
    body, made = await asyncio.to_thread(objects, trials)
    source, access = Still(body, made), OwnMachine("t")
    feeds = Feeds(source)
    async with (
        serving(source, feeds, access, Address("127.0.0.1", 0)) as port,
        aiohttp.ClientSession(headers={"Authorization": "Bearer t"}) as session,
    ):
        root = f"http://127.0.0.1:{port}/api/studies/default/digits"

        async def ask(part: str) -> bytes:
            async with session.get(root + part) as response:
                assert response.status == 200, await response.text()
                return await response.read()

        watch = Stopwatch()
        await ask("")
        print(f"{len(made)} trials")
        print(f"{'read and first answer':28}{shown(watch.read())}")
        watch = Stopwatch()
        await asyncio.gather(*map(ask, PARTS))
        print(f"{'all of the page at once':28}{shown(watch.read())}")
        feed, _ = await feeds.get("default", "digits")
        await _each(ask, feed)
        await _changes(session, root, ask, feed, made)
        feeds.drop_all()


async def _each(ask: Any, feed: Feed) -> None:
    for part in PARTS:
        feed.live.changed.add("study")
        before = feed.latest
        feed.touch()
        while feed.latest is before:
            await asyncio.sleep(0.01)
        watch = Stopwatch()
        found = await ask(part)
        print(f"  {part or '/':26}{shown(watch.read())} {len(found) / 1024:5.0f} KiB")


async def _changes(
    session: aiohttp.ClientSession, root: str, ask: Any, feed: Feed, made: list[Body]
) -> None:
    """A value of each of eight trials, told by the stream, and what shows it asked for again."""
    heard, drawn = [], []
    async with session.get(f"{root}/stream") as response:
        events = _events(response)
        await anext(events)
        for turn in range(CHANGES):
            await asyncio.sleep(1.0)  # so that none waits for the one before
            watch = Stopwatch()
            for body in made[turn * 8 : turn * 8 + 8]:
                feed.live.see_trial(_changed(body))
            feed.touch()
            await anext(events)
            heard.append(watch.read())
            await asyncio.gather(*map(ask, AGAIN))
            drawn.append(watch.read())
    for name, found in (("a change is told", heard), ("and drawn again", drawn)):
        median = tuple(statistics.median(column) for column in zip(*found, strict=True))
        worst = max(wall for wall, _ in found)
        print(f"{name:28}{shown((median[0], median[1]))}, at most {worst:.0f} ms")


async def _events(response: aiohttp.ClientResponse) -> Any:
    async for line in response.content:
        if line.startswith(b"data: "):
            yield json.loads(line[6:])


def _changed(body: Body) -> Body:
    status = body["status"]
    rungs = [{**rung, "value": rung["value"] * 0.99} for rung in status["rungs"]]
    return {**body, "status": {**status, "rungs": rungs}}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    asyncio.run(measure(parser.parse_args().trials))


if __name__ == "__main__":
    main()
