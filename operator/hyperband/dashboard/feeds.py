"""The studies that somebody looks at: kept up while looked at, published at most twice a second."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, Protocol

from hyperband.dashboard.snapshot import Body, Live, Snapshot

log = logging.getLogger(__name__)

GAP: Final = 0.5  # seconds between two versions
IDLE: Final = 120.0  # seconds for which a study is kept up that nobody looks at
MAX_FEEDS: Final = 64
PATIENCE: Final = 60.0  # seconds for which a viewer waits for a study to be read
Key = tuple[str, str]  # namespace, name


class MissingError(Exception):
    """What is asked for is not there; the message says so with the mend."""


class UnavailableError(Exception):
    """It cannot be told now; the message says why, and what would help."""


class Source(Protocol):
    """Where studies come from."""

    @property
    def local(self) -> bool:
        """Whether attempts are processes of a machine without a cluster."""

    @property
    def wrong(self) -> str:
        """Why it cannot tell which studies there are, in words; empty if it can."""

    def studies(self) -> list[Body]:
        """All of them, as last seen."""

    def study(self, namespace: str, name: str) -> Body | None:
        """One of them."""

    async def follow(self, feed: "Feed") -> None:
        """Brings the feed all news of its study, until cancelled."""

    async def pods(self, snapshot: Snapshot, index: int) -> list[dict[str, Any]]:
        """The pods of a trial as they are."""

    async def events(self, snapshot: Snapshot, index: int) -> list[dict[str, Any]]:
        """What was told of a trial and its pods, latest first."""

    async def log(self, snapshot: Snapshot, index: int, attempt: int | None, tail: int) -> bytes:
        """The end of what a trial's attempt has written.

        Raises:
            MissingError: there is none.
        """


class Subscription:
    """What has changed since a viewer was told last."""

    def __init__(self) -> None:
        self.changed: set[str] = set()
        self.news = asyncio.Event()

    def take(self) -> list[str]:
        """What has; from now on nothing has."""
        self.news.clear()
        taken, self.changed = sorted(self.changed), set()
        return taken


class Feed:
    """One study that is looked at.

    Attributes:
        live: its objects; whoever changes them holds `lock`, and then calls `touch`.
        latest: the last version that was published; None until all has been read once.
        gone: set once nobody brings news any more, as there is no such study or for `failure`.
        failure: why there are no more news of a study that may be there, in words, or empty.
    """

    def __init__(
        self,
        key: Key,
        gap: float = GAP,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        version: int = 0,
    ) -> None:
        self.key = key
        self.live = Live(version)
        self.lock = asyncio.Lock()
        self.latest: Snapshot | None = None
        self.gone = False
        self.failure = ""
        self.read = False  # all of it, once
        self.published = asyncio.Event()
        self.subscriptions: set[Subscription] = set()
        self._dirty = asyncio.Event()
        self._gap, self._sleep = gap, sleep

    def touch(self) -> None:
        """Something may have changed."""
        if self.read and (self.live.changed or self.latest is None):
            self._dirty.set()

    def complete(self) -> None:
        """All has been read: from now on there are versions."""
        self.read = True
        self.touch()

    def end(self, failure: str = "") -> None:
        """The study is gone, or cannot be followed any more."""
        self.gone, self.failure = True, failure
        self.published.set()
        self._wake(frozenset())

    async def publish(self) -> None:
        """Makes versions of the changes, until cancelled."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            async with self.lock:
                self._publish()
            await self._sleep(self._gap)

    def _publish(self) -> None:
        try:
            self.latest, changed = self.live.snapshot()
        except LookupError:
            return
        self.published.set()
        self._wake(changed)

    def _wake(self, changed: frozenset[str]) -> None:
        for each in self.subscriptions:
            each.changed |= changed
            each.news.set()

    @asynccontextmanager
    async def subscribed(self) -> AsyncIterator[Subscription]:
        """News for one viewer, meanwhile."""
        subscription = Subscription()
        self.subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self.subscriptions.discard(subscription)


class _Held:
    def __init__(self, feed: Feed, tasks: list["asyncio.Task[None]"], now: float) -> None:
        self.feed, self.tasks, self.looked = feed, tasks, now


class Feeds:
    """The feeds of all viewers, one for each study."""

    def __init__(
        self,
        source: Source,
        *,
        idle: float = IDLE,
        most: int = MAX_FEEDS,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._source, self._idle, self._most = source, idle, most
        self._patience, self._clock, self._wall = patience, clock, wall
        self._held: dict[Key, _Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    async def get(self, namespace: str, name: str) -> tuple[Feed, Snapshot]:
        """A study's feed, and its latest version.

        Raises:
            MissingError: there is no such study.
            UnavailableError: it cannot be read now.
        """
        if self._source.study(namespace, name) is None:
            if self._source.wrong:
                raise UnavailableError(self._source.wrong)
            raise MissingError(f"there is no study {name} in namespace {namespace}")
        held = self._hold((namespace, name))
        try:
            await asyncio.wait_for(held.feed.published.wait(), self._patience)
        except TimeoutError:
            said = f"study {name} could not be read within {self._patience:.0f} s"
            why = held.feed.live.trouble or "look at the log of this server"
            raise UnavailableError(f"{said}: {why}") from None
        if held.feed.failure:
            raise UnavailableError(held.feed.failure)
        if held.feed.gone or held.feed.latest is None:
            raise MissingError(f"there is no study {name} in namespace {namespace} any more")
        return held.feed, held.feed.latest

    def changed(self, key: Key, body: Body | None) -> None:
        """The object of a study has changed, or is gone."""
        held = self._held.get(key)
        if held is None:
            return
        known = held.feed.live.body
        if body is None or (known and known["metadata"]["uid"] != body["metadata"]["uid"]):
            self._drop(key)
        else:
            held.feed.live.see_study(body)
            held.feed.touch()

    def _hold(self, key: Key) -> _Held:
        held = self._held.get(key)
        if held is None:
            self.sweep()
            if len(self._held) >= self._most:
                self._make_room(key[0])
            # No version comes twice, not even of another process: pages know by it what is new.
            feed = Feed(key, version=int(self._wall() / GAP))
            feed.live.see_study(self._source.study(*key))
            tasks = [
                asyncio.create_task(self._source.follow(feed), name=f"follow {key}"),
                asyncio.create_task(feed.publish(), name=f"publish {key}"),
            ]
            held = self._held[key] = _Held(feed, tasks, self._clock())
            for task in tasks:
                task.add_done_callback(partial(self._ended, held))
        held.looked = self._clock()
        return held

    def sweep(self) -> None:
        """Drops what nobody has looked at for long."""
        for key, held in list(self._held.items()):
            if held.feed.subscriptions:
                held.looked = self._clock()
            elif self._clock() - held.looked > self._idle:
                self._drop(key)

    def _make_room(self, namespace: str) -> None:
        """Drops what nobody has looked at for longest, or one of a namespace that crowds others
        out; other open pages are not robbed of theirs."""
        free = [held for held in self._held.values() if not held.feed.subscriptions]
        oldest = min(free or self._crowding(namespace), key=lambda held: held.looked, default=None)
        if oldest is None:
            mend = "close one, or try again in some minutes"
            raise UnavailableError(f"{self._most} studies are open in pages already: {mend}")
        self._drop(oldest.feed.key, "too many studies are looked at just now: try again")

    def _crowding(self, namespace: str) -> list[_Held]:
        """All of the namespace that has the most, if it will still have no less than this one."""
        count = Counter(key[0] for key in self._held)
        [(largest, most)] = count.most_common(1)
        if most <= count[namespace] + 1:
            return []
        return [held for key, held in self._held.items() if key[0] == largest]

    def _drop(self, key: Key, failure: str = "") -> None:
        held = self._held.pop(key)
        for task in held.tasks:
            task.cancel()
        held.feed.end(failure)

    def _ended(self, held: _Held, task: "asyncio.Task[None]") -> None:
        """One that has failed is dropped: whoever looks next begins anew."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        log.error("%s has ended: %s", task.get_name(), error, exc_info=error)
        key = held.feed.key
        if self._held.get(key) is held:
            said = f"study {key[1]} cannot be followed: try again"
            self._drop(key, f"{said}, and look at the log of this server")

    async def run(self) -> None:
        """Sweeps now and then, until cancelled; then drops all."""
        try:
            while True:
                await asyncio.sleep(self._idle / 4)
                self.sweep()
        finally:
            self.drop_all()

    def drop_all(self) -> None:
        """Follows no study any more."""
        for key in list(self._held):
            self._drop(key)
