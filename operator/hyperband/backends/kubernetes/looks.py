"""Which trials are to be looked at, and looking at them: many at once, and none twice at a time."""

import asyncio
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import partial
from typing import Any, TypeVar

from hyperband.backends.kubernetes.hands import HANDS, Hands, for_each
from hyperband.backends.kubernetes.tasks import either

T = TypeVar("T")

BREATH = 50  # looks before others on the event loop have a turn


class Looks:
    """The trials of one study, by index.

    Args:
        look: does all that there is to do about a trial. It takes it out of `due` before it begins,
            so that news meanwhile are not lost, and puts it there again if something is left.
        due: those that are to be looked at in the beginning.

    Attributes:
        due: those that are to be looked at.
        left: whether the last look at all has left some.
    """

    def __init__(self, look: Callable[[int], Awaitable[None]], due: Iterable[int]) -> None:
        self.due = set(due)
        self._look = look
        self._news: set[int] = set()  # those of `due` that something was heard of just now
        self._heard = asyncio.Event()  # set when one of these may be looked at
        self._busy: set[int] = set()
        self._done = 0
        self.left = False
        self._next = 0  # where the next look at all begins

    def notice(self, index: int) -> None:
        """Something has happened to this trial."""
        self.due.add(index)
        self._news.add(index)
        self._heard.set()

    def is_busy(self, index: int) -> bool:
        """Whether something is done about this trial just now."""
        return index in self._busy

    async def at_all(self, enough: Callable[[], bool] = lambda: False) -> None:
        """Looks at all that are due, and at news that come meanwhile.

        Args:
            enough: whether to begin no more of them. Those come first the next time.
        """
        self._news.clear()
        self.left = False

        async def look(index: int) -> None:
            if self.left or index in self._busy:  # its news have come first
                return
            if enough():
                self.left, self._next = True, index
                return
            await self._alone(index, partial(self._look, index))

        order = sorted(self.due)
        begin = bisect_left(order, self._next)
        self._next = 0
        await self.attend(for_each(order[begin:] + order[:begin], look, HANDS))

    async def attend(self, work: Coroutine[Any, Any, T]) -> T:
        """Looks at news for as long as something else takes, and comes to what that comes to.

        What was begun is brought to its end whatever happens, unless this is cancelled.

        Raises:
            BaseException: the first error of a look, else that of the work.
        """
        task = asyncio.ensure_future(work)
        try:
            async with Hands(HANDS) as hands:
                while not task.done() and not hands.failed:
                    self._heard.clear()
                    await self.at_news(hands)
                    await either(task, self._heard)
        except asyncio.CancelledError:
            task.cancel()
            raise
        finally:
            await asyncio.gather(task, return_exceptions=True)
        return task.result()

    async def at_news(self, hands: Hands) -> None:
        """Begins to look at what something was heard of and nothing is done about."""
        ready = self._news - self._busy
        self._news -= ready
        for index in sorted(ready):
            if hands.failed:
                return
            await self.begin(hands, index, partial(self._look, index))

    async def begin(self, hands: Hands, index: int, work: Callable[[], Awaitable[None]]) -> None:
        """Begins what is done about one trial, once a hand is free."""
        self._busy.add(index)
        await hands.begin(self._alone(index, work))

    async def _alone(self, index: int, work: Callable[[], Awaitable[None]]) -> None:
        """Does what nothing else may be done beside: two would write the trial's record."""
        self._busy.add(index)
        try:
            await work()
        except BaseException:
            self._heard.set()  # whoever attends is to know that a hand has failed
            raise
        finally:
            self._busy.discard(index)
            if index in self._news:
                self._heard.set()
        self._done += 1
        if self._done % BREATH == 0:
            await asyncio.sleep(0)
