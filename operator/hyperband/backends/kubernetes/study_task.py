"""One study's task: the only writer of its trials, its pods and its status.

Decide, write, act: the engine decides, the store writes the decision into the trial's record, and
only then are pods made to match the records. Events only wake the task; what it does depends on
what it finds. Killed anywhere, the next one finds the same and goes on.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from hyperband.api.archive import UnreadableArchiveError
from hyperband.api.status import Blocked, budget_reached, elapsed_seconds, is_finished
from hyperband.api.study import StudyResource, parse_study
from hyperband.api.trial import TrialResource
from hyperband.backends.kubernetes import admission
from hyperband.backends.kubernetes.afterlife import Afterlife
from hyperband.backends.kubernetes.api_errors import (
    ApiError,
    Conflict,
    KubernetesError,
    UnknownOutcome,
)
from hyperband.backends.kubernetes.archives import ArchiveReader, trial_pages
from hyperband.backends.kubernetes.cleaner import Cleaner
from hyperband.backends.kubernetes.cluster import Cluster
from hyperband.backends.kubernetes.earlier import EarlierStudies
from hyperband.backends.kubernetes.objects import Pod
from hyperband.backends.kubernetes.publisher import ForeignStatusError, Publisher, soonest
from hyperband.backends.kubernetes.recorder import Recorder, Subject
from hyperband.backends.kubernetes.scribe import Scribe
from hyperband.backends.kubernetes.store import (
    ForeignObjectError,
    TrialStore,
    UnreadableTrialError,
)
from hyperband.backends.kubernetes.study_pods import TrialPods, gone_trials
from hyperband.backends.kubernetes.trial_keeper import TrialKeeper
from hyperband.core.budgets import exceeded
from hyperband.core.decisions import Finish
from hyperband.core.engine import Engine
from hyperband.core.errors import InvalidStudyError

log = logging.getLogger(__name__)

RESYNC_SECONDS = 60.0  # everything is looked at again, whether an event came or not
CONFLICT_SECONDS = 0.1
RETRY_SECONDS = 5.0  # after an error of the API server, or while something blocks the study
# What people have to mend, and the reason that names it in the status.
_FOR_PEOPLE: dict[type[Exception], str] = {
    UnreadableTrialError: "TrialUnreadable",
    UnreadableArchiveError: "ArchiveUnreadable",
    ForeignObjectError: "NameTaken",
}


class StudyTask:
    """Runs one study, from its body as last seen to its end."""

    def __init__(self, cluster: Cluster, body: Mapping[str, Any]) -> None:
        metadata = body["metadata"]
        self.uid: str = metadata["uid"]
        self.name: str = metadata["name"]
        self.namespace: str = metadata["namespace"]
        self._cluster = cluster
        self._body: dict[str, Any] = dict(body)
        self._figures = cluster.metrics.studies.begin(self.namespace, self.name, self._body)
        self._keeper: TrialKeeper | None = None
        # By trial: deleted pods whose last words are still to be read.
        self._gone: dict[int, list[Pod]] = {}
        self._orphaned: set[str] = set()  # uids of trial objects that somebody deleted
        self._vanished: set[str] = set()  # uids of what was deleted while it was read
        self._archives = self._new_reader()
        self._admitted = False
        self._in_doubt = True  # whether writes may be on their way that nobody waits for
        self._sweep = True  # whether it is time to look for pods that were kept for long enough
        self._subject = Subject(self.namespace, self.name, self.uid)
        self._recorder = Recorder(cluster.client, self._subject, cluster.now, cluster.monotonic)
        self._publisher = Publisher(cluster, self._recorder)
        self._earlier = EarlierStudies(cluster.client, self._recorder)
        self._cleaner = Cleaner(cluster, self._recorder)
        self._afterlife: Afterlife | None = None  # once the study has finished
        self._wake = asyncio.Event()
        self._wake.set()

    # -- what others tell it ------------------------------------------------------------------

    def is_newer_than(self, body: Mapping[str, Any]) -> bool:
        """Whether more than that is known."""
        return _revision(self._body) > _revision(body)

    def update(self, body: Mapping[str, Any]) -> None:
        """The study's object has changed."""
        self._take_in(body)
        self._wake.set()

    def _take_in(self, body: Mapping[str, Any]) -> None:
        """Keeps the newest version: events may be older than our own write, or come during it."""
        if _revision(body) >= _revision(self._body):
            self._body = dict(body)
            self._figures.take_in(self._body)

    def pod_changed(self, index: int, gone: Pod | None) -> None:
        """A pod of this trial has changed, or is gone and was this when last seen."""
        if self._finished:
            if self._afterlife is not None:
                self._afterlife.notice(index)
            self._wake.set()
            return
        if gone is not None:
            self._gone.setdefault(index, []).append(gone)
        if self._keeper is not None:
            self._keeper.notice(index)
        self._wake.set()

    def own_pod_changed(self) -> None:
        """A pod that belongs to the study itself, and to no trial, has changed."""
        self._sweep = True
        self._wake.set()

    def trial_gone(self, uid: str) -> None:
        """Somebody has deleted a trial object: its pods hold slots until they have ended.

        It may not be known yet: several are deleted at once, or one whose creation has no answer.
        """
        if not self._finished:
            self._orphaned.add(uid)
        if self._keeper is None:
            self._vanished.add(uid)
        elif uid in self._keeper.uids:
            self._forget()
        self._wake.set()

    def archive_gone(self, uid: str) -> None:
        """Somebody has deleted an archive."""
        if self._keeper is None:
            self._vanished.add(uid)
        elif uid in self._archives:
            self._forget()
        self._wake.set()

    def other_study_changed(self, name: str) -> None:
        """Another study of the namespace is there, is finished or is gone."""
        warm_start = self._body["spec"].get("warmStart") or {}
        named = name in warm_start.get("fromStudies", ())
        if self._keeper is None and (named or self._earlier.depends_on(name)):
            self._wake.set()

    @property
    def backlog(self) -> tuple[bool, int]:
        """Whether it has been woken and is not done, and the trials that are to be looked at."""
        return self._wake.is_set(), 0 if self._keeper is None else self._keeper.backlog

    # -- its life -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Works until cancelled; whatever goes wrong is logged and tried again."""
        try:
            await self._work()
        finally:
            if self._keeper is not None:
                self._keeper.close()

    async def _work(self) -> None:
        wait: float | None = 0.0
        resync = self._cluster.monotonic() + RESYNC_SECONDS
        while True:
            rest = max(0.0, resync - self._cluster.monotonic())
            with suppress(TimeoutError):
                async with asyncio.timeout(rest if wait is None else min(wait, rest)):
                    await self._wake.wait()
            self._wake.clear()
            if self._cluster.monotonic() >= resync:
                resync = self._cluster.monotonic() + RESYNC_SECONDS
                self._resync()
            wait = await self.try_step()

    def _resync(self) -> None:
        self._sweep = True
        if self._keeper is not None:
            self._keeper.notice_all()

    async def try_step(self) -> float | None:
        """A step whose errors are logged; after them too it says when to look again."""
        try:
            return await self.step()
        except Conflict as error:
            log.info("%s: reading again: %s", self, error)
            self._forget()
            return CONFLICT_SECONDS
        except ForeignStatusError as error:
            log.info("%s: reading again: %s", self, error)
            self._take_in(error.found)
            self._forget()
            return CONFLICT_SECONDS
        except UnknownOutcome as error:
            log.warning("%s: reading again: %s", self, error)
            if isinstance(error.__cause__, ApiError):
                await self._complain(Blocked("RequestFailed", str(error)))
            self._forget()
        except KubernetesError as error:
            log.warning("%s: %s", self, error)
            if isinstance(error, ApiError):
                await self._complain(Blocked("RequestRefused", str(error)))
        except tuple(_FOR_PEOPLE) as error:
            log.warning("%s: %s", self, error)
            await self._complain(Blocked(_FOR_PEOPLE[type(error)], str(error)))
        except Exception as error:
            log.exception("%s: unexpected; reading everything again", self)
            self._forget()  # it may be that which cannot be shown
            await self._complain(Blocked("InternalError", f"{type(error).__name__}: {error}"))
        return RETRY_SECONDS

    async def _complain(self, blocked: Blocked) -> None:
        """Shows in the status what holds the study up, if that much works."""
        if self._finished:  # nothing does any more, and its status is to say how it ended
            return
        try:
            await self._publish(self._keeper, blocked)
        except Exception as error:
            log.warning("%s: its status could not be written: %s", self, error)

    async def step(self) -> float | None:
        """Does all that is to be done now. Returns the seconds after which to look again."""
        if self._finished and self._keeper is None:
            return await self._outlive()
        try:
            study, waiting = await self._read()
            if waiting is not None:
                return await self._wait(study, waiting)
            keeper = self._keeper = await self._kept(study)
            if self._generation != study.generation:  # changed while its trials were read
                return 0.0
            blocked = None
            if not self._admitted and not keeper.engine.trials:
                blocked = await admission.check(self._cluster, study, keeper.engine)
                self._admitted = blocked is None
        except InvalidStudyError as error:
            if self._has_begun:
                return await self._go_on_as_before(error)
            finish = Finish(False, "InvalidSpec", str(error))
            blocked = Blocked("InvalidSpec", str(error))
            await self._publish(self._keeper, blocked, finish)
            self._forget()
            return None if self._finished else 0.0
        return await self._run_study(keeper, blocked)

    @property
    def _has_begun(self) -> bool:
        """Whether there are trials: a change of the spec that makes no sense is not to end them."""
        if self._keeper is not None:
            return bool(self._keeper.engine.trials)
        counts = (self._body.get("status") or {}).get("trials") or {}
        return bool(counts.get("total"))

    async def _go_on_as_before(self, error: InvalidStudyError) -> float | None:
        """What runs goes on by the spec that was read last; nothing new starts."""
        blocked = Blocked("InvalidSpec", f"{error}; until then nothing new starts")
        if self._keeper is not None:
            return await self._run_study(self._keeper, blocked)
        return await self._publish(None, blocked)

    async def _read(self) -> tuple[StudyResource, Blocked | None]:
        """The study as it is now, and the earlier studies that it has to wait for, if any.

        Raises:
            InvalidStudyError: it cannot be run as written.
        """
        keeper = self._keeper
        if keeper is not None and keeper.study.generation == self._generation:
            return keeper.study, None
        study = parse_study(self._body)
        if keeper is not None:
            return study, None
        return study, await self._earlier.read(study, self._body.get("status") or {})

    async def _kept(self, study: StudyResource) -> TrialKeeper:
        """Its trials, read if they were not, and told of what has changed in the study."""
        keeper = self._keeper
        if keeper is not None and any(uid in keeper.uids for uid in self._orphaned):
            self._forget()  # one was deleted before its creation was answered
            keeper = None
        if keeper is None:
            return await self._load(study)
        if study is not keeper.study:
            keeper.change(self._earlier.added_to(study))
        return keeper

    async def _run_study(self, keeper: TrialKeeper, blocked: Blocked | None) -> float | None:
        """One pass. If the spec changes meanwhile, nothing is published that was decided before."""
        generation = self._generation
        if not self._start_is_shown():
            due = await self._publish(keeper, None)
            if not self._start_is_shown():
                return due
        keeper.meter.elapsed = elapsed_seconds(self._body.get("status") or {}, self._cluster.now())
        keeper.meter.reached = budget_reached(self._body)
        await keeper.settle()
        if self._generation != generation:  # changed meanwhile: decide again
            return 0.0
        if blocked is None:
            await self._launch(keeper)
        spent = keeper.meter.spent()  # also by what has come while it launched
        if (bound := exceeded(keeper.study.study, spent)) and not spent.reached:
            due = await self._publish(keeper, blocked, budget_reached=bound)
            if not budget_reached(self._body):
                return due
            keeper.meter.reached = bound
            spent = keeper.meter.spent()
        finish = await keeper.conclude(spent)
        more = finish is None and await keeper.archive()
        if self._sweep:
            await self._clear_away(keeper)
        if self._generation != generation:
            return 0.0
        blocked = blocked or keeper.blocked or keeper.unarchived
        publishing = self._publish(keeper, blocked, finish)
        due = await (keeper.attend(publishing) if finish is None else publishing)
        if finish is not None and self._finished:
            log.info("%s: %s: %s", self, finish.reason, finish.message)
            self._afterlife = self._begin_afterlife(keeper.unneeded(finished=True))
            return 0.0
        at_once = 0.0 if more or self._sweep else None
        return soonest(at_once, due, RETRY_SECONDS if blocked else None, keeper.due())

    async def _launch(self, keeper: TrialKeeper) -> None:
        try:
            await keeper.launch(marked=_begin_of_missing(self._body) is not None)
        finally:
            if keeper.engine.presumes:  # what was not written
                self._forget()

    async def _clear_away(self, keeper: TrialKeeper) -> None:
        """Has checkpoints removed that nobody can want, and deletes pods that are old."""
        self._sweep = False
        await self._cleaner.step(keeper.study, keeper.unneeded(finished=False), all_=False)
        more = [await keeper.discard_pods(), await self._cleaner.discard(keeper.study)]
        self._sweep = any(more) or self._sweep

    def _begin_afterlife(self, unneeded: set[int] | None = None) -> Afterlife:
        """From now on nothing is kept of what the study's trials were."""
        self._forget()
        self._archives, self._sweep = self._new_reader(), True
        self._gone.clear()
        self._orphaned.clear()
        shared = (self._publisher, self._cleaner, self._vanished)
        return Afterlife(self._cluster, self._subject, *shared, unneeded)

    async def _outlive(self) -> float | None:
        """Does what is to be done after the study's end."""
        if self._afterlife is None:
            self._afterlife = self._begin_afterlife()
        sweep, self._sweep = self._sweep, False
        body, due = await self._afterlife.step(self._body, sweep=sweep)
        self._take_in(body)
        return soonest(due, await self._recorder.flush())

    async def _publish(
        self,
        keeper: TrialKeeper | None,
        blocked: Blocked | None,
        finish: Finish | None = None,
        *,
        budget_reached: str = "",
    ) -> float | None:
        known: dict[str, Any] = {}
        if keeper is not None:
            self._figures.spare(keeper.engine.spared)
            known |= {"engine": keeper.engine, "spent": keeper.meter.spent}
            known |= {"waiting": keeper.waiting}
        suspended = keeper.study.suspend if keeper else self._body["spec"].get("suspend", False)
        body, due = await self._publisher.publish(
            self._body,
            **known,
            warm_start=self._earlier.status,
            suspended=suspended,
            blocked=blocked,
            finish=finish,
            budget_reached=budget_reached,
        )
        self._take_in(body)
        return due

    @property
    def _generation(self) -> int:
        generation: int = self._body["metadata"].get("generation", 0)
        return generation

    @property
    def _finished(self) -> bool:
        return is_finished(self._body.get("status") or {})

    async def _wait(self, study: StudyResource, waiting: Blocked) -> float | None:
        """Shows what the study waits for, or what would keep it from starting then."""
        engine = Engine(study.study)
        if study.study.stop:
            due = await self._publish(None, None, engine.finish())
            return None if self._finished else due
        blocked = await admission.check(self._cluster, study, engine)
        due = await self._publish(None, blocked or waiting)
        return soonest(due, RETRY_SECONDS if blocked else None)

    def _start_is_shown(self) -> bool:
        """Whether the status lists the earlier studies, as it must before the first trial."""
        return self._earlier.status is None or "warmStart" in (self._body.get("status") or {})

    async def end_pods(self) -> None:
        """Ends the pods of a deleted study at once; the garbage collector would take minutes.

        Whether the study and its trials make sense does not matter: pods are known by their owners.
        """
        if self._keeper is not None:
            uids = list(self._keeper.uids)
        else:
            uids = await self._trial_uids()
        await TrialPods(self._cluster, self.namespace).delete_all(uids, "the study was deleted")

    async def _load(self, study: StudyResource) -> TrialKeeper:
        study = self._earlier.added_to(study)
        store, engine = await self._read_trials(study)
        if (begin := _begin_of_missing(self._body)) is not None:
            engine.start_missing(begin)
        scribe = Scribe(self._cluster, study, store, engine, self._recorder, self._figures)
        keeper = TrialKeeper(self._cluster, scribe, self._gone, self._orphaned, self._wake.set)
        if self._in_doubt:
            # Of trials that were deleted while no operator worked, nobody has told.
            self._orphaned |= gone_trials(self._cluster, self.namespace, self.name, store.uids)
            await keeper.take_over()
            self._in_doubt = False
        return keeper

    async def _read_trials(self, study: StudyResource) -> tuple[TrialStore, Engine]:
        self._vanished.clear()
        told = (self._figures.attempt_ended, self._doubt)
        store = TrialStore(self._cluster.client, study, self._archives, self._cluster.now, *told)
        engine = await store.load()
        if store.has_any(self._vanished):
            raise Conflict(409, message="trials were deleted while they were read")
        return store, engine

    def _doubt(self) -> None:
        self._in_doubt = True  # also if another error hides this one, or the keeper is forgotten

    async def _trial_uids(self) -> list[str]:
        place = (self._cluster.client, self.namespace, self.name, self.uid)
        return [trial.metadata.uid async for trials in trial_pages(*place) for trial in trials]

    def _new_reader(self) -> ArchiveReader[TrialResource]:
        return ArchiveReader(self._cluster.client, self.namespace, self.name)

    def _forget(self) -> None:
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def _revision(body: Mapping[str, Any]) -> int:
    return int(body["metadata"].get("resourceVersion") or 0)


def _begin_of_missing(body: Mapping[str, Any]) -> int | None:
    """The index below which the study's status says that no trial is missing but deleted ones."""
    begin: int | None = (body.get("status") or {}).get("allStartedBelow")
    return None if begin is None else max(0, begin)  # it may have been edited
