"""Studies from a cluster: all of them by one watch, the trials of those that are looked at."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from typing import Any, Final

import msgspec

from hyperband.api import names
from hyperband.api.archive import UnreadableArchiveError
from hyperband.api.times import in_seconds
from hyperband.api.words import status
from hyperband.backends.kubernetes.api_errors import ApiError, Forbidden, KubernetesError
from hyperband.backends.kubernetes.archives import ArchiveReader
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.informer import Change, Informer
from hyperband.backends.kubernetes.objects import (
    PODS,
    STUDIES,
    TRIALS,
    CustomObject,
    Metadata,
    Object,
)
from hyperband.backends.kubernetes.recorder import EVENTS
from hyperband.backends.kubernetes.tasks import begin, cancel
from hyperband.backends.kubernetes.transport import Retry
from hyperband.core.errors import printable
from hyperband.dashboard import pods
from hyperband.dashboard.feeds import Feed, MissingError
from hyperband.dashboard.snapshot import Body, Snapshot

log = logging.getLogger(__name__)

MAX_LOG: Final = 2_000_000  # bytes
MAX_EVENTS: Final = 100
MAX_READ: Final = 200  # events of one object: more only somebody makes who means to
MAX_PODS: Final = 20
SETTLE: Final = 1.0  # seconds in which an archive's trials are deleted together
BACKOFF: Final = Retry(cap=30.0)
AGAIN: Final = 60.0  # seconds after which what could not be read at all is looked for again
Changed = Callable[[tuple[str, str], Body | None], None]


class TrialObject(Object, frozen=True, gc=False):
    """A trial as it came: it is read once, and kept as text until its next change."""

    spec: msgspec.Raw = msgspec.Raw(b"{}")
    status: msgspec.Raw = msgspec.Raw(b"{}")


class Cluster:
    """The studies of some namespaces, or of all.

    Args:
        namespaces: none for all.
    """

    local = False

    def __init__(self, client: Client, namespaces: Sequence[str]) -> None:
        self._client = client
        self._changed: Changed = lambda key, body: None
        scopes: list[str | None] = [*sorted(set(namespaces))] or [None]
        self._studies = [
            Informer(client, STUDIES, CustomObject, namespace=scope, on_change=self._heard)
            for scope in scopes
        ]

    def on_change(self, changed: Changed) -> None:
        """Whoever is to be told of each study that changes, or is gone."""
        self._changed = changed

    @property
    def wrong(self) -> str:
        if not all(each.synced.is_set() for each in self._studies):
            return "the studies have not been read yet: is the API server up, and may we list them?"
        age = max(each.age for each in self._studies)
        if any(each.stale for each in self._studies):
            return f"the API server has not been heard of for {age:.0f} s"
        return ""

    def studies(self) -> list[Body]:
        return [_body(item) for informer in self._studies for item in informer]

    def study(self, namespace: str, name: str) -> Body | None:
        for informer in self._studies:
            if (item := informer.get(namespace, name)) is not None:
                return _body(item)
        return None

    def _heard(self, change: Change, old: CustomObject | None, new: CustomObject | None) -> None:
        item = new or old
        assert item is not None
        key = (item.metadata.namespace, item.metadata.name)
        self._changed(key, None if new is None else _body(new))

    async def watch(self) -> None:
        """Keeps the list of studies up, until cancelled."""
        await asyncio.gather(*(each.run() for each in self._studies))

    async def follow(self, feed: Feed) -> None:
        assert feed.live.body is not None
        await _Follower(self._client, feed).run()

    # -- of one trial ----------------------------------------------------------------------------

    async def pods(self, snapshot: Snapshot, index: int) -> list[dict[str, Any]]:
        return [pods.row(each) for each in await self._pods(snapshot, index)]

    async def _pods(self, snapshot: Snapshot, index: int) -> list[dict[str, Any]]:
        """Those that the trial owns: labels may be forged."""
        metadata = snapshot.body["metadata"]
        uid = snapshot.trials[index]["metadata"].get("uid")
        selector = f"{names.STUDY_LABEL}={metadata['name']},{names.TRIAL_LABEL}={index}"
        pages = self._client.pages(PODS, dict, metadata["namespace"], label_selector=selector)
        found = [item async for page in pages for item in page.items if _owned(item, uid)]
        return sorted(found, key=lambda pod: str(pod["metadata"].get("creationTimestamp")))

    async def events(self, snapshot: Snapshot, index: int) -> list[dict[str, Any]]:
        metadata, trial = snapshot.body["metadata"], snapshot.trials[index]
        wanted = [each["pod"] for each in status(trial).get("attempts") or () if each.get("pod")]
        attempt = int(status(trial).get("attempt", 0))
        wanted.append(names.pod_name(metadata["name"], index, attempt))
        wanted.append(trial["metadata"]["name"])
        found: list[dict[str, Any]] = []
        for name in list(dict.fromkeys(wanted))[-MAX_PODS:]:
            found += await self._events(metadata["namespace"], name)
        found.sort(key=lambda each: each["last"] or "", reverse=True)
        return found[:MAX_EVENTS]

    async def _events(self, namespace: str, name: str) -> list[dict[str, Any]]:
        """Those of one object, but no more of them than one page."""
        selector = f"involvedObject.name={name}"
        pages = self._client.pages(EVENTS, dict, namespace, field_selector=selector, limit=MAX_READ)
        async with aclosing(pages):
            async for page in pages:
                return [pods.event(item) for item in page.items]
        return []

    async def log(self, snapshot: Snapshot, index: int, attempt: int | None, tail: int) -> bytes:
        there = await self._pods(snapshot, index)
        study = snapshot.body["metadata"]["name"]
        if attempt is not None:
            name = names.pod_name(study, index, attempt)
            there = [each for each in there if each["metadata"]["name"] == name]
        if not there:
            which = "" if attempt is None else f" of attempt {attempt}"
            mend = "its pod is gone, or not there yet; spec.retention says how long pods are kept"
            raise MissingError(f"trial {index} has no log{which}: {mend}")
        return await self._log(there[-1], tail)

    async def _log(self, pod: dict[str, Any], tail: int) -> bytes:
        metadata, container = pod["metadata"], pods.training(pod)
        chunks = self._client.log(
            metadata["namespace"], metadata["name"], container=container, tail=tail
        )
        found = bytearray()
        try:
            async with aclosing(chunks):
                async for chunk in chunks:
                    found += chunk
                    del found[:-MAX_LOG]
        except ApiError as error:
            if error.status not in (400, 404):
                raise
            said = f"pod {metadata['name']}, container {container}: {error.message}"
            raise MissingError(printable(said)) from error
        return bytes(found)


class _Follower:
    """Keeps one feed up: trial objects by a watch, archived trials whenever objects go."""

    def __init__(self, client: Client, feed: Feed) -> None:
        assert feed.live.body is not None
        metadata = feed.live.body["metadata"]
        self._feed, self._uid = feed, metadata["uid"]
        self._client, self._namespace = client, metadata["namespace"]
        self._study = metadata["name"]
        self._archives = ArchiveReader[dict[str, Any]](client, self._namespace, self._study)
        self._archived: dict[int, Any] = {}  # the same, as they are read
        self._gone: set[int] = set()
        self._news = asyncio.Event()

    async def run(self) -> None:
        trials = Informer(  # not kept here: it holds this one, and all trial objects
            self._client,
            TRIALS,
            TrialObject,
            namespace=self._namespace,
            label_selector=f"{names.STUDY_LABEL}={self._study}",
            on_change=self._heard,
        )
        watching = begin(trials.run(), "trials")
        try:
            await trials.synced.wait()
            await self._read_archives()
            self._feed.complete()
            while True:
                await self._woken()
                await asyncio.sleep(SETTLE)
                self._news.clear()
                await self._read_archives()
                self._feed.touch()
        finally:
            await cancel(watching)

    def _heard(self, change: Change, old: TrialObject | None, new: TrialObject | None) -> None:
        item = new or old
        assert item is not None
        read = _read(item)
        index = int(read["spec"].get("index", -1))
        if not self._owns(item.metadata, index):
            return
        if new is None:
            self._gone.add(index)
            self._news.set()
            return
        self._gone.discard(index)
        # What an archive holds of a trial is more than an object that nothing has happened to.
        if read["status"] or index not in self._archived:
            self._feed.live.see_trial(read)
            self._feed.touch()

    def _owns(self, metadata: Metadata, index: int) -> bool:
        owner = metadata.controller
        named = metadata.name == names.trial_name(self._study, index)
        return owner is not None and owner.uid == self._uid and named

    async def _woken(self) -> None:
        """Waits until archives are to be read again."""
        left = AGAIN if self._feed.live.trouble else None
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), left)

    async def _read_archives(self) -> None:
        """Tried until there is an answer: without them a study would look smaller than it is."""
        failures = 0
        while not await self._answered():
            failures += 1
            self._feed.touch()
            await asyncio.sleep(BACKOFF.delay(failures, random.random()))

    async def _answered(self) -> bool:
        """Reads them; false if another try may help."""
        live = self._feed.live
        try:
            self._archived = await self._archives.read(self._uid, dict)
        except Forbidden as error:
            where = f"hyperbandarchives in namespace {self._namespace}"
            return self._lack(f"this page may not list and get {where}: ask for the role", error)
        except UnreadableArchiveError as error:
            live.archived = True
            return self._lack(str(error), error)
        except (KubernetesError, msgspec.MsgspecError) as error:
            self._lack(f"{error}: it is tried again", error)
            return False
        live.tell("")
        self._apply()
        return True

    def _lack(self, why: str, error: Exception) -> bool:
        log.warning("study %s: %s", self._study, error)
        self._feed.live.tell(f"Archived trials, if there are any, are missing here: {why}")
        return True

    def _apply(self) -> None:
        """All that is archived, and then what is gone for good."""
        live = self._feed.live
        live.archived = bool(self._archived)
        for index, body in self._archived.items():
            if index in self._gone or not live.happened(index):
                live.see_trial(body)
        for index in self._gone - set(self._archived):
            live.forget(index)
        self._gone.clear()


def _read(item: TrialObject) -> dict[str, Any]:
    metadata = {"name": item.metadata.name, "uid": item.metadata.uid}
    return {
        "metadata": metadata,
        "spec": msgspec.json.decode(item.spec),
        "status": msgspec.json.decode(item.status),
    }


def _body(item: CustomObject) -> Body:
    metadata = item.metadata
    created = metadata.creation_timestamp
    return {
        "metadata": {
            "name": metadata.name,
            "namespace": metadata.namespace,
            "uid": metadata.uid,
            "creationTimestamp": in_seconds(created) if created else None,
        },
        "spec": item.spec,
        "status": item.status,
    }


def _owned(pod: Body, uid: str | None) -> bool:
    owners = pod["metadata"].get("ownerReferences") or []
    return any(each.get("controller") and each.get("uid") == uid for each in owners)
