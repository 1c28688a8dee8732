"""Fills a study's free slots: what is decided on them is written, and pods are made for it."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from hyperband.api.status import Blocked
from hyperband.backends.kubernetes.api_errors import Conflict
from hyperband.backends.kubernetes.cluster import Cluster
from hyperband.backends.kubernetes.demand import Demand
from hyperband.backends.kubernetes.hands import HANDS, Hands
from hyperband.backends.kubernetes.launcher import Launcher
from hyperband.backends.kubernetes.lingering import Lingering
from hyperband.backends.kubernetes.looks import Looks
from hyperband.backends.kubernetes.scribe import Scribe
from hyperband.backends.kubernetes.store import ForeignObjectError
from hyperband.core.decisions import Action, Decision
from hyperband.core.engine import Engine
from hyperband.core.records import Spent

LAUNCH_SECONDS = 1.0  # spent on launching before the study's status has a turn
FIRST_SECONDS = 0.1  # the same while launches wait for one another until it has been written
NEWS = 8  # trials looked at before each launch that takes a while to decide on, at most


class Filled(NamedTuple):
    """How far it has come.

    Attributes:
        left: whether free slots are left for the next pass.
        blocked: why something cannot be launched, if so.
    """

    left: bool = False
    blocked: Blocked | None = None


class Slots:
    """The slots of one study.

    Args:
        looks: at its trials; the one that follows a launch makes the pod.
        demand: whether the cluster is to see another pod.
        lingering: pods that hold slots beside the active trials.
        wake: called when something has ended for which slots were left free.
    """

    def __init__(
        self,
        cluster: Cluster,
        scribe: Scribe,
        looks: Looks,
        demand: Demand,
        lingering: Lingering,
        wake: Callable[[], None],
    ) -> None:
        self._monotonic, self._scribe, self._looks = cluster.monotonic, scribe, looks
        self._demand, self._lingering = demand, lingering
        self._launcher = Launcher(cluster.workers, scribe.study.uid, wake)
        self._wrote = False  # whether a launch has been written: more may be under way at once

    @property
    def _engine(self) -> Engine:
        return self._scribe.engine

    def close(self) -> None:
        """Nothing more will be launched."""
        self._launcher.close()

    async def fill(self, spent: Spent, *, marked: bool) -> Filled:
        """Launches until no slot is free, the study closes, or the time is up.

        While too many pods wait for a node, slots stay free: what is to be tried next is decided
        when it can be. News of other trials are looked at meanwhile: what is to be stopped holds a
        slot, too.

        Args:
            spent: what the study has spent.
            marked: whether the study's status says up to which index all trials have been started.
                Only then several may be started at once: one that is lost is told by it from one
                that was deleted.

        Raises:
            KubernetesError, ForeignObjectError: trouble that holds all up.
        """
        async with Hands(HANDS) as hands:
            filling = self._fill(hands, spent, marked)
            filled = await (self._looks.attend(filling) if self._engine.searcher.quick else filling)
            await self._looks.attend(hands.finish())
        return filled

    async def _fill(self, hands: Hands, spent: Spent, marked: bool) -> Filled:
        until = self._monotonic() + (LAUNCH_SECONDS if marked else FIRST_SECONDS)
        while self._engine.closing(spent) is None:
            if not self._engine.searcher.quick:  # its thread has the engine for itself
                await self._looks.at_news(hands, NEWS)
                await hands.finish()
            if hands.failed or not self._asks_for_more():
                break
            decision = await self._launcher.decide(self._engine, self._lingering.slots())
            if decision is None:
                break
            if decision.trial.index in self._looks.busy:
                await self._looks.until_free(decision.trial.index)
                continue
            try:
                await self._carry_out(decision, hands, marked)
            except ForeignObjectError as error:
                return Filled(blocked=Blocked("NameTaken", str(error)))
            if self._monotonic() >= until:
                return Filled(left=True)
        return Filled()

    def _asks_for_more(self) -> bool:
        """Whether there is a free slot, and the cluster is to see another pod."""
        study = self._scribe.study
        taken = len(self._engine.indices_of_active) + self._lingering.slots()
        free = taken < study.study.parallelism
        return free and not self._demand.withheld and self._demand.permits(study)

    async def _carry_out(self, decision: Decision, hands: Hands, marked: bool) -> None:
        """Begins to write what is launched, and to look at it.

        Raises:
            ForeignObjectError: its name is taken.
        """
        index, write = decision.trial.index, None
        if self._wrote and (marked or decision.action is not Action.START):
            self._engine.presume(decision.trial)
            write = partial(self._write, decision)
        else:
            await self._scribe.commit(decision)
            self._wrote = True
        self._demand.expect(index)
        await self._looks.begin(hands, index, write)

    async def _write(self, decision: Decision) -> None:
        written = await self._scribe.commit(decision)
        if written != decision.trial:  # an earlier operator's, and others were decided after it
            raise Conflict(
                409, message=f"{self._scribe.trial_name(written.index)} was there already"
            )
