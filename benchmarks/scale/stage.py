"""What every measurement here has: an operator process, the trainings of its pods, and samples."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from itertools import pairwise
from typing import Final

from benchmarks import programs, server
from benchmarks.scale.cluster import Scene
from benchmarks.scale.samples import Sample, Sampler
from benchmarks.scale.training import TrainingPod, Trainings
from hyperband.api import names
from hyperband.backends.kubernetes.cache import Change
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.informer import Informer
from hyperband.backends.kubernetes.objects import PODS

STUDIES_NAMESPACE: Final = "studies"
LADDER: Final = (9, 27, 81, 243)
LOOK_SECONDS: Final = 2.0  # as a rule: what shows the metrics takes its time, too
SOON_SECONDS: Final = 0.1  # where the moment itself is measured
SAY_SECONDS: Final = 20.0


class Stage:
    """One operator after the other on one cluster; `async with stage.running()`.

    Attributes:
        trainings: of all studies but those that have trainings of their own.
        apart: trainings by study.
    """

    def __init__(self, client: Client, scene: Scene) -> None:
        self.client, self.scene = client, scene
        self.trainings = Trainings(client, LADDER)
        self.apart: dict[str, Trainings] = {}
        (port,) = server.free_ports(1)
        self._address = f"127.0.0.1:{port}"
        ids = {name: each.pid for name, each in scene.cluster.processes.items()}
        self.sampler = Sampler({**ids, **scene.server.processes}, self._address)
        self._operator = ExitStack()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watches the pods of trials and takes samples; ends the operator at last."""
        pods = Informer(
            self.client,
            PODS,
            TrainingPod,
            namespace=STUDIES_NAMESPACE,
            label_selector=names.STUDY_LABEL,
            on_change=self._pod_changed,
        )
        tasks = [asyncio.create_task(each) for each in (pods.run(), self.sampler.run())]
        try:
            await pods.synced.wait()
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for trainings in self._all():
                await trainings.close()
            self._operator.close()

    def _pod_changed(self, _: Change, old: TrainingPod | None, new: TrainingPod | None) -> None:
        pod = new or old
        assert pod is not None
        study = pod.metadata.labels.get(names.STUDY_LABEL, "")
        trainings = self.apart.get(study, self.trainings)
        if new is None:
            trainings.gone(pod)
        elif names.ATTEMPT_LABEL in new.metadata.labels:
            trainings.pod(new)

    def _all(self) -> list[Trainings]:
        return [self.trainings, *self.apart.values()]

    async def start_operator(self) -> None:
        """Starts one, and waits until it leads."""
        words = [sys.executable, "-m", "hyperband.cli", "operator", "--context", "operator"]
        words += ["--kubeconfig", str(self.scene.cluster.kubeconfig), "--listen", self._address]
        log = self.scene.cluster.logs / f"operator-{len(self.sampler.samples)}"
        process = self._operator.enter_context(programs.process(words, log, {}))
        self.sampler.processes["operator"] = process.pid
        await self.until(leads, "the operator leads", SOON_SECONDS)

    def stop_operator(self) -> None:
        """Ends it as a rollout does."""
        self._operator.close()

    async def until(
        self, done: Callable[[Sample], bool], what: str, pause: float = LOOK_SECONDS
    ) -> None:
        """Waits for it, says how it goes, and complains of what has gone wrong.

        Raises:
            RuntimeError: a program has ended.
        """
        said = time.monotonic()
        while not done(sample := await self.sampler.take()):
            if time.monotonic() > said + SAY_SECONDS:
                said += SAY_SECONDS
                waits = sample.metrics.get("hyperband_queued_trials", 0)
                running = sum(len(each.running) for each in self._all())
                say(f"until {what}: {running:,} pods run, {waits:.0f} trials wait for a look")
            self.scene.cluster.check()
            for trainings in self._all():
                if trainings.errors:
                    raise trainings.errors[0]
            await asyncio.sleep(pause)


def leads(sample: Sample) -> bool:
    """Whether the operator does."""
    return sample.metrics.get("hyperband_leader") == 1


def quiet(sample: Sample) -> bool:
    """Whether the operator has nothing to do."""
    queues = ("hyperband_queued_studies", "hyperband_queued_trials")
    return all(sample.metrics.get(name) == 0 for name in queues)


def lag(before: Sample, after: Sample) -> float:
    """The event loop's mean lateness between the two, in seconds; NaN if it was not looked at."""
    total, count = (
        after.metrics[f"hyperband_event_loop_lag_seconds_{part}"]
        - before.metrics[f"hyperband_event_loop_lag_seconds_{part}"]
        for part in ("sum", "count")
    )
    return total / count if count else float("nan")


def lag_quantile(before: Sample, after: Sample, q: float) -> float:
    """The lateness that so many of the looks between the two were below, in seconds.

    Evenly spread within a bucket, as Prometheus' histogram_quantile takes it.
    """
    name = "hyperband_event_loop_lag_seconds_bucket,le="
    buckets = sorted(
        (float(key.removeprefix(name)), count - before.metrics.get(key, 0.0))
        for key, count in after.metrics.items()
        if key.startswith(name)
    )
    rank = q * buckets[-1][1]
    for (low, fewer), (high, count) in pairwise([(0.0, 0.0), *buckets]):
        if count >= rank > fewer:
            return low + (high - low) * (rank - fewer) / (count - fewer)
    return float("nan")


def say(text: str) -> None:
    """Tells a person what is going on."""
    print(text, file=sys.stderr, flush=True)
