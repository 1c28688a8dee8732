"""Answers made once for all who ask for the same: in threads, encoded and compressed."""

import asyncio
import gzip
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec

from hyperband.dashboard.feeds import UnavailableError
from hyperband.dashboard.snapshot import Snapshot

MAX_KEPT: Final = 128  # of one version: more than there are keys, so that none crowds others out
MAX_PENDING: Final = 200  # a study's page asks for ten at once, and two are made at a time
MAX_SHARE: Final = 100  # of one namespace, so that none keeps the others from asking
LEAST_PACKED: Final = 1000  # bytes
LEVEL: Final = 1  # of compression: a laptop's own network is fast


@dataclass(frozen=True, slots=True)
class Answer:
    """JSON, and the same compressed where it is worth while."""

    plain: bytes
    packed: bytes | None


class Answers:
    """Makes them; two at a time, as what is made here holds Python's lock."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(2, "view")
        self._pending: Counter[str] = Counter()  # by namespace

    def close(self) -> None:
        """Ends the threads, once they have done what they are at."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def of(
        self,
        snapshot: Snapshot,
        key: Hashable | None,
        make: Callable[[], dict[str, Any]],
        *,
        most: int = MAX_PENDING,
        share: int = MAX_SHARE,
    ) -> Answer:
        """The answer of that key of a version, made by the first who asks for it.

        Args:
            key: one of few; None for what hardly two ask for, such as any part of a table.
            most: how many may be waited for.
            share: how many of these may be of one namespace.

        Raises:
            UnavailableError: as many are waited for already.
        """
        namespace = snapshot.body["metadata"]["namespace"]
        if key is None:
            return await self._begin(make, namespace, most, share)
        task: asyncio.Future[Answer] | None = snapshot.memo.get(key)
        if task is None:
            task = self._begin(make, namespace, most, share)
            while len(snapshot.memo) >= MAX_KEPT:
                del snapshot.memo[next(iter(snapshot.memo))]
            snapshot.memo[key] = task
        return await asyncio.shield(task)

    async def alone(self, make: Callable[[], dict[str, Any]]) -> Answer:
        """An answer made for one viewer, and not at all if they have left before it is begun.

        Raises:
            UnavailableError: too many are waited for already.
        """
        return await self._begin(make, "", MAX_PENDING, MAX_SHARE)

    def _begin(
        self, make: Callable[[], dict[str, Any]], namespace: str, most: int, share: int
    ) -> "asyncio.Future[Answer]":
        if self._pending.total() >= most or self._pending[namespace] >= share:
            said = f"{self._pending.total()} views are to be made already"
            raise UnavailableError(f"{said}: it is more than this server can do, try again later")
        task = asyncio.get_running_loop().run_in_executor(self._pool, _made, make)
        self._pending[namespace] += 1
        task.add_done_callback(partial(self._done, namespace))
        return task

    def _done(self, namespace: str, task: "asyncio.Future[Answer]") -> None:
        self._pending -= Counter([namespace])  # none is kept at zero


def _made(make: Callable[[], dict[str, Any]]) -> Answer:
    return answer(make())


def answer(content: Any) -> Answer:
    """Plain data encoded; what is no finite number becomes null."""
    plain = msgspec.json.encode(content)
    packed = gzip.compress(plain, LEVEL, mtime=0) if len(plain) >= LEAST_PACKED else None
    return Answer(plain, packed)
