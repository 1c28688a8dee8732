"""Which trials are to be looked at, and looking at them: many at once, and none twice at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
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
    """

    def __init__(self, look: Callable[[int], Awaitable[None]], due: Iterable[int]) -> None:
        self.due = set(due)
        self._look = look
        self._news: set[int] = set()  # those of `due` that something was heard of just now
        self._heard = asyncio.Event()  # set when one of these may be looked at
        self._busy: set[int] = set()
        self._left: dict[int, None] = {}  # a set in order: the last look at all had no time for it
        self._done = 0

    def notice(self, index: int) -> None:
        """Something has happened to this trial."""
        self.due.add(index)
        self._news.add(index)
        self._heard.set()

    @property
    def busy(self) -> Collection[int]:
        """The trials about which something is done just now."""
        return self._busy

    @contextmanager
    def held(self, indices: Collection[int]) -> Iterator[None]:
        """News of these trials, about which nothing is done now, wait until it is over."""
        self._busy.update(indices)
        try:
            yield
        finally:
            self._busy.difference_update(indices)
            self._heard.set()

    def waits(self, index: int) -> bool:
        """Whether there was no time yet for a look at this trial."""
        return index in self._news or index in self._left

    @property
    def left(self) -> bool:
        """Whether there was no time yet for some."""
        return bool(self._news or self._left)

    async def at_all(self, enough: Callable[[], bool] = lambda: False) -> None:
        """Looks at all that are due, and at news that come meanwhile.

        Args:
            enough: whether to begin no more of them. Those come first the next time.
        """
        order = [index for index in self._left if index in self.due]
        order += sorted(self.due - self._left.keys())
        self._left.clear()
        self._news.clear()
        over = False

        async def look(index: int) -> None:
            nonlocal over
            if over or index in self._busy or index not in self.due:  # its news have come first
                return
            if enough():
                over = True
                rest = (i for i in order[order.index(index) :] if i in self.due)
                self._left = dict.fromkeys(i for i in rest if i not in self._busy)
                return
            await self._alone(index)

        await self.attend(for_each(order, look, HANDS))

    async def attend(self, work: Coroutine[Any, Any, T]) -> T:
        """Looks at news for as long as something else takes, and comes to what that comes to.

        What was begun is brought to its end whatever happens, unless this is cancelled. What was
        not, once the work is done, waits for the next look at all: there may be much of it.

        Raises:
            BaseException: the first error of a look, else that of the work.
        """
        task = asyncio.ensure_future(work)
        try:
            await asyncio.sleep(0)  # it may have nothing to wait for
            async with Hands(HANDS) as hands:
                while not task.done() and not hands.failed:
                    self._heard.clear()
                    await self.at_news(hands, enough=task.done)
                    await either(task, self._heard)
        except asyncio.CancelledError:
            task.cancel()
            raise
        finally:
            await asyncio.gather(task, return_exceptions=True)
        return task.result()

    async def at_news(
        self, hands: Hands, most: int | None = None, enough: Callable[[], bool] = lambda: False
    ) -> None:
        """Begins to look at what something was heard of and nothing is done about.

        Args:
            most: how many of them to begin with; None for all. The others stay news.
            enough: whether to begin no more of them.
        """
        for index in islice(sorted(self._news - self._busy), most):
            if hands.failed or enough():
                return
            if index in self._news and index not in self._busy:  # still, after the wait for a hand
                await self.begin(hands, index)

    async def begin(
        self, hands: Hands, index: int, first: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Begins to look at a trial once a hand is free; where none ever is, it stays due.

        Args:
            first: what is to be done about it before the look.
        """
        self.due.add(index)
        self._busy.add(index)
        if not await hands.begin(self._alone(index, first)):
            self._busy.discard(index)

    async def _alone(self, index: int, first: Callable[[], Awaitable[None]] | None = None) -> None:
        """Looks while nothing else is done about the trial: two would write its record."""
        self._busy.add(index)
        self._news.discard(index)
        self._left.pop(index, None)
        try:
            if first is not None:
                await first()
            await self._look(index)
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
