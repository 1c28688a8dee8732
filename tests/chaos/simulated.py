"""Runs a schedule in virtual time, on a server in memory, and checks what has come of it."""

import asyncio
import random
from collections.abc import Callable
from unittest.mock import patch

from hyperband.api import names
from hyperband.api.status import is_finished
from hyperband.backends.kubernetes import archiver, cleaner
from hyperband.backends.kubernetes.objects import PODS, STUDIES, Kind
from tests.chaos import clock, pods
from tests.chaos.invariants import Ledger, check, compare
from tests.chaos.lives import steps_at_random, steps_in_order
from tests.chaos.pods import Body, Fates, Step
from tests.chaos.process import Process
from tests.chaos.remains import Remains
from tests.chaos.schedules import Schedule
from tests.chaos.server import Server, merge

TICK = (0.2, 2.0)  # seconds between two looks at the pods
TROUBLES = 15  # pods that fail or are taken away, at the most
LIMIT = 6 * 3600.0  # virtual seconds, after which a study is stuck
AFTERMATH = 60  # ticks in which a dead operator's last call may land, and its pod is to go
SLOWLY = 10.0  # times as long is a tick while a finished study waits for its deletion
CHUNK = 2  # trials in an archive, and folders for a clean-up pod: small, as the studies are


class World:
    """The server, the operators one after the other, and the kubelets of one schedule."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.server = Server(clock.now)
        self.ledger = Ledger(schedule.most_pods)
        name = self.server.add(STUDIES, schedule.study)["metadata"]["name"]
        self.remains = Remains(self.server, name, clock.now)
        self.server.created = self._created
        self.server.landed = self._landed
        self.server.removed = self._removed
        self.server.written = self._written
        self._changes = list(schedule.changes)
        self._dice = random.Random(f"{schedule.seed} world")
        self._operators = self._troubles = 0

    @property
    def study(self) -> Body:
        return self.remains.study

    @property
    def trials(self) -> list[Body]:
        """But for those that a dead operator's call made after the end: nothing came of them."""
        over = is_finished(self.study.get("status") or {})
        return [t for t in self.remains.trials if t.get("status") or not over]

    async def run(self) -> None:
        """Until the study is over, and a while longer.

        Raises:
            AssertionError: it is never over.
        """
        operators = asyncio.create_task(self._operate())

        async def until(over: Callable[[], bool], pace: float) -> None:
            while not over():
                if operators.done():
                    operators.result()
                assert clock.seconds() < LIMIT, f"stuck: {self.study.get('status')}"
                await self._tick(pace)
            for _ in range(AFTERMATH):
                await self._tick()

        await until(lambda: is_finished(self.study.get("status") or {}), 1.0)
        if "ttlAfterFinished" in self.study["spec"]:
            await until(lambda: self.remains.deleted, SLOWLY)
        operators.cancel()
        await asyncio.gather(operators, return_exceptions=True)

    async def _operate(self) -> None:
        """One operator after the other."""
        while True:
            self._operators += 1
            seed = f"{self.schedule.seed} operator {self._operators}"
            process = Process(self.server, self.schedule.faults, seed)
            try:
                await asyncio.wait([process.task])
                if not process.dead:
                    process.task.result()  # it ends by itself only by an error of ours
            finally:
                process.kill()
                await asyncio.gather(process.task, return_exceptions=True)
            await asyncio.sleep(self._dice.uniform(0.0, self.schedule.pauses))

    async def _tick(self, pace: float = 1.0) -> None:
        """Pods do what they do next; after a while nothing bad, so that a study can end."""
        await asyncio.sleep(pace * self._dice.uniform(*TICK))
        self.server.collect()
        all_pods, moment = self.server.bodies(PODS), clock.now().isoformat()
        fates = self.schedule.fates if self._troubles < TROUBLES else Fates()
        trainers = [pod for pod in all_pods if pods.is_trainer(pod)]
        for pod in all_pods:
            if not pods.is_trainer(pod):
                self._clean(pod, pods.cleaning(pod, moment, self._dice, fates))
        if self._due(idle=not any(map(pods.is_alive, trainers))):
            self._change()
            return
        if self.schedule.ordered:
            steps = steps_in_order(self.study, self.trials, trainers, moment, self._dice, fates)
        else:
            steps = steps_at_random(trainers, moment, self._dice, fates)
        for pod, step in steps:
            if step.reports is None or not self._held():
                self._do(pod, step)

    # -- what people do -------------------------------------------------------------------------

    def _due(self, *, idle: bool, quiet: bool = False) -> bool:
        """Whether it is time for the next change of the spec.

        Args:
            idle: whether no pod of a trial is alive.
            quiet: whether all that the records ask for is done.
        """
        if not self._changes or is_finished(self.study.get("status") or {}):
            return False
        change = self._changes[0]
        if self._values() < change.values:
            return False
        return idle if change.idle else quiet or not self.schedule.ordered

    def _change(self) -> None:
        study, change = self.study, self._changes.pop(0)
        merge(study["spec"], change.spec)
        study["metadata"]["generation"] += 1
        self.server.touch(STUDIES, study)

    def _held(self) -> bool:
        """Whether a pod's report has to wait; in an ordered schedule all is quiet then."""
        if self._due(idle=False, quiet=True):
            self._change()
            return True
        stalls = self.schedule.stalls
        return stalls is not None and self._values() >= stalls

    def _values(self) -> int:
        return sum(len(trial.get("status", {}).get("rungs", [])) for trial in self.trials)

    # -- what the server tells ------------------------------------------------------------------

    def _created(self, pod: Body) -> None:
        if pods.is_trainer(pod):
            self.ledger.seen(pod)
        else:
            self.remains.cleaner_made(pod)

    def _landed(self, pod: Body) -> None:
        if pods.is_trainer(pod):
            self.ledger.landed(pod)

    def _removed(self, kind: Kind, body: Body) -> None:
        if kind is not PODS:
            self.remains.gone(kind, body)
        elif pods.is_trainer(body):
            self.ledger.gone(body, clock.now())

    def _written(self, trial: Body) -> None:
        self.ledger.written(trial)
        self.remains.written(trial)

    # -- what happens to pods -------------------------------------------------------------------

    def _clean(self, pod: Body, step: Step | None) -> None:
        if step is not None:
            self._do(pod, step)
            if pods.phase(pod) == "Succeeded":
                self.remains.cleaned(pod)

    def _do(self, pod: Body, step: Step) -> None:
        """Carries out what happens to a pod."""
        self._troubles += step.is_trouble
        if step.deleted:
            self.server.end(pod)
            return
        if step.gone:
            self.server.remove(PODS, pod["metadata"]["name"])
            return
        if step.status is not None:
            pod["status"] = step.status
            pod["spec"]["nodeName"] = "node"
        if step.reports is not None:
            text = pods.text(step.reports)
            pod["metadata"].setdefault("annotations", {})[names.METRICS_ANNOTATION] = text
        self.server.touch(PODS, pod)


def simulate(schedule: Schedule) -> World:
    """Runs a schedule and checks it.

    Raises:
        AssertionError: something does not hold.
    """
    world = run(schedule)
    check(world.study, world.trials, world.ledger)
    world.remains.check(exact=False)
    if schedule.ordered:
        compare(world.trials, run(schedule.undisturbed()).trials)
    return world


def run(schedule: Schedule) -> World:
    """Runs a schedule to its end."""

    async def go() -> World:
        world = World(schedule)
        await world.run()
        return world

    with patch.object(archiver, "CHUNK", CHUNK), patch.object(cleaner, "BATCH", CHUNK):
        return clock.run(go())
