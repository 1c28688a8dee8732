"""A study's archives, read: they never change, so each is fetched and decoded once.

Whoever wants all trials of a study lists its trial objects first and reads its archives then. The
operator makes an archive before it deletes the objects of the trials in it, so that none is missed
in between; one that is found twice is the same.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, TypeVar

import msgspec

from hyperband.api import names
from hyperband.api.archive import UnreadableArchiveError, unpack
from hyperband.backends.kubernetes.api_errors import NotFound
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.objects import (
    ARCHIVES,
    TRIALS,
    CustomObject,
    Metadata,
    Object,
)

T = TypeVar("T")


class ArchiveReader(Generic[T]):
    """The trials in one study's archives, in the form that their reader wants.

    Attributes:
        next_chunk: the number of the next archive to be made, once they are read.
    """

    def __init__(self, client: Client, namespace: str, study: str) -> None:
        self._client, self._namespace, self._study = client, namespace, study
        self._known: dict[str, list[tuple[int, T]]] = {}  # by uid of the archive
        self.next_chunk = 0

    def __contains__(self, uid: str) -> bool:
        """Whether that archive was there when they were last read, or was made since."""
        return uid in self._known

    async def read(self, uid: str, take: Callable[[dict[str, Any]], T]) -> dict[int, T]:
        """The archived trials, by index; of one that is in several archives, the latest record.

        Args:
            uid: of the study.
            take: makes of a trial's body what is wanted of it; called once for each trial.

        Raises:
            UnreadableArchiveError: what one of them holds makes no sense; it is named.
        """
        found = await self._list(uid)
        known: dict[str, list[tuple[int, T]]] = {}
        for metadata in found:
            trials = self._known.get(metadata.uid)
            if trials is None:
                trials = await self._fetch(metadata, take)
            self._known[metadata.uid] = known[metadata.uid] = trials
        self._known = known
        self.next_chunk = 1 + max((_chunk(metadata) for metadata in found), default=-1)
        return dict(entry for trials in known.values() for entry in trials)

    def add(self, metadata: Metadata, trials: list[tuple[int, T]]) -> None:
        """An archive that was just made of these trials."""
        self._known[metadata.uid] = trials
        self.next_chunk = max(self.next_chunk, _chunk(metadata) + 1)

    async def _list(self, uid: str) -> list[Metadata]:
        """The archives that are there, in the order in which they were made."""
        selector = f"{names.STUDY_LABEL}={self._study}"
        pages = self._client.pages(ARCHIVES, Object, self._namespace, label_selector=selector)
        items = [item.metadata async for page in pages for item in page.items]
        return sorted((m for m in items if owns_archive(m, self._study, uid)), key=_chunk)

    async def _fetch(
        self, metadata: Metadata, take: Callable[[dict[str, Any]], T]
    ) -> list[tuple[int, T]]:
        try:
            item = await self._client.get(ARCHIVES, self._namespace, metadata.name, CustomObject)
        except NotFound:  # deleted just now
            return []
        if item.metadata.uid != metadata.uid:  # and made anew: for the next reading
            return []
        try:
            bodies = await asyncio.to_thread(unpack, item.spec)
            return [(int(body["spec"]["index"]), take(body)) for body in bodies]
        except (LookupError, TypeError, ValueError) as error:
            what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise UnreadableArchiveError(
                f"HyperbandArchive {metadata.name} cannot be read ({what}): put it back from a "
                "backup, or delete it, and the study goes on without the trials in it"
            ) from error


def owns_archive(metadata: Metadata, study: str, uid: str) -> bool:
    """Whether it is an archive of the study: by owner and name, as labels may be forged."""
    owner = metadata.controller
    prefix = names.archive_name(study, 0).removesuffix("0")
    number = metadata.name.removeprefix(prefix)
    named = metadata.name.startswith(prefix) and number.isdecimal()
    return owner is not None and owner.uid == uid and named


def _chunk(metadata: Metadata) -> int:
    return int(metadata.name.rpartition("-")[2])


async def read_trials(
    client: Client, namespace: str, study: str, uid: str
) -> AsyncIterator[list[CustomObject]]:
    """All trials of a study, archived or not, each once, in parts and in no order.

    Raises:
        UnreadableArchiveError: an archive makes no sense.
    """
    seen: set[int] = set()
    new: dict[int, CustomObject] = {}  # nothing has happened to them, or all is archived
    async for items in trial_pages(client, namespace, study, uid):
        seen |= {int(item.spec["index"]) for item in items if item.status}
        new |= {int(item.spec["index"]): item for item in items if not item.status}
        yield [item for item in items if item.status]
    archived = await ArchiveReader[CustomObject](client, namespace, study).read(uid, as_object)
    yield [item for index, item in (new | archived).items() if index not in seen]


async def trial_pages(
    client: Client, namespace: str, study: str, uid: str
) -> AsyncIterator[list[CustomObject]]:
    """The trial objects of a study, as they are, in no order."""
    selector = f"{names.STUDY_LABEL}={study}"
    async for page in client.pages(TRIALS, CustomObject, namespace, label_selector=selector):
        yield [item for item in page.items if owns(item, study, uid)]


def owns(item: CustomObject, study: str, uid: str) -> bool:
    """Whether it is a trial of the study: a name exists once, an index may be forged."""
    owner = item.metadata.controller
    name = names.trial_name(study, int(item.spec.get("index", -1)))
    return owner is not None and owner.uid == uid and item.metadata.name == name


def as_object(body: dict[str, Any]) -> CustomObject:
    """An archived trial as its object was."""
    return msgspec.convert(body, CustomObject)
