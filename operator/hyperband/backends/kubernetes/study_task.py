"""One study's task: the only writer of its trials, its pods and its status.

Decide, write, act: the engine decides, the store writes the decision into the trial's record, and
only then are pods made to match the records. Events only wake the task; what it does depends on
what it finds. Killed anywhere, the next one finds the same and goes on.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from hyperband.api import names
from hyperband.api.archive import UnreadableArchiveError
from hyperband.api.durations import parse_duration
from hyperband.api.status import Blocked, budget_reached, elapsed_seconds, is_finished
from hyperband.api.study import StudyResource, parse_study
from hyperband.api.trial import TrialResource
from hyperband.backends.kubernetes import admission
from hyperband.backends.kubernetes.api_errors import (
    ApiError,
    Conflict,
    KubernetesError,
    NotFound,
    UnknownOutcome,
)
from hyperband.backends.kubernetes.archiver import Archiver, chunk_size
from hyperband.backends.kubernetes.archives import (
    ArchiveReader,
    owns,
    read_trials,
    trial_pages,
)
from hyperband.backends.kubernetes.attempts import is_ending, is_over
from hyperband.backends.kubernetes.cleaner import Cleaner, unneeded
from hyperband.backends.kubernetes.cluster import Cluster
from hyperband.backends.kubernetes.earlier import EarlierStudies
from hyperband.backends.kubernetes.objects import STUDIES, TRIALS, CustomObject, Pod
from hyperband.backends.kubernetes.publisher import ForeignStatusError, Publisher
from hyperband.backends.kubernetes.recorder import Recorder, Subject
from hyperband.backends.kubernetes.render import render_pod
from hyperband.backends.kubernetes.store import TrialStore, UnreadableTrialError
from hyperband.backends.kubernetes.study_pods import TrialPods
from hyperband.backends.kubernetes.trial_keeper import TrialKeeper
from hyperband.core.decisions import Finish
from hyperband.core.engine import Engine
from hyperband.core.errors import InvalidStudyError
from hyperband.core.records import Suggestion, TrialState

log = logging.getLogger(__name__)

RESYNC_SECONDS = 60.0  # everything is looked at again, whether an event came or not
NOBODY = "00000000-0000-0000-0000-000000000000"  # owner of a pod that is only tried
CONFLICT_SECONDS = 0.1
ARCHIVE_AGAIN_SECONDS = 600.0  # after an error at archiving trials of a finished study
RETRY_SECONDS = 5.0  # after an error of the API server, or while something blocks the study


class StudyTask:
    """Runs one study, from its body as last seen to its end."""

    def __init__(self, cluster: Cluster, body: Mapping[str, Any]) -> None:
        metadata = body["metadata"]
        self.uid: str = metadata["uid"]
        self.name: str = metadata["name"]
        self.namespace: str = metadata["namespace"]
        self._cluster = cluster
        self._body: dict[str, Any] = dict(body)
        self._keeper: TrialKeeper | None = None
        # By trial: deleted pods whose last words are still to be read.
        self._gone: dict[int, list[Pod]] = {}
        self._orphaned: set[str] = set()  # uids of trial objects that somebody deleted
        self._vanished: set[str] = set()  # uids of what was deleted while it was read
        self._archives = ArchiveReader[TrialResource](cluster.client, self.namespace, self.name)
        self._archive_due = 0.0  # once the study is finished
        self._admitted = False
        self._in_doubt = True  # whether writes may be on their way that nobody waits for
        self._cleaned = False  # whether a finished study's checkpoints are dealt with
        self._sweep = True  # whether it is time to look for pods that were kept for long enough
        # Of a finished study: uids of the trials that have pods, once that was asked.
        self._with_pods: list[str] | None = None
        subject = Subject(self.namespace, self.name, self.uid)
        self._recorder = Recorder(cluster.client, subject, cluster.now, cluster.monotonic)
        self._publisher = Publisher(cluster.client, self._recorder, cluster.now, cluster.monotonic)
        self._earlier = EarlierStudies(cluster.client, self._recorder)
        self._cleaner = Cleaner(cluster, self._recorder)
        # Of a finished study: trials whose checkpoints are to be removed, once that was asked.
        self._unneeded: set[int] | None = None
        self._wake = asyncio.Event()
        self._wake.set()

    # -- what others tell it ------------------------------------------------------------------

    def update(self, body: Mapping[str, Any]) -> None:
        """The study's object has changed."""
        self._take_in(body)
        self._wake.set()

    def _take_in(self, body: Mapping[str, Any]) -> None:
        """Keeps the newest version: events may be older than our own write, or come during it."""
        if _revision(body) >= _revision(self._body):
            self._body = dict(body)

    def pod_changed(self, index: int, gone: Pod | None) -> None:
        """A pod of this trial has changed, or is gone and was this when last seen."""
        if self._finished:
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
        """Somebody has deleted a trial object."""
        if self._keeper is None:
            self._vanished.add(uid)
        elif uid in self._keeper.uids:
            self._orphaned.add(uid)
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
            self._in_doubt = True
            if isinstance(error.__cause__, ApiError):
                await self._complain(Blocked("RequestFailed", str(error)))
            self._forget()
        except KubernetesError as error:
            log.warning("%s: %s", self, error)
            if isinstance(error, ApiError):
                await self._complain(Blocked("RequestRefused", str(error)))
        except UnreadableTrialError as error:
            log.warning("%s: %s", self, error)
            await self._complain(Blocked("TrialUnreadable", str(error)))
        except UnreadableArchiveError as error:
            log.warning("%s: %s", self, error)
            await self._complain(Blocked("ArchiveUnreadable", str(error)))
        except Exception as error:
            log.exception("%s: unexpected; reading everything again", self)
            await self._complain(Blocked("InternalError", f"{type(error).__name__}: {error}"))
            self._forget()
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
            await self._end_late_pods()
            return _soonest(await self._recorder.flush(), await self._outlive())
        try:
            study, waiting = await self._read()
            if waiting is not None:
                return await self._wait(study, waiting)
            keeper = self._keeper = await self._kept(study)
            if self._generation != study.generation:  # changed while its trials were read
                return 0.0
            blocked = None
            if not self._admitted and not keeper.engine.trials:
                blocked = await self._blocked(study, keeper.engine)
                self._admitted = blocked is None
        except InvalidStudyError as error:
            finish = Finish(False, "InvalidSpec", str(error))
            blocked = Blocked("InvalidSpec", str(error))
            await self._publish(self._keeper, blocked, finish)
            self._forget()
            return None if self._finished else 0.0
        return await self._run_study(keeper, blocked)

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
        if keeper is None:
            return await self._load(study)
        if study is not keeper.study:
            keeper.change(self._earlier.added_to(study))
        return keeper

    async def _run_study(self, keeper: TrialKeeper, blocked: Blocked | None) -> float | None:
        if not self._start_is_shown():
            due = await self._publish(keeper, None)
            if not self._start_is_shown():
                return due
        keeper.elapsed = elapsed_seconds(self._body.get("status") or {}, self._cluster.now())
        keeper.budget_reached = budget_reached(self._body)
        await keeper.settle()
        if (spent := keeper.exceeded()) and not keeper.budget_reached:
            due = await self._publish(keeper, blocked, budget_reached=spent)
            if not budget_reached(self._body):
                return due
            keeper.budget_reached = spent
        if blocked is None:
            await keeper.launch()
        finish = await keeper.conclude()
        more = finish is None and await keeper.archive()
        if self._sweep:
            self._sweep = False
            await keeper.discard_pods()
            await self._cleaner.step(keeper.study, keeper.unneeded(finished=False), all_=False)
        blocked = blocked or keeper.blocked or keeper.unarchived
        due = await self._publish(keeper, blocked, finish)
        if finish is not None and self._finished:
            log.info("%s: %s: %s", self, finish.reason, finish.message)
            self._unneeded, self._sweep = keeper.unneeded(finished=True), True
            self._with_pods = self._having_pods(keeper.uids)
            self._forget()
            self._gone.clear()
            return 0.0
        if more:
            return 0.0
        return _soonest(due, RETRY_SECONDS if blocked else None, keeper.due())

    async def _outlive(self) -> float | None:
        """What is left to do after a study's end: pods and, at last, the study itself are deleted.

        Returns the seconds until the study is to be deleted, if that is wanted.
        """
        if self._sweep:
            self._sweep = False
            try:
                study = parse_study(self._body)
            except InvalidStudyError:  # which is why it has failed: it has no pods
                self._cleaned = True
            else:
                await self._discard_pods(study)
                self._cleaned = await self._clean_up(study)
                await self._archive_rest(study)
        ttl = self._body["spec"].get("ttlAfterFinished")
        if ttl is None or not self._cleaned:
            return None
        ended = datetime.fromisoformat(self._body["status"]["completionTime"])
        left = (ended - self._cluster.now()).total_seconds() + parse_duration(ttl)
        if left > 0:
            return left
        log.info("%s: deleting it: spec.ttlAfterFinished is over", self)
        with suppress(NotFound, Conflict):  # somebody else has, and perhaps made another one
            await self._cluster.client.delete(STUDIES, self.namespace, self.name, uid=self.uid)
        return None

    async def _clean_up(self, study: StudyResource) -> bool:
        """Removes what checkpoints are still to be removed; True once there are none."""
        wanted = study.checkpoint is not None and study.checkpoint.clean_up
        if not wanted or "checkpointsRemoved" in self._body["status"]:
            return True
        if self._unneeded is None:
            place = (self._cluster.client, self.namespace, self.name, self.uid)
            trials = [trial async for trials in read_trials(*place) for trial in trials]
            states = (
                (int(t.spec["index"]), TrialState(t.status["state"]), t.status.get("reason", ""))
                for t in trials
                if t.status  # else a late operator has made it since: it never had a pod
            )
            best = self._body["status"].get("best", {}).get("index")
            self._unneeded = unneeded(states, best, finished=True)
        if not await self._cleaner.step(study, self._unneeded, all_=True):
            return False
        removed = len(self._cleaner.removed & self._unneeded)
        self._take_in(await self._publisher.amend(self._body, checkpointsRemoved=removed))
        return True

    async def _discard_pods(self, study: StudyResource) -> None:
        """Deletes the pods of a finished study that have been kept for long enough."""
        pods = TrialPods(self._cluster)
        if self._with_pods is None:
            self._with_pods = await self._trial_uids() if self._has_pods() else []
        ended = [pod for uid in self._with_pods for pod in pods.of(uid)]
        keep = timedelta(seconds=study.retention.pods)
        await pods.discard([*ended, *self._cleaner.pods(study)], keep)
        self._with_pods = self._having_pods(self._with_pods)

    def _having_pods(self, trial_uids: Iterable[str]) -> list[str]:
        pods = TrialPods(self._cluster)
        return [uid for uid in trial_uids if pods.of(uid)]

    def _has_pods(self) -> bool:
        """Whether there are pods that may be the study's: asking for its trials takes longer."""
        return any(
            pod.metadata.namespace == self.namespace
            and pod.metadata.labels.get(names.STUDY_LABEL) == self.name
            for pod in self._cluster.pods
        )

    async def _trial_uids(self) -> list[str]:
        place = (self._cluster.client, self.namespace, self.name, self.uid)
        return [trial.metadata.uid async for trials in trial_pages(*place) for trial in trials]

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
            known |= {"engine": keeper.engine, "spent": keeper.spent}
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
        blocked = await self._blocked(study, engine)
        due = await self._publish(None, blocked or waiting)
        return _soonest(due, RETRY_SECONDS if blocked else None)

    async def _blocked(self, study: StudyResource, engine: Engine) -> Blocked | None:
        """Asks, before the first trial, whether its pod could ever work."""
        blocked = await admission.check_reporter(self._cluster.client, study)
        if blocked is not None:
            return blocked
        # Any configuration will do; the one that comes first may take a model some time.
        example = Suggestion(engine.searcher.draw(0), "Random")
        trial = engine.new_trial(0, engine.ladder.top, example)
        pod = render_pod(study, trial, NOBODY, engine.ladder)
        return await admission.check_template(self._cluster.client, pod)

    def _start_is_shown(self) -> bool:
        """Whether the status lists the earlier studies, as it must before the first trial."""
        return self._earlier.status is None or "warmStart" in (self._body.get("status") or {})

    async def _end_late_pods(self) -> None:
        """Ends pods of a study that is over: an operator that leads no more has made them since."""
        for pod in self._cluster.pods:
            metadata, owner = pod.metadata, pod.metadata.controller
            study = (metadata.namespace, metadata.labels.get(names.STUDY_LABEL))
            if study != (self.namespace, self.name) or owner is None or owner.uid == self.uid:
                continue
            if is_over(pod) or is_ending(pod):
                continue
            with suppress(NotFound):  # then the garbage collector has it
                trial = await self._cluster.client.get(
                    TRIALS, self.namespace, owner.name, CustomObject
                )
                if trial.metadata.uid == owner.uid and owns(trial, self.name, self.uid):
                    await TrialPods(self._cluster).delete(pod, "its study is over")

    async def end_pods(self) -> None:
        """Ends the pods of a deleted study at once; the garbage collector would take minutes.

        Whether the study and its trials make sense does not matter: pods are known by their owners.
        """
        if self._keeper is not None:
            uids = list(self._keeper.uids)
        else:
            uids = await self._trial_uids()
        await TrialPods(self._cluster).delete_all(uids, "the study was deleted")

    async def _load(self, study: StudyResource) -> TrialKeeper:
        study = self._earlier.added_to(study)
        store, engine = await self._read_trials(study)
        if self._in_doubt:
            await store.take_over()
            self._in_doubt = False
        news = (self._gone, self._orphaned, self._wake.set)
        return TrialKeeper(self._cluster, study, store, engine, self._recorder, *news)

    async def _read_trials(self, study: StudyResource) -> tuple[TrialStore, Engine]:
        self._vanished.clear()
        store = TrialStore(self._cluster.client, study, self._archives, self._cluster.now)
        engine = await store.load()
        if any(uid in store.uids or uid in self._archives for uid in self._vanished):
            raise Conflict(409, message="trials were deleted while they were read")
        return store, engine

    async def _archive_rest(self, study: StudyResource) -> None:
        """Archives what is more than is to be kept of a finished study's trials.

        Its trials are read again for that, which is worth it only where there is something to do.
        """
        trials = self._cluster.trials.by_index(self.uid)
        if not trials or self._cluster.monotonic() < self._archive_due:
            return
        try:
            pods = TrialPods(self._cluster)
            ripe = sum(not pods.of(trial.metadata.uid) for trial in trials)
            if not chunk_size(ripe, study.retention.trials, len(trials)):
                return
            store, _ = await self._read_trials(self._earlier.added_to(study))
            archiver = Archiver(self._cluster, store, over=True)
            while await archiver.work():
                await asyncio.sleep(0)
        except (KubernetesError, UnreadableTrialError, UnreadableArchiveError) as error:
            log.warning("%s: archiving its trials: %s", self, error)
            self._archive_due = self._cluster.monotonic() + ARCHIVE_AGAIN_SECONDS

    def _forget(self) -> None:
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def _soonest(*seconds: float | None) -> float | None:
    return min((each for each in seconds if each is not None), default=None)


def _revision(body: Mapping[str, Any]) -> int:
    return int(body["metadata"].get("resourceVersion") or 0)
