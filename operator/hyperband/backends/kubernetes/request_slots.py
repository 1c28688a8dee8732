"""How many requests are under way at once, and which of those that wait is next.

An API server that is busy makes requests wait here. What a trial's report has led to is not to
stand behind the launches, statuses and events of a hundred studies: it decides what a GPU does.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Final

IN_FOUR: Final = 3  # of four slots, as many go to what is urgent while others wait, too

_urgent: ContextVar[bool] = ContextVar("urgent", default=False)


@contextmanager
def urgently() -> Iterator[None]:
    """What is sent meanwhile, by this task, goes before what others send."""
    token = _urgent.set(True)
    try:
        yield
    finally:
        _urgent.reset(token)


class Slots:
    """So many at once; those that wait come in their order, urgent ones before others.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._given = 0  # to urgent ones since others had one
        self._waiting: dict[bool, deque[asyncio.Future[None]]] = {True: deque(), False: deque()}

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Holds one of them."""
        if self._free > 0:
            self._free -= 1
        else:
            await self._wait(self._waiting[_urgent.get()])
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, queue: deque[asyncio.Future[None]]) -> None:
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was given just before
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """Gives a slot to the next one, or keeps it where nobody waits."""
        first = self._given < IN_FOUR
        for urgent in (first, not first):
            queue = self._waiting[urgent]
            while queue:
                turn = queue.popleft()
                if not turn.done():  # else it is cancelled
                    self._given = self._given + 1 if urgent else 0
                    turn.set_result(None)
                    return
        self._given = 0
        self._free += 1
