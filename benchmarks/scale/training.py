"""The training that pods would do, played at a set rate of reports.

KWOK has said that a pod runs; from then on this stands for its container. All pods take turns.
"""

import asyncio
import json
import random
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.kubelet import end_of
from hyperband.api import names
from hyperband.backends.kubernetes.api_errors import NotFound
from hyperband.backends.kubernetes.attempts import is_ending, is_over, mark
from hyperband.backends.kubernetes.client import MERGE_PATCH, Client
from hyperband.backends.kubernetes.objects import PODS, Container, Pod, PodSpec
from hyperband.backends.kubernetes.transport import Call

# Field managers, by which the audit log tells reports that reach a rung from others.
RUNG_MANAGER: Final = "bench-rung"
REPORT_MANAGER: Final = "bench-report"
TICK_SECONDS: Final = 0.02
KEPT_REPORTS: Final = 30  # in an annotation; some 50 bytes each

Body = dict[str, Any]


class Variable(Container, frozen=True, gc=False):
    """One of a container's environment."""

    value: str = ""


class TrainingContainer(Container, frozen=True, gc=False):
    """With what it is told."""

    env: tuple[Variable, ...] = ()


class TrainingSpec(PodSpec, frozen=True, gc=False):
    containers: tuple[TrainingContainer, ...] = ()


class TrainingPod(Pod, frozen=True, gc=False):
    """A pod of a trial, as its container would see it."""

    spec: TrainingSpec = TrainingSpec()


@dataclass
class Training:
    """One that runs.

    Attributes:
        reached: the resource that it has reported.
        limit: the resource to stop at.
        begun: when it was seen to run.
    """

    pod: Pod
    reached: int
    limit: int
    reports: deque[Body] = field(default_factory=lambda: deque(maxlen=KEPT_REPORTS))
    begun: float = field(default_factory=time.time)


class Trainings:
    """All that run.

    Args:
        ladder: the resource of each rung.

    Attributes:
        running: by the pod's uid.
        sent: reports so far.
        errors: what has gone wrong here, and for which nothing that is measured can be trusted.
    """

    def __init__(self, client: Client, ladder: Sequence[int]) -> None:
        self.running: dict[str, Training] = {}
        self.sent = 0
        self.errors: list[BaseException] = []
        self._client, self._ladder = client, ladder
        self._turns: deque[str] = deque()
        self._ended: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def pod(self, pod: TrainingPod) -> None:
        """A pod is new, or has changed."""
        uid = pod.metadata.uid
        if is_over(pod) or is_ending(pod):
            self.running.pop(uid, None)
        elif mark(pod) is not None:
            if uid not in self._ended:
                self._ended.add(uid)
                self.running.pop(uid, None)
                self._do(self._end(pod, 143, reason="DeadlineExceeded"))
        elif uid in self.running:
            self.running[uid].pod = pod
        elif pod.status.phase == "Running" and uid not in self._ended:
            self.running[uid] = self._begun(pod)
            self._turns.append(uid)

    def gone(self, pod: Pod) -> None:
        """A pod is not there any more."""
        self.running.pop(pod.metadata.uid, None)
        self._ended.discard(pod.metadata.uid)

    async def report_steadily(self, rate: float, seconds: float) -> None:
        """So many reports a second, the pods in turns, each one step on."""
        begun, given = time.monotonic(), 0
        while (passed := time.monotonic() - begun) < seconds:
            while given < passed * rate and (training := self._next()) is not None:
                self._do(self._report(training, training.reached + 1))
                given += 1
            await asyncio.sleep(TICK_SECONDS)

    async def report_rungs(self, trainings: Iterable[Training]) -> None:
        """These reach their next rung at once."""
        await asyncio.gather(*(self._do(self._report(t, self._next_rung(t))) for t in trainings))

    async def close(self) -> None:
        """Ends what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begun(self, pod: TrainingPod) -> Training:
        env = {each.name: each.value for each in pod.spec.containers[0].env}
        start, limit = (
            int(float(env[key])) for key in (names.ENV_RESOURCE_FROM, names.ENV_RESOURCE_TO)
        )
        # As if all had been under way for a while: else all would reach their rungs together.
        head_start = random.Random(pod.metadata.name).randrange(self._ladder[0])
        return Training(pod, max(start, head_start), limit)

    def _next(self) -> Training | None:
        while self._turns:
            uid = self._turns.popleft()
            if (training := self.running.get(uid)) is not None:
                self._turns.append(uid)
                return training
        return None

    def _next_rung(self, training: Training) -> int:
        return self._ladder[bisect_right(self._ladder, training.reached)]

    def _do(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.errors.append(error)

    async def _report(self, training: Training, resource: int) -> None:
        if training.reached >= training.limit:  # by a report that was asked for just before
            return
        pod = training.pod
        rung = resource >= self._next_rung(training)
        training.reached = resource
        value = loss(pod.metadata.labels[names.TRIAL_LABEL], resource)
        training.reports.append({"epochs": resource, "loss": value})
        annotations = {names.METRICS_ANNOTATION: json.dumps(list(training.reports))}
        body = {"metadata": {"uid": pod.metadata.uid, "annotations": annotations}}
        query = {"fieldManager": RUNG_MANAGER if rung else REPORT_MANAGER}
        place = (pod.metadata.namespace, pod.metadata.name, None)
        last = resource >= training.limit
        if last:  # before the answer: a training that has reported all has nothing left to report
            self.running.pop(pod.metadata.uid, None)
            self._ended.add(pod.metadata.uid)
        with suppress(NotFound):
            await self._client.send(Call("patch", PODS, *place, query, body, MERGE_PATCH))
            self.sent += 1
            if last:
                await self._client.send(end_of(pod, 0))

    async def _end(self, pod: Pod, code: int, **said: str) -> None:
        with suppress(NotFound):
            await self._client.send(end_of(pod, code, **said))


def loss(trial: str, epochs: int) -> float:
    """Falls with the epochs; which trial leads changes on the way."""
    dice = random.Random(trial)
    return round(dice.random() + dice.random() / epochs, 9)
