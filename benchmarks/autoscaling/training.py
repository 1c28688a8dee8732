"""The training that pods would do, played: epochs pass, values are reported, and pods end.

KWOK has said that a pod runs; from then on this stands for its container. What it has reported is
its checkpoint: the trial's next pod goes on from there, as far as its operator lets it.
"""

import asyncio
import json
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from benchmarks.kubelet import end_of
from hyperband.api import names
from hyperband.backends.kubernetes.api_errors import NotFound
from hyperband.backends.kubernetes.attempts import is_ending, is_over, mark, trains
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.objects import PODS, Pod

Body = dict[str, Any]
log = logging.getLogger(__name__)


class Trainings:
    """All that run.

    Args:
        seconds: of an epoch, by the trial.

    Attributes:
        errors: what has gone wrong here, and for which nothing that is measured can be trusted.
    """

    def __init__(self, client: Client, namespace: str, seconds: Callable[[int], float]) -> None:
        self._client, self._namespace, self._seconds = client, namespace, seconds
        self._tasks: dict[str, asyncio.Task[None]] = {}  # by the pod's uid
        self._reached: dict[int, int] = {}  # epochs with a checkpoint, by trial
        self.errors: list[BaseException] = []

    def pod(self, pod: Pod) -> None:
        """A pod is new, or has changed."""
        uid = pod.metadata.uid
        if is_over(pod) or is_ending(pod):
            self.gone(pod)
        elif not trains(pod):
            return
        elif mark(pod) is None and uid not in self._tasks:
            self._begin(uid, self._train(pod))
        elif mark(pod) is not None and (key := f"end of {uid}") not in self._tasks:
            self.gone(pod)
            self._begin(key, self._end(pod, 143, reason="DeadlineExceeded"))

    def gone(self, pod: Pod) -> None:
        """A pod is not there any more, or is asked to end: it does so at once."""
        task = self._tasks.pop(pod.metadata.uid, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    async def close(self) -> None:
        """Ends them all."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _begin(self, key: str, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks[key] = task
        task.add_done_callback(self.keep_error)

    def keep_error(self, task: asyncio.Task[None]) -> None:
        """Takes in how a task has ended."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self.errors.append(error)

    async def _train(self, pod: Pod) -> None:
        with suppress(NotFound):
            body = await self._client.get(PODS, self._namespace, pod.metadata.name, dict)
            env = {e["name"]: e.get("value", "") for e in body["spec"]["containers"][0]["env"]}
            trial = int(pod.metadata.labels[names.TRIAL_LABEL])
            start, end = (
                int(float(env[key])) for key in (names.ENV_RESOURCE_FROM, names.ENV_RESOURCE_TO)
            )
            x = float(env["HYPERBAND_PARAM_X"])
            reports: list[Body] = []
            for epoch in range(max(start, self._reached.get(trial, 0)) + 1, end + 1):
                await asyncio.sleep(self._seconds(trial))
                reports.append({"epochs": epoch, "loss": loss(x, epoch)})
                await self._report(pod, reports)
                self._reached[trial] = epoch
            await self._end(pod, 0)

    async def _report(self, pod: Pod, reports: list[Body]) -> None:
        annotations = {names.METRICS_ANNOTATION: json.dumps(reports)}
        change = {"metadata": {"uid": pod.metadata.uid, "annotations": annotations}}
        await self._client.patch(PODS, self._namespace, pod.metadata.name, change, dict)

    async def _end(self, pod: Pod, code: int, **said: str) -> None:
        with suppress(NotFound):
            await self._client.send(end_of(pod, code, **said))


def loss(x: float, epochs: int) -> float:
    """Falls with the epochs; which configuration leads changes on the way."""
    return round((x - 0.3) ** 2 + 1 / epochs + 0.2 * x * (epochs > 1), 9)


def epoch_seconds(mean: float, seed: int) -> Callable[[int], float]:
    """Seconds of an epoch by trial: half to one and a half times the mean, as models differ."""

    def seconds(trial: int) -> float:
        return mean * random.Random(f"{seed}/{trial}").uniform(0.5, 1.5)

    return seconds
