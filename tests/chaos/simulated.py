"""Runs a schedule in virtual time, on a server in memory, and checks what has come of it."""

import asyncio
import random

from hyperband.api import names
from hyperband.api.status import is_finished
from hyperband.backends.kubernetes.objects import PODS, STUDIES, TRIALS
from tests.chaos import clock, pods
from tests.chaos.invariants import Ledger, check, compare, trials_of
from tests.chaos.lives import steps_at_random, steps_in_order
from tests.chaos.pods import Body, Fates, Step
from tests.chaos.process import Process
from tests.chaos.schedules import Schedule
from tests.chaos.server import Server

TICK = (0.2, 2.0)  # seconds between two looks at the pods
TROUBLES = 15  # pods that fail or are taken away, at the most
LIMIT = 6 * 3600.0  # virtual seconds, after which a study is stuck
AFTERMATH = 60  # ticks in which a dead operator's last call may land, and its pod is to go


class World:
    """The server, the operators one after the other, and the kubelets of one schedule."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.server = Server(clock.now)
        self.ledger = Ledger(schedule.study["spec"]["parallelism"])
        self.server.created = self.ledger.seen
        self.server.landed = self.ledger.landed
        self.server.removed = lambda pod: self.ledger.gone(pod, clock.now())
        self.server.written = self.ledger.written
        self._name = self.server.add(STUDIES, schedule.study)["metadata"]["name"]
        self._dice = random.Random(f"{schedule.seed} world")
        self._operators = self._troubles = 0

    @property
    def study(self) -> Body:
        found = self.server.find(STUDIES, self._name)
        assert found is not None
        return found

    @property
    def trials(self) -> list[Body]:
        return trials_of(self.server.bodies(TRIALS), self._name)

    async def run(self) -> None:
        """Until the study is over, and a while longer.

        Raises:
            AssertionError: it is never over.
        """
        operators = asyncio.create_task(self._operate())
        while not is_finished(self.study.get("status") or {}):
            if operators.done():
                operators.result()
            assert clock.seconds() < LIMIT, f"stuck: {self.study.get('status')}"
            await self._tick()
        for _ in range(AFTERMATH):
            await self._tick()
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

    async def _tick(self) -> None:
        """Pods do what they do next; after a while nothing bad, so that a study can end."""
        await asyncio.sleep(self._dice.uniform(*TICK))
        all_pods, moment = self.server.bodies(PODS), clock.now().isoformat()
        fates = self.schedule.fates if self._troubles < TROUBLES else Fates()
        if self.schedule.ordered:
            steps = steps_in_order(self.study, self.trials, all_pods, moment, self._dice, fates)
        else:
            steps = steps_at_random(all_pods, moment, self._dice, fates)
        for pod, step in steps:
            self._do(pod, step)

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
    if schedule.ordered:
        compare(world.trials, run(schedule.undisturbed()).trials)
    return world


def run(schedule: Schedule) -> World:
    """Runs a schedule to its end."""

    async def go() -> World:
        world = World(schedule)
        await world.run()
        return world

    return clock.run(go())
