"""Folds finished trials of a study into archives, so that etcd holds them compressed.

An archive is created first, and then the objects of its trials are deleted, each in the very
version that was archived. Killed in between, the next process finds both, and goes on deleting. A
trial that somebody has changed meanwhile keeps its object, which then counts, and is archived again
later.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from itertools import islice
from typing import Any

from hyperband.api.archive import archive_manifest
from hyperband.api.status import Blocked
from hyperband.api.trial import TrialResource
from hyperband.backends.kubernetes.api_errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    NotFound,
    ServerError,
    TooManyRequests,
)
from hyperband.backends.kubernetes.archives import owns_archive
from hyperband.backends.kubernetes.cluster import Cluster
from hyperband.backends.kubernetes.hands import FEW, for_each
from hyperband.backends.kubernetes.objects import ARCHIVES, TRIALS, CustomObject
from hyperband.backends.kubernetes.store import ForeignObjectError, TrialStore, without_history
from hyperband.backends.kubernetes.study_pods import TrialPods
from hyperband.core.records import TrialState

log = logging.getLogger(__name__)

CHUNK = 250  # trials in an archive, or fewer where they are too large
BATCH = 25  # requests before other work of the study has a turn
QUIET_SECONDS = 10.0  # until it is looked again whether there is enough to be archived
_FINAL = {TrialState.STOPPED, TrialState.COMPLETED, TrialState.FAILED}


class Archiver:
    """Archives trials of one study.

    Args:
        over: whether the study is finished, so that no trial changes any more.
        hold: keeps others from doing anything about these trials meanwhile.

    Attributes:
        blocked: why it cannot, if so; the study itself goes on.
    """

    def __init__(
        self,
        cluster: Cluster,
        store: TrialStore,
        *,
        over: bool = False,
        hold: Callable[[Collection[int]], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self.blocked: Blocked | None = None
        self._client, self._monotonic = cluster.client, cluster.monotonic
        self._pods = TrialPods(cluster, store.study.namespace)
        self._store, self._over, self._hold = store, over, hold
        self._due = 0.0

    async def work(self, busy: Callable[[], Collection[int]] = tuple) -> bool:
        """Does a part of what is to be done, and says whether there may be more.

        Args:
            busy: trials that something is still to be done about.

        Raises:
            Conflict: a trial or an archive is not as it was read.
            KubernetesError: trouble that all requests would have; what was begun is gone on with.
        """
        if self._monotonic() < self._due:
            return False
        try:
            if self._store.leftovers:
                await self._delete()
                return True
            chunk = self._chunk(busy())
            if chunk:
                with self._hold(chunk):
                    await self._fold(chunk)
            self.blocked = None
        except ForeignObjectError as error:
            self._block("NameTaken", str(error))
            return False
        except (Conflict, ServerError, TooManyRequests):
            raise
        except ApiError as error:
            self._block("RequestRefused", str(error))
            return False
        if not chunk:
            self._due = self._monotonic() + QUIET_SECONDS
        return bool(chunk)

    def _block(self, reason: str, message: str) -> None:
        log.warning("%s: archiving trials: %s", self._store.study.name, message)
        self.blocked = Blocked(reason, f"trials cannot be archived: {message}")
        self._due = self._monotonic() + QUIET_SECONDS

    def _chunk(self, busy: Collection[int]) -> list[int]:
        """The oldest trials that may be archived, if there are enough beside those to be kept.

        What its pods still tell of a trial would be lost with its object, and so would be their
        logs, as it owns them: it waits until no pod of it is there.
        """
        resources, keep = self._store.resources, self._store.study.retention.trials
        if len(resources) <= keep:
            return []
        ripe = [
            index
            for index, resource in resources.items()
            if (self._over or _settled(resource))
            and index not in busy
            and not self._pods.of(resource.uid)
        ]
        return sorted(ripe)[: chunk_size(len(ripe), keep, len(resources) if self._over else None)]

    async def _fold(self, indices: Sequence[int]) -> None:
        study, archives = self._store.study, self._store.archives
        bodies = await self._read(indices)
        place = (study.namespace, study.name, study.uid)
        manifest = await asyncio.to_thread(archive_manifest, *place, archives.next_chunk, bodies)
        created = await self._create(manifest)
        folded = indices[: manifest["spec"]["trials"]]
        records = [(index, without_history(self._store.resources[index])) for index in folded]
        archives.add(created.metadata, records)
        self._store.set_aside(folded)
        log.info("%s/%s: %d trials in %s", *place[:2], len(folded), created.metadata.name)

    async def _read(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        """The objects as the server has them, if that is what is known of them."""
        bodies: dict[int, dict[str, Any]] = {}

        async def read(index: int) -> None:
            name = self._store.resources[index].name
            bodies[index] = await self._client.get(TRIALS, self._store.study.namespace, name, dict)

        try:
            await for_each(indices, read, FEW)
        except NotFound as error:
            raise Conflict(error.status, error.reason, error.message) from error
        for index, body in bodies.items():
            known, metadata = self._store.resources[index], body["metadata"]
            if (metadata["uid"], metadata["resourceVersion"]) != (
                known.uid,
                known.resource_version,
            ):
                raise Conflict(409, message=f"{known.name} was changed by somebody else")
        return [bodies[index] for index in indices]

    async def _create(self, manifest: dict[str, Any]) -> CustomObject:
        study, name = self._store.study, manifest["metadata"]["name"]
        try:
            return await self._client.create(ARCHIVES, study.namespace, manifest, CustomObject)
        except AlreadyExists:
            found = await self._client.get(ARCHIVES, study.namespace, name, CustomObject)
            if not owns_archive(found.metadata, study.name, study.uid):
                raise ForeignObjectError(
                    f"HyperbandArchive {name} exists and belongs to another study; delete it"
                ) from None
            if found.spec != manifest["spec"]:  # another process has been faster
                raise Conflict(409, message=f"{name} was made by somebody else") from None
            return found

    async def _delete(self) -> None:
        """Deletes objects of archived trials, as many as there is time for."""
        part = list(islice(self._store.leftovers, BATCH))
        await for_each(part, self._delete_one, FEW)

    async def _delete_one(self, index: int) -> None:
        left = self._store.leftovers[index]
        place = (TRIALS, self._store.study.namespace, left.name)
        with suppress(NotFound):
            await self._client.delete(*place, uid=left.uid, resource_version=left.resource_version)
        self._store.leftovers.pop(index, None)


def _settled(resource: TrialResource) -> bool:
    return resource.trial.state in _FINAL and resource.open_attempt is None


def chunk_size(ripe: int, keep: int, last: int | None) -> int:
    """How many trials to archive next.

    Args:
        ripe: how many may be.
        keep: how many of these are to stay.
        last: of a finished study: how many there are at all. If all of them may be archived, the
            last archive is a small one.
    """
    spare = max(0, ripe - keep)
    return min(spare, CHUNK) if spare >= CHUNK or ripe == last else 0
