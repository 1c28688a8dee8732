"""Answers made once for all who ask for the same: in threads, encoded and compressed."""

import asyncio
import gzip
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from hyperband.dashboard.snapshot import Snapshot

MAX_KEPT: Final = 64  # of one version
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

    def close(self) -> None:
        """Ends the threads, once they have done what they are at."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def of(
        self, snapshot: Snapshot, key: Hashable, make: Callable[[], dict[str, Any]]
    ) -> Answer:
        """The answer of that key of a version, made by the first who asks for it."""
        task: asyncio.Future[Answer] | None = snapshot.memo.get(key)
        if task is None:
            while len(snapshot.memo) >= MAX_KEPT:
                del snapshot.memo[next(iter(snapshot.memo))]
            loop = asyncio.get_running_loop()
            task = loop.run_in_executor(self._pool, _made, make)
            snapshot.memo[key] = task
        return await asyncio.shield(task)


def _made(make: Callable[[], dict[str, Any]]) -> Answer:
    return answer(make())


def answer(content: Any) -> Answer:
    """Plain data encoded; what is no finite number becomes null."""
    plain = msgspec.json.encode(content)
    packed = gzip.compress(plain, LEVEL, mtime=0) if len(plain) >= LEAST_PACKED else None
    return Answer(plain, packed)
