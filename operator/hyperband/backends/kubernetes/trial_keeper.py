"""Keeps a study's trials and pods in step: pods' news into decisions, decisions into pods."""

import logging
from collections.abc import Callable, Collection, Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from hyperband.api.status import Blocked
from hyperband.api.study import StudyResource
from hyperband.backends.kubernetes.accounts import is_closed
from hyperband.backends.kubernetes.api_errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    ServerError,
    TooManyRequests,
)
from hyperband.backends.kubernetes.archiver import Archiver
from hyperband.backends.kubernetes.attempts import attempt_number
from hyperband.backends.kubernetes.backoff import seconds_to_wait
from hyperband.backends.kubernetes.cleaner import unneeded
from hyperband.backends.kubernetes.cluster import Cluster
from hyperband.backends.kubernetes.demand import Demand
from hyperband.backends.kubernetes.hands import HANDS, for_each
from hyperband.backends.kubernetes.lingering import Lingering
from hyperband.backends.kubernetes.looks import Looks
from hyperband.backends.kubernetes.matching import alive, match
from hyperband.backends.kubernetes.meter import Meter
from hyperband.backends.kubernetes.objects import Pod
from hyperband.backends.kubernetes.overtime import Overtime
from hyperband.backends.kubernetes.pod_reader import SUSPENDED, PodReader
from hyperband.backends.kubernetes.probing import Hold, judge
from hyperband.backends.kubernetes.scribe import Scribe
from hyperband.backends.kubernetes.slots import Slots
from hyperband.backends.kubernetes.store import ForeignObjectError
from hyperband.backends.kubernetes.study_pods import StudyPods, is_stray
from hyperband.backends.kubernetes.telemetry.context import about
from hyperband.backends.kubernetes.waits import WaitCounter, Waits, is_quiet, seconds_until_stuck
from hyperband.core.decisions import NO_RESULT, Decision, Finish
from hyperband.core.engine import Engine
from hyperband.core.records import Spent, Trial, TrialState

T = TypeVar("T")

log = logging.getLogger(__name__)

STARTING_SECONDS = 10.0  # until pods are looked at again of which none has started to train
SETTLE_SECONDS = 1.0  # spent on looking at trials before free slots have a turn
CONCLUDE_SECONDS = 1.0  # spent on ending trials before news of others and the status have a turn


class TrialKeeper:
    """The trials of one study, their pods, and what is still to be looked at.

    A trial stays in `_looks.due` until all that its pods and its record ask for has been done.

    Attributes:
        blocked: why something cannot be made at present, if so.
        meter: what the study has spent; its task keeps up what it cannot know.
    """

    def __init__(
        self,
        cluster: Cluster,
        scribe: Scribe,
        gone: dict[int, list[Pod]],
        orphaned: set[str],
        wake: Callable[[], None],
    ) -> None:
        self.blocked: Blocked | None = None
        self._cluster, self._scribe, self._store = cluster, scribe, scribe.store
        self.meter = Meter(cluster, scribe.store, scribe.engine)
        self._pods = StudyPods(cluster, scribe.study)
        self._overtime = Overtime()
        self._lingering = Lingering(cluster, scribe, self._pods, orphaned)
        self._reader = PodReader(
            *(cluster, scribe, self._pods, self.meter),
            overtime=self._overtime,
            gone=gone,
            lingering=self._lingering,
        )
        self._demand = Demand()
        self._closing = False
        self._audit = False  # whether to ask if others have written trials
        self._gone = gone  # by trial: deleted pods whose last words are still to be read
        self._looks = Looks(self._look_patiently, scribe.store.resources, cluster.breath)
        self._archiver = Archiver(cluster, scribe.store, hold=self._looks.held)
        self._slots = Slots(cluster, scribe, self._looks, self._demand, self._lingering, wake)
        self._more = False  # whether this pass has left something to the next: free slots, or ends
        self._settled = False  # whether all have been looked at: only then slots can be counted
        self._waiting: set[int] = set()  # trials with a pod of which there may be something to say
        self._retry_due: dict[int, float] = {}  # by trial: when its next attempt may start
        self._stuck_due: dict[int, float] = {}  # by trial: when a pod of it should be gone
        self._hold: Hold | None = None  # why no trial has worked yet
        self._last_hold: Hold | None = None  # the same, when that was last asked
        self._heeded: Hold | None = None  # the one with which all trials were last looked at
        for index in scribe.store.resources:
            self._count(index)

    @property
    def study(self) -> StudyResource:
        """As its spec was last read."""
        return self._scribe.study

    @property
    def engine(self) -> Engine:
        """What decides, built from the trials' records."""
        return self._scribe.engine

    def _count(self, index: int) -> None:
        """Brings up to date what is added up over all trials."""
        resource = self._store.resources.get(index)
        pods = [] if resource is None else self._pods.of(resource.uid)
        self._demand.see(index, alive(pods))
        self.meter.see(index, pods)
        if all(map(is_quiet, pods)):
            self._waiting.discard(index)
        else:
            self._waiting.add(index)

    async def take_over(self) -> None:
        """Makes sure that no write which was on its way before brings a value later.

        It would bring one that a pod has reported, or one of a pod that is no more: of a trial
        with which there is something to do, as pods were listed since whoever decided on it led.

        Raises:
            Conflict: something has arrived since the records were read.
            UnknownOutcome: one of them may have been written, or not.
        """
        doubtful = [trial.index for trial in self.engine.active if self._reader.has_news(trial)]
        await self._store.take_over(doubtful)

    # -- what has happened ------------------------------------------------------------------

    def notice(self, index: int) -> None:
        """Something about this trial's pods has changed."""
        self._looks.notice(index)
        self._scribe.news_came(index)

    def notice_all(self) -> None:
        """All that may still change is to be looked at again."""
        self._audit = True
        self._looks.due.update(trial.index for trial in self.engine.active)
        self._looks.due.update(self._lingering.trials, self._gone)

    @property
    def backlog(self) -> int:
        """How many trials are to be looked at."""
        return len(self._looks.due)

    @property
    def uids(self) -> Collection[str]:
        """Of the study's trial objects, but for those that are archived."""
        return self._store.uids

    def change(self, study: StudyResource) -> None:
        """Takes in a changed spec."""
        self._scribe.change(study)
        self._pods.study = study
        self.meter.change(self.engine)
        self.notice_all()

    # -- what is done about it ----------------------------------------------------------------

    async def settle(self) -> None:
        """Looks at the trials that something has happened to: at all of them if that is quick.

        A trial's own trouble holds up no other trial: it is kept in `blocked`, and the trial is
        looked at again.

        Raises:
            KubernetesError: trouble that all trials would have.
        """
        self.blocked, self._more = None, False
        if self._audit:
            self._audit = False
            self._check_versions()
        if self._demand.withheld and self._demand.permits(self.study):
            self._looks.due |= self._demand.withheld
        self._closing = self.engine.closing(self.meter.spent()) is not None
        now = self._cluster.monotonic()
        self._looks.due |= self._overtime.fire(now)
        for due in (self._retry_due, self._stuck_due):
            self._looks.due |= {index for index, moment in due.items() if moment <= now}
        if self._lingering.look_for_strays(now):
            self.notice_all()
        await self._lingering.end_orphans()
        await self._look_at_all()
        self._judge()
        if self._hold != self._heeded:
            self._heeded = self._hold
            self.notice_all()
            await self._look_at_all()
        if self._hold is not None:
            self.blocked = self.blocked or self._hold.blocked

    def _judge(self) -> None:
        """Finds out what keeps the study's pods from working, as long as none of them ever has."""
        self._hold, self._reader.suspects_template = None, False
        works = self.engine.states[TrialState.RUNNING] > 0 and not self._reader.failed_once
        if not (works or self.study.suspend or self.engine.best is not None):
            resources, now = self._store.resources, self._cluster.now()
            self._hold = judge(resources, self._pods.of, self._reader.reports, now)
            self._last_hold = self._hold or self._last_hold

    async def _look_at_all(self) -> None:
        for index in self._looks.due:  # all of them, before the first new pod is made
            self._count(index)
        until = self._cluster.monotonic() + SETTLE_SECONDS
        await self._looks.at_all(lambda: self._settled and self._cluster.monotonic() >= until)
        self._settled = True

    async def attend(self, work: Coroutine[Any, Any, T]) -> T:
        """Looks at news for as long as something else takes, and comes to what that comes to."""
        return await self._looks.attend(work)

    async def _look_patiently(self, index: int) -> None:
        """Does all that there is to do about a trial; what is refused is told of, and waits."""
        try:
            await self._look(index)
        except (Conflict, ServerError, TooManyRequests):
            raise
        except ApiError as error:
            log.warning("%s/%s-%d: %s", self.study.namespace, self.study.name, index, error)
            self.blocked = self.blocked or Blocked("RequestRefused", str(error))

    def _check_versions(self) -> None:
        """Whether the records are as we have last written or read them.

        No write of ours is under way here, so what is newer is somebody else's: a person's, or one
        that an earlier operator had on its way.

        Raises:
            Conflict: one is not; all are to be read again.
        """
        for resource in self._store.resources.values():
            seen = self._cluster.trials.get(self.study.namespace, resource.name)
            version = int(seen.metadata.resource_version) if seen is not None else 0
            if seen is not None and version > int(resource.resource_version):
                raise Conflict(409, message=f"HyperbandTrial {resource.name} was written by others")

    async def launch(self, *, marked: bool) -> None:
        """Fills the free slots, unless the study closes, is suspended, or waits for probes.

        Args:
            marked: whether the study's status says up to which index all trials have been started.

        Raises:
            KubernetesError, ForeignObjectError: trouble that holds all up.
        """
        held = self._hold is not None and self._hold.probes is not None
        if not (held or self.study.suspend):
            self._more, blocked = await self._slots.fill(self.meter.spent(), marked=marked)
            self.blocked = blocked or self.blocked

    async def conclude(self, spent: Spent) -> Finish | None:
        """Ends what is not to go on, and the study once it is over and no pod of it runs.

        Args:
            spent: what the study has spent; a budget that is reached by it is named in its status.
        """
        if self.study.suspend and not self.study.study.stop:
            return None
        finish = self.engine.finish(spent)  # what the decision to end it was made on
        given_up = None
        if self._hold is not None and (finish is None or finish.reason == NO_RESULT):
            given_up = self._hold.finish  # also once the others, which it has ended, are decided

        until = self._cluster.monotonic() + CONCLUDE_SECONDS

        async def end(decision: Decision) -> None:
            if self._cluster.monotonic() >= until:
                self._more = True
                return
            await self._scribe.commit(decision)
            await self._look(decision.trial.index)

        ending = self.engine.wind_down(spent, given_up)
        # What has been reported comes before any end.
        looked_at = (each for each in ending if not self._looks.waits(each.trial.index))
        await for_each(looked_at, end, HANDS)
        waits = self._more or self._looks.due or self._lingering.slots()
        return None if waits else self._why_over(given_up or finish)

    def _why_over(self, finish: Finish | None) -> Finish | None:
        """The end, and if nothing had ever worked until then, what kept it from working."""
        hold = self._last_hold
        if finish is None or hold is None or self.engine.best is not None:
            return finish
        if finish.reason == hold.blocked.reason:
            return finish
        said = f"{finish.message}; {hold.blocked.reason}: {hold.blocked.message}"
        return replace(finish, message=said)

    async def discard_pods(self) -> bool:
        """Deletes some pods that are old and accounted for; True if others are left."""
        accounted = [
            pod
            for resource in self._store.resources.values()
            for pod in self._pods.of(resource.uid)
            if is_closed(resource, attempt_number(pod) or 0)
        ]
        return await self._pods.discard(accounted, timedelta(seconds=self.study.retention.pods))

    def unneeded(self, *, finished: bool) -> set[int]:
        """The trials whose checkpoints nobody can want any more, by index."""
        trials = ((t.index, t.state, t.reason) for t in self.engine.trials.values())
        best = self.engine.best[2] if self.engine.best else None
        return unneeded(trials, best, finished=finished).difference(self._lingering.trials)

    async def archive(self) -> bool:
        """Archives some of the trials that are done with; True if there may be more to do.

        News of others are looked at meanwhile.
        """
        kept = (self._gone, self._lingering.trials, self._retry_due, self._looks.busy)
        return await self.attend(self._archiver.work(lambda: self._looks.due.union(*kept)))

    @property
    def unarchived(self) -> Blocked | None:
        """Why trials cannot be archived, if so; it holds nothing else up."""
        return self._archiver.blocked

    def close(self) -> None:
        """Nothing more will be launched."""
        self._slots.close()

    def due(self) -> float | None:
        """Seconds until something is to be looked at without an event, if anything is."""
        if self._more or self._looks.left:
            return 0.0
        known = (
            *(self._overtime.next, self._lingering.stray_due),
            *self._retry_due.values(),
            *self._stuck_due.values(),
        )
        now = self._cluster.monotonic()
        waits = [max(0.0, moment - now) for moment in known if moment is not None]
        if self.engine.states[TrialState.PENDING] and self.engine.best is None:
            # A kubelet tells of a pod whose volumes do not come only by saying nothing.
            waits.append(STARTING_SECONDS)
        return min((*waits, *self.meter.until_reached()), default=None)

    def waiting(self) -> Waits:
        """What pods wait for, those of decided trials that do not end included."""
        counter, now = WaitCounter(), self._cluster.now()
        for index in sorted(self._retry_due.keys() | self._demand.withheld | self._waiting):
            if index not in self._store.resources:
                continue
            trial, resource = self.engine.trials[index], self._scribe.resource(index)
            if index in self._retry_due:
                name, last = self._scribe.pod_name(trial), resource.attempts[-1].reason
                counter.add("BackOff", f"{name}: attempts keep ending early, the last one: {last}")
            if index in self._demand.withheld:
                counter.add("Withheld", f"{self._scribe.pod_name(trial)}: until others have a node")
            if trial.state.active or index in self._lingering.trials:
                counter.look_at(self._pods.of(resource.uid), now)
        return counter.found

    # -- one trial --------------------------------------------------------------------------------

    async def _look(self, index: int) -> None:
        """Does all that there is to do about a trial; what fails is to be done again."""
        self._looks.due.discard(index)  # before the work, so that news meanwhile is not lost
        try:
            with about(self.study.namespace, self.study.name, self._scribe.trial_name(index)):
                await self._do_all(index)
        except ForeignObjectError as error:
            self.blocked = Blocked("NameTaken", str(error))
            self._looks.due.add(index)
        except BaseException:
            self._looks.due.add(index)
            raise

    async def _do_all(self, index: int) -> None:
        if index in self._store.resources:
            if not await self._reader.read(index):
                await self._match(index)
        else:  # a trial that somebody deleted, or that is archived
            self._gone.pop(index, None)
        self._count(index)
        if index not in self._looks.due:
            self._scribe.news_taken_in(index)

    async def _match(self, index: int) -> None:
        """Makes the trial's pods match its record."""
        trial, uid = self.engine.trials[index], self._scribe.resource(index).uid
        pods = self._pods.of(uid)
        living = alive(pods)
        self._demand.see(index, living)
        overdue = {p.metadata.uid for p in pods if self._overtime.overdue(p.metadata.uid)}
        closed = (each.number for each in self._scribe.resource(index).attempts if each.ended)
        ended = max(closed, default=-1)
        wanted = match(trial, pods, suspended=self.study.suspend, overdue=overdue, ended=ended)
        self._lingering.see(index, living)
        for pod in wanted.overtime:
            self._overtime.grant(pod.metadata.uid, index, self._cluster.monotonic())
        why = SUSPENDED if self.study.suspend else trial.message
        for pod in wanted.delete:
            await self._pods.end(pod, why)
        self._retry_due.pop(index, None)
        self._demand.withheld.discard(index)
        self._stuck_due.pop(index, None)
        rest = seconds_until_stuck(pods, self._cluster.now())
        if rest is not None:
            self._stuck_due[index] = self._cluster.monotonic() + rest + 1.0
        if (
            wanted.create and self._reader.suspects_template
        ):  # others may have ended alike a moment ago
            self._judge()
        if self._hold is not None and self._hold.keeps_back(index):
            why = f"held, as no pod starts: {self._hold.blocked.reason}"
            for pod in pods:
                if pod.metadata.uid in self._hold.withdrawn:
                    await self._pods.end(pod, why)
        elif wanted.create and not self._closing:
            await self._create(trial, uid)

    async def _create(self, trial: Trial, uid: str) -> None:
        """Makes the pod of the trial's current attempt; if it is refused, tried again later."""
        wait = seconds_to_wait(self._scribe.resource(trial.index).attempts, self._cluster.now())
        if wait > 0:
            self._retry_due[trial.index] = self._cluster.monotonic() + wait
            return
        if not self._demand.permits(self.study):
            self._demand.withheld.add(trial.index)
            return
        self._demand.expect(trial.index)
        try:
            pod = await self._pods.create(trial, uid, self.engine.ladder)
            if is_stray(pod):
                await self._lingering.end_stray(pod, trial.index)
            return
        except (AlreadyExists, Conflict, TooManyRequests):
            raise
        except ApiError as error:  # a webhook's refusal may have any status, also 400 and 500
            self._demand.see(trial.index, ())
            refused = f"pod {self._scribe.pod_name(trial)} was refused: {error.message}"
            self.blocked = Blocked("PodRejected", refused)
        self._looks.due.add(trial.index)
        await self._scribe.show(trial.index)
