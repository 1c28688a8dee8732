"""A page's server in a thread, of studies in memory that a test changes while a browser looks."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from aiohttp import web

from benchmarks.server import free_ports
from hyperband.api.words import status
from hyperband.backends.kubernetes.telemetry.server import Address
from hyperband.dashboard.access import OwnMachine, UnknownViewerError, Viewer
from hyperband.dashboard.feeds import Feed, Feeds
from hyperband.dashboard.serve import LOOPBACK, serving
from hyperband.dashboard.snapshot import Snapshot

Body = dict[str, Any]
TOKEN = "the-token"


class Token(OwnMachine):
    """One token, which a test may declare expired; `mode` is what the page takes it for."""

    def __init__(self, mode: str) -> None:
        super().__init__(TOKEN)
        self.mode, self.expired = mode, False

    async def viewer(self, request: web.Request) -> Viewer:
        if self.expired:
            raise UnknownViewerError("the token has expired: ask for another one")
        return await super().viewer(request)


class Studies:
    """Studies with their trials, as a source of the server."""

    local = False
    wrong = ""

    def __init__(self, studies: Sequence[tuple[Body, list[Body]]]) -> None:
        self._held = {
            (study["metadata"]["namespace"], study["metadata"]["name"]): (study, trials)
            for study, trials in studies
        }
        self._feeds: dict[tuple[str, str], Feed] = {}
        self.logs = b"epoch 1: loss 0.5\n"
        self.told: list[Body] = []
        self.standing: list[Body] = []  # pods, instead of those of the attempts that go on

    def studies(self) -> list[Mapping[str, Any]]:
        return [study for study, _ in self._held.values()]

    def study(self, namespace: str, name: str) -> Body | None:
        return self._held[namespace, name][0] if (namespace, name) in self._held else None

    async def follow(self, feed: Feed) -> None:
        self._feeds[feed.key] = feed
        for trial in self._held[feed.key][1]:
            feed.live.see_trial(trial)
        feed.complete()
        await asyncio.Event().wait()

    async def pods(self, snapshot: Snapshot, index: int) -> list[Body]:
        found = status(snapshot.trials[index]).get("attempts") or ()
        return self.standing or [
            {
                "name": each["pod"],
                "attempt": each["number"],
                "node": each.get("node", ""),
                "phase": "Running",
                "reason": "",
                "message": "",
                "started": each.get("startTime"),
                "ended": None,
                "containers": [],
            }
            for each in found
            if not each.get("endTime")
        ]

    async def events(self, snapshot: Snapshot, index: int) -> list[Body]:
        return self.told

    async def log(self, snapshot: Snapshot, index: int, attempt: int | None, tail: int) -> bytes:
        return b"".join(self.logs.splitlines(keepends=True)[-tail:])

    def held(self, key: tuple[str, str]) -> tuple[Body, list[Body]]:
        """A study and its trials as they are."""
        return self._held[key]

    def change(self, key: tuple[str, str], index: int, edit: Callable[[Body], None]) -> None:
        """A trial's object becomes what is made of it; called in the server's loop."""
        trials = self._held[key][1]
        trials[index] = deepcopy(trials[index])
        edit(trials[index])
        if key in self._feeds:
            self._feeds[key].live.see_trial(trials[index])
            self._feeds[key].touch()

    def lack(self, key: tuple[str, str], trouble: str) -> None:
        """Something of a study cannot be read, or all can again."""
        self._feeds[key].live.tell(trouble)
        self._feeds[key].touch()

    def change_study(self, key: tuple[str, str], edit: Callable[[Body], None]) -> None:
        """The same for the study's own object."""
        study, trials = self._held[key]
        study = deepcopy(study)
        edit(study)
        self._held[key] = (study, trials)
        if key in self._feeds:
            self._feeds[key].live.see_study(study)
            self._feeds[key].touch()


class Stage:
    """The server; it can be stopped and started again at the same port."""

    def __init__(self, source: Studies, mode: str = "laptop") -> None:
        self.source, self.access = source, Token(mode)
        (self.port,) = free_ports(1)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._stop: asyncio.Event | None = None
        self._serving: Any = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def link(self) -> str:
        """As `hyperband dashboard` prints it."""
        return f"{self.address}#token={TOKEN}"

    def call(self, function: Callable[..., None], *words: Any) -> None:
        """Runs in the server's loop, and waits for it."""

        async def run() -> None:
            function(*words)

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(30)

    def start(self) -> None:
        ready: asyncio.Future[None] = asyncio.run_coroutine_threadsafe(self._started(), self._loop)  # type: ignore[assignment]
        ready.result(30)  # type: ignore[call-arg]

    async def _started(self) -> None:
        stop, ready = asyncio.Event(), asyncio.Event()

        async def serve() -> None:
            feeds = Feeds(self.source)
            running = asyncio.create_task(feeds.run())
            address = Address("127.0.0.1", self.port)
            async with serving(
                self.source, feeds, self.access, address, hosts=LOOPBACK
            ) as self.port:
                ready.set()
                await stop.wait()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

        self._stop, self._serving = stop, asyncio.ensure_future(serve())
        await ready.wait()

    def stop(self) -> None:
        async def ended() -> None:
            assert self._stop is not None
            self._stop.set()
            await self._serving

        asyncio.run_coroutine_threadsafe(ended(), self._loop).result(30)

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


@contextmanager
def staged(studies: Sequence[tuple[Body, list[Body]]], mode: str = "laptop") -> Iterator[Stage]:
    """A server of these studies, meanwhile."""
    stage = Stage(Studies(studies), mode)
    stage.start()
    try:
        yield stage
    finally:
        stage.close()
