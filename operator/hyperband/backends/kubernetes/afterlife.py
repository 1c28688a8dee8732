"""What is left to do for a study that has finished, until it is deleted.

Pods that come late are ended, those that were kept for long enough are deleted, checkpoints that
nobody can want are removed, trials are archived, and at last the study itself is deleted. Nothing
of that changes how it ended. All is found anew in the caches at each look: nothing of the size of
the study's trials is kept in between.
"""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from hyperband.api import names
from hyperband.api.archive import UnreadableArchiveError
from hyperband.api.durations import parse_duration
from hyperband.api.study import StudyResource, parse_study
from hyperband.api.trial import TrialResource
from hyperband.backends.kubernetes.api_errors import Conflict, KubernetesError, NotFound
from hyperband.backends.kubernetes.archiver import Archiver, chunk_size
from hyperband.backends.kubernetes.archives import ArchiveReader, read_trials
from hyperband.backends.kubernetes.cleaner import Cleaner, unneeded
from hyperband.backends.kubernetes.cluster import Cluster
from hyperband.backends.kubernetes.objects import STUDIES, Object
from hyperband.backends.kubernetes.publisher import Publisher, soonest
from hyperband.backends.kubernetes.recorder import Subject
from hyperband.backends.kubernetes.store import TrialStore, UnreadableTrialError
from hyperband.backends.kubernetes.study_pods import TrialPods, owner_uid
from hyperband.core.errors import InvalidStudyError
from hyperband.core.records import TrialState

log = logging.getLogger(__name__)

ARCHIVE_AGAIN_SECONDS = 30.0  # after an error of the API server at archiving
UNREADABLE_SECONDS = 600.0  # after one that people have to mend: all trials are read each time


class Afterlife:
    """Looks after one finished study.

    Args:
        vanished: where the study's task puts the uids of trials and archives that somebody deletes.
        unneeded: trials whose checkpoints are to be removed, by index; None if that is not known.
    """

    def __init__(
        self,
        cluster: Cluster,
        study: Subject,
        publisher: Publisher,
        cleaner: Cleaner,
        vanished: set[str],
        unneeded: set[int] | None,
    ) -> None:
        self._cluster, self._study = cluster, study
        self._publisher, self._cleaner = publisher, cleaner
        self._vanished, self._unneeded = vanished, unneeded
        self._pods = TrialPods(cluster, study.namespace)
        self._key = (study.namespace, study.uid)
        self._noticed: set[int] = set()  # trials whose pods have changed
        self._cleaned = False  # whether its checkpoints are dealt with
        self._more = False  # whether pods are left that are to be deleted now
        self._archive_due = 0.0

    def notice(self, index: int) -> None:
        """Something about this trial's pods has changed."""
        self._noticed.add(index)

    async def step(
        self, body: dict[str, Any], *, sweep: bool
    ) -> tuple[dict[str, Any], float | None]:
        """Does what is to be done by now.

        Args:
            body: the study's object as last seen.
            sweep: whether to look at everything, and not only at what was noticed.

        Returns:
            The object as found or written, and the seconds until there is more to do.
        """
        self._vanished.clear()
        if sweep or self._more:
            body = await self._sweep(body)
        else:
            for index in list(self._noticed):
                await self._end_late_pods(self._trial(index))
                self._noticed.discard(index)
        return body, soonest(0.0 if self._more else None, await self._delete_study(body))

    async def _sweep(self, body: dict[str, Any]) -> dict[str, Any]:
        self._noticed.clear()
        self._more = False
        trials = self._cluster.trials.by_index(self._key)
        await self._end_late_pods(trials)
        try:
            study = parse_study(body)
        except InvalidStudyError:  # which is why it has failed: it has no pods
            self._cleaned = True
            return body
        body = await self._remove_checkpoints(study, body)
        await self._discard_pods(study, trials)
        await self._archive(study)
        return body

    def _trial(self, index: int) -> list[Object]:
        """The object of that trial, if it is there and the study's."""
        place = (self._study.namespace, names.trial_name(self._study.name, index))
        trial = self._cluster.trials.get(*place)
        return [trial] if trial is not None and owner_uid(trial) == self._study.uid else []

    async def _end_late_pods(self, trials: Iterable[Object]) -> None:
        """Ends pods that live: an operator that leads no more has made them since the end."""
        for trial in trials:
            for pod in self._pods.of(trial.metadata.uid):
                await self._pods.delete(pod, "its study is over")

    async def _remove_checkpoints(
        self, study: StudyResource, body: dict[str, Any]
    ) -> dict[str, Any]:
        """Has what checkpoints nobody can want removed, and writes how many once it is over."""
        wanted = study.checkpoint is not None and study.checkpoint.clean_up
        if not wanted or "checkpointsRemoved" in body["status"]:
            self._cleaned = True
            return body
        if self._unneeded is None:
            self._unneeded = await self._find_unneeded(body)
        if not await self._cleaner.step(study, self._unneeded, all_=True):
            return body
        if self._cleaner.gave_up:  # the next operator tries again
            self._cleaned = True
            return body
        removed = len(self._cleaner.removed & self._unneeded)
        body = await self._publisher.amend(body, checkpointsRemoved=removed)
        self._cleaned, self._unneeded = True, None
        return body

    async def _find_unneeded(self, body: dict[str, Any]) -> set[int]:
        place = (self._cluster.client, self._study.namespace, self._study.name, self._study.uid)
        trials = [trial async for trials in read_trials(*place) for trial in trials]
        states = (
            (int(t.spec["index"]), TrialState(t.status["state"]), t.status.get("reason", ""))
            for t in trials
            if t.status  # else a late operator has made it since: it never had a pod
        )
        best = body["status"].get("best", {}).get("index")
        return unneeded(states, best, finished=True)

    async def _discard_pods(self, study: StudyResource, trials: Iterable[Object]) -> None:
        """Deletes pods that were kept for long enough."""
        ended = [pod for trial in trials for pod in self._pods.of(trial.metadata.uid)]
        more = await self._pods.discard(ended, timedelta(seconds=study.retention.pods))
        self._more = await self._cleaner.discard(study) or more

    async def _archive(self, study: StudyResource) -> None:
        """Archives what is more than is to be kept of the study's trials.

        They are read again for that, which is worth it only where there is something to do.
        """
        trials = self._cluster.trials.by_index(self._key)
        if not trials or self._cluster.monotonic() < self._archive_due:
            return
        ripe = sum(not self._pods.of(trial.metadata.uid) for trial in trials)
        if not chunk_size(ripe, study.retention.trials, len(trials)):
            return
        client = self._cluster.client
        reader = ArchiveReader[TrialResource](client, study.namespace, study.name)
        store = TrialStore(client, study, reader, self._cluster.now)
        try:
            await store.load()
            if store.has_any(self._vanished):
                raise Conflict(409, message="trials were deleted while they were read")
            archiver = Archiver(self._cluster, store, over=True)
            while await archiver.work():
                await asyncio.sleep(0)
        except (KubernetesError, UnreadableTrialError, UnreadableArchiveError) as error:
            log.warning("%s: archiving its trials: %s", self, error)
            passing = isinstance(error, KubernetesError)
            pause = ARCHIVE_AGAIN_SECONDS if passing else UNREADABLE_SECONDS
            self._archive_due = self._cluster.monotonic() + pause

    async def _delete_study(self, body: dict[str, Any]) -> float | None:
        """Deletes the study if its time is over, or gives the seconds until then."""
        ttl = body["spec"].get("ttlAfterFinished")
        if ttl is None or not self._cleaned:
            return None
        ended = datetime.fromisoformat(body["status"]["completionTime"])
        left = (ended - self._cluster.now()).total_seconds() + parse_duration(ttl)
        if left > 0:
            return left
        log.info("%s: deleting it: spec.ttlAfterFinished is over", self)
        place = (STUDIES, self._study.namespace, self._study.name)
        with suppress(NotFound, Conflict):  # somebody else has, and perhaps made another one
            await self._cluster.client.delete(*place, uid=self._study.uid)
        return None

    def __str__(self) -> str:
        return f"{self._study.namespace}/{self._study.name}"
