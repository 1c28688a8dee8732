"""Changes of one study as server-sent events."""

import asyncio
import contextlib
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import msgspec
from aiohttp import web

from hyperband.api.words import state, status
from hyperband.dashboard.answers import Answers
from hyperband.dashboard.feeds import Feed, UnavailableError
from hyperband.dashboard.snapshot import Snapshot
from hyperband.dashboard.studies import page
from hyperband.plots.figure import finite

KEEP_ALIVE: Final = 15.0  # seconds
REVIEW: Final = 30.0  # seconds between two looks at the viewer's rights
GIVE_UP: Final = 30.0  # seconds for which a viewer may take nothing of what is sent
MOST: Final = 500  # streams at once
SHARE: Final = 50  # of one viewer
Review = Callable[[], Awaitable[str]]  # why the stream must end, or ""
Wait = Callable[[Awaitable[Any], float], Awaitable[bool]]


def change(snapshot: Snapshot) -> dict[str, Any]:
    """What a viewer is told of a version."""
    running = []
    for index, trial in snapshot.trials.items():
        latest = status(trial).get("latest") or {}
        if state(trial) == "Running" and finite(latest.get("value")):
            running.append([index, latest["resource"], latest["value"]])
    return {"version": snapshot.version, "study": page(snapshot), "running": running}


class Places:
    """How many streams are open, so that they are not too many, nor all of one viewer."""

    def __init__(self, most: int = MOST, share: int = SHARE) -> None:
        self._most, self._share = most, share
        self._open: Counter[str] = Counter()

    @contextlib.contextmanager
    def one(self, viewer: str) -> Iterator[None]:
        """A stream of a viewer is open meanwhile.

        Raises:
            UnavailableError: there is no place for it.
        """
        if self._open[viewer] >= self._share:
            raise UnavailableError(f"you have {self._share} pages open already: close one")
        if self._open.total() >= self._most:
            raise UnavailableError(f"{self._most} pages are open already: try again later")
        self._open[viewer] += 1
        try:
            yield
        finally:
            self._open -= Counter([viewer])  # none is kept at zero


class Stream:
    """One viewer's.

    Args:
        wait: whether a wait has ended within so many seconds.
    """

    def __init__(
        self,
        feed: Feed,
        answers: Answers,
        review: Review,
        review_every: float = REVIEW,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Wait | None = None,
    ) -> None:
        self._feed, self._answers = feed, answers
        self._review, self._every = review, review_every
        self._clock, self._wait = clock, wait or _within

    async def send(self, response: web.StreamResponse) -> None:
        """Tells the latest version and then each change, until the viewer must not see more.

        Raises:
            TimeoutError: the viewer takes nothing any more.
        """
        told = reviewed = self._clock()
        async with self._feed.subscribed() as subscription:
            subscription.news.set()
            while True:
                until = min(told + KEEP_ALIVE, reviewed + self._every)
                news = await self._wait(subscription.news.wait(), max(until - self._clock(), 0.0))
                if self._clock() >= reviewed + self._every:
                    if reason := await self._review():
                        await _end(response, reason)
                        return
                    reviewed = self._clock()
                if self._feed.gone:
                    await _end(response, "unavailable" if self._feed.failure else "deleted")
                    return
                if news:
                    await self._tell(response, subscription.take())
                elif self._clock() >= told + KEEP_ALIVE:
                    await _write(response, b": keep-alive\n\n")
                else:
                    continue
                told = self._clock()

    async def _tell(self, response: web.StreamResponse, changed: list[str]) -> None:
        snapshot = self._feed.latest
        if snapshot is None:
            return
        made = await self._answers.of(  # one for each version, whatever else is asked for
            snapshot, "change", lambda: change(snapshot), most=sys.maxsize, share=sys.maxsize
        )
        head = b'{"changed":' + msgspec.json.encode(changed) + b","
        await _write(response, b"event: change\ndata: " + head + made.plain[1:] + b"\n\n")


async def _within(wait: Awaitable[Any], seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(wait, seconds)
        return True
    return False


async def _write(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(GIVE_UP):
        await response.write(data)


async def _end(response: web.StreamResponse, reason: str) -> None:
    body = msgspec.json.encode({"reason": reason})
    await _write(response, b"event: end\ndata: " + body + b"\n\n")
