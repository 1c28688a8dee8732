"""Keeps a study's trials and pods in step: pods' news into decisions, decisions into pods."""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from hyperband.api import names
from hyperband.api.metrics import NO_REPORTS, Reports
from hyperband.api.status import Blocked
from hyperband.api.study import StudyResource
from hyperband.api.trial import AttemptRecord, TrialResource
from hyperband.backends.kubernetes.accounts import (
    GONE,
    account,
    begun,
    is_closed,
    is_open,
    lost,
)
from hyperband.backends.kubernetes.api_errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    KubernetesError,
    ServerError,
    TooManyRequests,
    UnknownOutcome,
)
from hyperband.backends.kubernetes.archiver import Archiver
from hyperband.backends.kubernetes.attempts import (
    attempt_number,
    failed_early,
    is_ending,
    mark,
    trains,
    waiting_reason,
)
from hyperband.backends.kubernetes.backoff import seconds_to_wait
from hyperband.backends.kubernetes.cleaner import unneeded
from hyperband.backends.kubernetes.cluster import Cluster
from hyperband.backends.kubernetes.demand import Demand
from hyperband.backends.kubernetes.hands import HANDS, Hands, for_each
from hyperband.backends.kubernetes.launcher import Launcher
from hyperband.backends.kubernetes.matching import alive, match
from hyperband.backends.kubernetes.meter import Meter
from hyperband.backends.kubernetes.objects import Pod
from hyperband.backends.kubernetes.overtime import Overtime
from hyperband.backends.kubernetes.probing import Hold, judge, tells
from hyperband.backends.kubernetes.recorder import Recorder
from hyperband.backends.kubernetes.sightings import Sighting, sight
from hyperband.backends.kubernetes.store import ForeignObjectError, TrialStore
from hyperband.backends.kubernetes.study_pods import Found, StudyPods, is_stray, owner_uid
from hyperband.backends.kubernetes.telemetry.context import about
from hyperband.backends.kubernetes.telemetry.figures import StudyFigures
from hyperband.backends.kubernetes.waits import WaitCounter, Waits, is_quiet, seconds_until_stuck
from hyperband.core.decisions import Action, Decision, Finish, Outcome, Reason
from hyperband.core.engine import Engine
from hyperband.core.records import Trial, TrialState

log = logging.getLogger(__name__)

STRAY_SECONDS = 2.0  # until a pod that lost its labels is looked for again
STARTING_SECONDS = 10.0  # until pods are looked at again of which none has started to train
BREATH = 50  # trials looked at before others on the event loop have a turn
LAUNCH_SECONDS = 1.0  # spent on launching before the study's status has a turn

SUSPENDED = "the study is suspended"  # why a pod is ended

_QUIET = {Action.RUN}  # needs no event: the pod has its own
_WARNINGS = {Reason.DISRUPTED, Reason.ATTEMPT_FAILED, Reason.NO_FINAL_REPORT}
_WARNINGS |= {Reason.RETRIES_EXHAUSTED, Reason.DIVERGED}


class TrialKeeper:
    """The trials of one study, their pods, and what is still to be looked at.

    A trial stays in `_dirty` until all that its pods and its record ask for has been done.

    Attributes:
        blocked: why something cannot be made at present, if so.
        meter: what the study has spent; its task keeps up what it cannot know.
    """

    def __init__(
        self,
        cluster: Cluster,
        study: StudyResource,
        store: TrialStore,
        engine: Engine,
        recorder: Recorder,
        figures: StudyFigures,
        gone: dict[int, list[Pod]],
        orphaned: set[str],
        wake: Callable[[], None],
    ) -> None:
        self.study, self.engine = study, engine
        self.blocked: Blocked | None = None
        self._closing = False
        self._heard: set[str] = set()  # names of metrics that were reported
        self._missed: set[str] = set()  # those of targets that were not, and of which was warned
        self._last_hold: Hold | None = None  # why no trial had worked, when that was last asked
        self._audit = False  # whether to ask if others have written trials
        self._in_doubt = True  # whether attempts have ended that say something about the template
        ends = (attempt for each in store.resources.values() for attempt in each.attempts)
        self._failed_once = any(map(tells, ends))  # whether any has ever
        self._cluster, self._store, self._recorder = cluster, store, recorder
        self._figures = figures
        self._arrived: dict[int, float] = {}  # by trial: since when news of it wait for a look
        self._pods = StudyPods(cluster, study)
        self._launcher = Launcher(cluster.workers, study.uid, wake)
        self._archiver = Archiver(cluster, store)
        self._gone = gone  # by trial: deleted pods whose last words are still to be read
        self._orphaned = orphaned  # uids of trial objects that somebody deleted
        self._dirty: set[int] = set(store.resources)
        self._news: set[int] = set()  # trials with news since `settle` began
        self._looking: set[int] = set()  # trials that are looked at while others are launched
        self._looks = 0
        self._lingering: dict[int, int] = {}  # living pods of trials that hold no slot
        self.meter = Meter(cluster, store, engine)
        self._demand = Demand()
        self._wrote = False  # whether a launch has been written: more may be under way at once
        self._waiting: set[int] = set()  # trials with a pod of which there may be something to say
        for index in store.resources:
            self._count(index)
        # Held from a decision that counts what others have reached until its record is written.
        self._order = asyncio.Lock()
        # Why it is not known whether the last one is: no number may be given out after it.
        self._unsure: BaseException | None = None
        self._more = False  # whether the last pass left free slots for the next one
        self._overtime = Overtime()
        self._retry_due: dict[int, float] = {}  # by trial: when its next attempt may start
        self._stuck_due: dict[int, float] = {}  # by trial: when a pod of it should be gone
        self._stray_due: float | None = None
        self._hold: Hold | None = None
        self._heeded: Hold | None = None  # the one with which all trials were last looked at

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

    async def take_over(self, *, all_: bool) -> None:
        """Makes sure that no write which was on its way before brings a value later.

        It would bring one that a pod has reported, or one of a pod that is no more: of a trial
        with which there is something to do.

        Args:
            all_: whether that may be any trial, as news of pods may not have come here yet.

        Raises:
            Conflict: something has arrived since the records were read.
            UnknownOutcome: one of them may have been written, or not.
        """
        doubtful = [t.index for t in self.engine.active if all_ or self._has_news(t)]
        await self._store.take_over(doubtful)

    def _has_news(self, trial: Trial) -> bool:
        """Whether the trial's pod tells, or told, something that its record does not say."""
        pods = self._pods.of(self._resource(trial.index).uid)
        pod = next((pod for pod in pods if attempt_number(pod) == trial.attempt), None)
        if pod is None or trial.index in self._gone:
            return True
        seen = self._sight(pod)
        if seen.ended or failed_early(pod) or is_ending(pod):
            return True
        return self.engine.observe(trial.index, seen.reports.reports) is not None

    # -- what has happened ------------------------------------------------------------------

    def notice(self, index: int) -> None:
        """Something about this trial's pods has changed."""
        self._dirty.add(index)
        self._news.add(index)
        self._arrived.setdefault(index, self._cluster.monotonic())

    def notice_all(self) -> None:
        """All that may still change is to be looked at again."""
        self._audit = True
        self._dirty.update(trial.index for trial in self.engine.active)
        self._dirty.update(self._lingering, self._gone)

    @property
    def backlog(self) -> int:
        """How many trials are to be looked at."""
        return len(self._dirty)

    @property
    def uids(self) -> Collection[str]:
        """Of the study's trial objects, but for those that are archived."""
        return self._store.uids

    def change(self, study: StudyResource) -> None:
        """Takes in a changed spec."""
        self.study = study
        self._store.study = study
        self._pods = StudyPods(self._cluster, study)
        begin = self.engine.all_started_below
        self.engine = Engine(study.study, self.engine.trials.values())
        self.engine.start_missing(begin)
        self.meter.change(self.engine)
        self.notice_all()

    # -- what is done about it ----------------------------------------------------------------

    async def settle(self) -> None:
        """Looks at every trial that something has happened to.

        A trial's own trouble holds up no other trial: it is kept in `blocked`, and the trial is
        looked at again.

        Raises:
            KubernetesError: trouble that all trials would have.
        """
        self.blocked = None
        if self._audit:
            self._audit = False
            self._check_versions()
        if self._demand.withheld and self._demand.permits(self.study):
            self._dirty |= self._demand.withheld
        self._closing = self.engine.closing(self.meter.spent()) is not None
        self._news.clear()
        now = self._cluster.monotonic()
        self._dirty |= self._overtime.fire(now)
        for due in (self._retry_due, self._stuck_due):
            self._dirty |= {index for index, moment in due.items() if moment <= now}
        if self._stray_due is not None and self._stray_due <= now:
            self._stray_due = None
            self.notice_all()
        await self._end_orphans()
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
        self._hold, self._in_doubt = None, False
        works = self.engine.states[TrialState.RUNNING] > 0 and not self._failed_once
        if not (works or self.study.suspend or self.engine.best is not None):
            resources, now = self._store.resources, self._cluster.now()
            self._hold = judge(resources, self._pods.of, self._reports, now)
            self._last_hold = self._hold or self._last_hold

    def _reports(self, pod: Pod) -> bool:
        return bool(self._sight(pod).reports.reports)

    async def _look_at_all(self) -> None:
        for index in self._dirty:  # all of them, before the first new pod is made
            self._count(index)
        await for_each(sorted(self._dirty), self._look_patiently, HANDS)

    async def _look_patiently(self, index: int) -> None:
        """Does all that there is to do about a trial; what is refused is told of, and waits."""
        try:
            await self._look(index)
        except (Conflict, ServerError, TooManyRequests):
            raise
        except ApiError as error:
            log.warning("%s/%s-%d: %s", self.study.namespace, self.study.name, index, error)
            self.blocked = self.blocked or Blocked("RequestRefused", str(error))
        self._looks += 1
        if self._looks % BREATH == 0:
            await asyncio.sleep(0)

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
        """Fills the free slots, unless the study closes or is suspended.

        While too many pods wait for a node, slots stay free: what is to be tried next is decided
        when it can be. News of other trials are looked at meanwhile, before each decision that
        takes a while: what is to be stopped holds a slot.

        Args:
            marked: whether the study's status says up to which index all trials have been started.
                Only then several may be started at once: one that is lost is told by it from one
                that was deleted.

        Raises:
            KubernetesError, ForeignObjectError: trouble that holds all up.
        """
        self._more = False
        spent = self.meter.spent()
        held = self._hold is not None and self._hold.probes is not None
        until = self._cluster.monotonic() + LAUNCH_SECONDS
        async with Hands(HANDS) as hands:
            while not self.study.suspend and not held and self.engine.closing(spent) is None:
                await self._hand_out_news(hands)
                if not self.engine.searcher.quick:  # its thread has the engine for itself
                    await hands.finish()
                if hands.failed or not self._asks_for_more():
                    return
                decision = await self._launcher.decide(self.engine, self._slots_lingering())
                if decision is None:
                    return
                if decision.trial.index in self._looking:  # two would write its record
                    await hands.finish()
                    continue
                if not await self._carry_out(decision, hands, marked):
                    return
                if self._cluster.monotonic() >= until:
                    self._more = True
                    return

    async def _carry_out(self, decision: Decision, hands: Hands, marked: bool) -> bool:
        """Begins to write what is launched and to make its pod; False if that cannot be."""
        index = decision.trial.index
        starts = decision.action is Action.START
        if self._wrote and (marked or not starts):
            self.engine.presume(decision.trial)
            self._demand.expect(index)
            await self._begin(hands, index, partial(self._write_and_look, decision))
            return True
        try:
            await self._commit(decision)
        except ForeignObjectError as error:
            self.blocked = Blocked("NameTaken", str(error))
            return False
        self._wrote = True
        self._demand.expect(index)
        await self._begin(hands, index, partial(self._look_patiently, index))
        return True

    async def _write_and_look(self, decision: Decision) -> None:
        written = await self._commit(decision)
        if written != decision.trial:  # an earlier operator's, and others were decided after it
            raise Conflict(409, message=f"{self._trial_name(written.index)} was there already")
        await self._look_patiently(written.index)

    async def _hand_out_news(self, hands: Hands) -> None:
        """Begins to look at what has happened since the pass began."""
        ready = self._news - self._looking
        self._news -= ready
        for index in sorted(ready):
            if hands.failed:
                return
            await self._begin(hands, index, partial(self._look_patiently, index))
            self._more = True  # it may free a slot that nothing else tells of

    async def _begin(
        self, hands: Hands, index: int, work: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """Begins what is done about one trial, once a hand is free."""

        async def do() -> None:
            try:
                await work()
            finally:
                self._looking.discard(index)

        self._looking.add(index)
        await hands.begin(do())

    def _asks_for_more(self) -> bool:
        """Whether there is a free slot, and the cluster is to see another pod."""
        taken = len(self.engine.indices_of_active) + self._slots_lingering()
        free = taken < self.study.study.parallelism
        return free and not self._demand.withheld and self._demand.permits(self.study)

    async def conclude(self) -> Finish | None:
        """Ends what is not to go on, and the study once it is over and no pod of it runs."""
        if self.study.suspend and not self.study.study.stop:
            return None
        spent = self.meter.spent()
        finish = self.engine.finish(spent)  # what the decision to end it was made on
        given_up = self._hold.finish if finish is None and self._hold is not None else None

        async def end(decision: Decision) -> None:
            await self._commit(decision)
            await self._look(decision.trial.index)

        await for_each(self.engine.wind_down(spent, given_up), end, HANDS)
        return (
            None if self._dirty or self._slots_lingering() else self._why_over(finish or given_up)
        )

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
        return unneeded(trials, best, finished=finished) - self._lingering.keys()

    async def archive(self) -> bool:
        """Archives some of the trials that are done with; True if there may be more to do."""
        return await self._archiver.work(
            self._dirty | self._gone.keys() | self._lingering.keys() | self._retry_due.keys()
        )

    @property
    def unarchived(self) -> Blocked | None:
        """Why trials cannot be archived, if so; it holds nothing else up."""
        return self._archiver.blocked

    def close(self) -> None:
        """Nothing more will be launched."""
        self._launcher.close()

    def due(self) -> float | None:
        """Seconds until something is to be looked at without an event, if anything is."""
        if self._more:
            return 0.0
        known = (
            *(self._overtime.next, self._stray_due),
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
            trial, resource = self.engine.trials[index], self._resource(index)
            if index in self._retry_due:
                name, last = self._pod_name(trial), resource.attempts[-1].reason
                counter.add("BackOff", f"{name}: attempts keep ending early, the last one: {last}")
            if index in self._demand.withheld:
                counter.add("Withheld", f"{self._pod_name(trial)}: until others have a node")
            if trial.state.active or index in self._lingering:
                counter.look_at(self._pods.of(resource.uid), now)
        return counter.found

    # -- one trial: what its pods tell --------------------------------------------------------

    async def _look(self, index: int) -> None:
        """Does all that there is to do about a trial; what fails is to be done again."""
        self._dirty.discard(index)  # before the work, so that news meanwhile is not lost
        try:
            with about(self.study.namespace, self.study.name, self._trial_name(index)):
                await self._do_all(index)
        except ForeignObjectError as error:
            self.blocked = Blocked("NameTaken", str(error))
            self._dirty.add(index)
        except BaseException:
            self._dirty.add(index)
            raise

    async def _do_all(self, index: int) -> None:
        if index in self._store.resources:
            await self._settle(index)
        else:  # a trial that somebody deleted, or that is archived
            self._gone.pop(index, None)
        self._count(index)
        if index not in self._dirty:
            self._arrived.pop(index, None)

    async def _settle(self, index: int) -> None:
        uid = self._resource(index).uid
        gone = self._gone.get(index, [])
        for pod in sorted(gone, key=_age):
            if owner_uid(pod) == uid and await self._search(pod, index):
                return
            gone.remove(pod)  # only now: a failed write above must find it again
        if not gone:  # another one may have gone meanwhile
            self._gone.pop(index, None)
        pods = sorted(self._pods.of(uid), key=_age)
        for pod in pods:
            await self._take(index, self._sight(pod))
        number = self._attempt_that_ran(index)
        unseen = number is not None and all(attempt_number(pod) != number for pod in pods)
        if number is not None and unseen and await self._search_attempt(index, number):
            return
        await self._match(index)

    def _attempt_that_ran(self, index: int) -> int | None:
        """The attempt whose pod was seen running and not to end, if there is one."""
        trial, known = self.engine.trials[index], self._resource(index).open_attempt
        if known is not None:
            return known.number
        return trial.attempt if trial.state is TrialState.RUNNING else None

    async def _search_attempt(self, index: int, number: int) -> bool:
        """Takes in what became of a pod that nobody saw go; True if its end is to be waited for."""
        name = names.pod_name(self.study.name, index, number)
        found = await self._pods.search(name, self._resource(index).uid, None)
        if found.last is None and found.stray is None and not found.in_sight:
            await self._lose(index, number)
            return False
        return await self._take_found(found, index)

    def _sight(self, pod: Pod, gone: bool = False) -> Sighting:
        return sight(pod, self.study.study, gone)

    async def _take(self, index: int, seen: Sighting) -> None:
        """What one pod tells about its trial: values, that it runs, that it has ended."""
        pod, reports = seen.pod, seen.reports
        current = attempt_number(pod) == self.engine.trials[index].attempt
        if current:
            if reports.reports:
                self.meter.note(index, reports.reports[-1].resource)
                self._look_for_targets(reports)
            # With the first that is written of it, whatever that is, or its bill may be lost.
            attempt = begun(pod)
            if self.engine.observe(index, reports.reports) is not None:
                await self._record(index, reports, attempt)
            if trains(pod) and (decision := self.engine.seen_running(index)):
                await self._commit(decision, reports, attempt)
            elif waiting_reason(pod, self._cluster.now()) is not None:
                await self._show(index, attempt)
        if seen.ended:
            await self._take_end(index, seen, current)
        elif current and failed_early(pod) and (decision := self._end_of(index, seen)):
            await self._commit(decision, reports)
        else:
            await self._take_report_error(index, seen)

    async def _record(self, index: int, reports: Reports, attempt: AttemptRecord) -> None:
        """Writes what reports lead to, judged by all that is recorded until then.

        One trial after the other: a value's number, and its rank, count those before it.
        """
        async with self._order:
            if self._unsure is not None:
                raise self._unsure
            decision = self.engine.observe(index, reports.reports)
            if decision is None:
                return
            try:
                await self._commit(decision, reports, attempt)
            except BaseException as error:
                refused = isinstance(error, KubernetesError)
                if not refused or isinstance(error, Conflict | UnknownOutcome):
                    self._unsure = error
                raise

    def _look_for_targets(self, reports: Reports) -> None:
        """Warns of targets whose metric nobody reports: it may be misspelled."""
        study = self.study.study
        self._heard.add(study.objective.metric)
        self._heard.update(name for report in reports.reports for name in report.metrics)
        missing = {target.metric for target in study.targets} - self._heard
        if missing and self.engine.best is not None and not missing <= self._missed:
            self._missed |= missing
            self._recorder.note(
                "TargetNotReported",
                f"no report has held {', '.join(sorted(missing))} (spec.earlyStopping), only "
                f"{', '.join(sorted(self._heard))}",
                warning=True,
            )

    async def _take_end(self, index: int, seen: Sighting, current: bool) -> None:
        """The end of a pod: what it leads to, and what it has cost, in one write."""
        self._overtime.forget(seen.pod.metadata.uid)
        now = self._cluster.now()
        attempt = account(seen, self._resource(index), self.study.gpu_resources, now)
        decision = self._end_of(index, seen) if current else None
        if attempt is not None and tells(attempt):
            self._in_doubt = self._failed_once = True
        if decision is not None:
            await self._commit(decision, seen.reports, attempt)
        elif attempt is not None:
            await self._store.record_progress(index, seen.reports, attempt)

    async def _take_report_error(self, index: int, seen: Sighting) -> None:
        """Shows what is wrong with an annotation, or that nothing is any more."""
        reports = seen.reports
        if reports is NO_REPORTS or reports.error == self._resource(index).report_error:
            return
        if reports.error is not None:
            text = f"{seen.pod.metadata.name}: {reports.error}"
            self._recorder.note("InvalidReport", text, warning=True)
        await self._store.record_progress(index, reports)

    def _end_of(self, index: int, seen: Sighting) -> Decision | None:
        """What the end of the current attempt leads to."""
        ended = mark(seen.pod)  # by a suspension that is over perhaps, or by a hold
        if self.study.suspend or ended is not None:
            return self.engine.suspended(index, ended.why if ended else SUSPENDED)
        how = seen.outcome()
        return self.engine.attempt_ended(index, how.outcome, how.detail)

    async def _search(self, pod: Pod, index: int) -> bool:
        """Takes in what became of a pod that is gone; True if the trial has to wait for its end."""
        uid = self._resource(index).uid
        found = await self._pods.search(pod.metadata.name, uid, pod)
        return await self._take_found(found, index)

    async def _take_found(self, found: Found, index: int) -> bool:
        if found.stray is not None:
            await self._end_stray(found.stray, index)
            return True
        if found.last is not None:
            await self._take(index, self._sight(found.last, gone=True))
        return False

    async def _lose(self, index: int, number: int) -> None:
        """That attempt's pod is gone, and nobody saw it go."""
        attempt = lost(self._resource(index), self.study.gpus, self._cluster.now())
        decision = None
        if number == self.engine.trials[index].attempt:
            if self.study.suspend:
                decision = self.engine.suspended(index, SUSPENDED)
            else:
                decision = self.engine.attempt_ended(index, Outcome.DISRUPTED, GONE)
        if decision is not None:
            await self._commit(decision, attempt=attempt)
        elif attempt is not None:
            await self._store.record_progress(index, attempt=attempt)

    async def _end_stray(self, pod: Pod, index: int) -> None:
        """Ends a living pod that has lost its labels; until it is gone it holds its slot."""
        name = pod.metadata.name
        self._recorder.note("LabelsRemoved", f"pod {name} has lost its labels", warning=True)
        await self._pods.delete(pod, "it has lost its labels")
        self._stray_due = self._cluster.monotonic() + STRAY_SECONDS
        if not self.engine.trials[index].state.active:
            self._lingering[index] = 1

    async def _end_orphans(self) -> None:
        """Ends the pods of trial objects that are gone, before the garbage collector does."""
        for uid in list(self._orphaned):
            living = alive(self._pods.of(uid))
            if not living:
                self._orphaned.discard(uid)
            for pod in living:
                await self._pods.delete(pod, "its trial was deleted")

    def _slots_lingering(self) -> int:
        """Slots held by living pods of trials that are decided, or gone."""
        orphans = sum(len(alive(self._pods.of(uid))) for uid in self._orphaned)
        return sum(self._lingering.values()) + orphans

    # -- one trial: what is done to its pods ----------------------------------------------------

    async def _match(self, index: int) -> None:
        """Makes the trial's pods match its record."""
        trial, uid = self.engine.trials[index], self._resource(index).uid
        pods = self._pods.of(uid)
        living = alive(pods)
        self._demand.see(index, living)
        overdue = {p.metadata.uid for p in pods if self._overtime.overdue(p.metadata.uid)}
        closed = (each.number for each in self._resource(index).attempts if each.ended)
        ended = max(closed, default=-1)
        wanted = match(trial, pods, suspended=self.study.suspend, overdue=overdue, ended=ended)
        if living and not trial.state.active:
            self._lingering[index] = len(living)
        else:
            self._lingering.pop(index, None)
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
        if wanted.create and self._in_doubt:  # others may have ended alike a moment ago
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
        wait = seconds_to_wait(self._resource(trial.index).attempts, self._cluster.now())
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
                await self._end_stray(pod, trial.index)
            return
        except (AlreadyExists, Conflict, TooManyRequests):
            raise
        except ApiError as error:  # a webhook's refusal may have any status, also 400 and 500
            self._demand.see(trial.index, ())
            refused = f"pod {self._pod_name(trial)} was refused: {error.message}"
            self.blocked = Blocked("PodRejected", refused)
        self._dirty.add(trial.index)
        await self._show(trial.index)

    async def _show(self, index: int, attempt: AttemptRecord | None = None) -> None:
        """Writes the record of a trial that has to wait; without waiting, running is next.

        A pod that its node has accepted holds its devices, also while its image is pulled.
        """
        known = self._resource(index)
        if attempt is None or attempt.start_time is None or is_open(known, attempt.number):
            attempt = None
        if known.transition_time is None or attempt is not None:
            await self._store.record_progress(index, attempt=attempt)

    async def _commit(
        self,
        decision: Decision,
        reports: Reports = NO_REPORTS,
        attempt: AttemptRecord | None = None,
    ) -> Trial:
        """Writes a decision; what it asks for is done by a look at the trial.

        Returns:
            The record as written.
        """
        trial = await self._store.commit(self.engine, decision, reports, attempt)
        self._figures.decided(decision)
        if (since := self._arrived.get(trial.index)) is not None:
            latency = self._cluster.monotonic() - since
            self._cluster.metrics.decision_latency.observe(latency)
        name, reason = self._trial_name(trial.index), decision.reason
        with about(self.study.namespace, self.study.name, name):
            log.info(
                "%s/%s: %s (%s): %s",
                *(self.study.namespace, name),
                *(decision.action.value, reason.value, decision.message),
            )
        if decision.action not in _QUIET:
            message = f"{name}: {decision.message}"
            self._recorder.note(reason.value, message, warning=reason in _WARNINGS)
        return trial

    def _resource(self, index: int) -> TrialResource:
        return self._store.resources[index]

    def _trial_name(self, index: int) -> str:
        return names.trial_name(self.study.name, index)

    def _pod_name(self, trial: Trial) -> str:
        return names.pod_name(self.study.name, trial.index, trial.attempt)


def _age(pod: Pod) -> int:
    number = attempt_number(pod)
    return -1 if number is None else number
