"""Which trials are to be looked at, and looking at them: many at once, and none twice at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, count
from typing import Any, TypeVar

from hyperband.backends.kubernetes.breath import Breath
from hyperband.backends.kubernetes.hands import HANDS, Hands, for_each
from hyperband.backends.kubernetes.tasks import either

T = TypeVar("T")


class Looks:
    """The trials of one study, by index.

    Args:
        look: does all that there is to do about a trial. It takes it out of `due` before it begins,
            so that news meanwhile are not lost, and puts it there again if something is left.
        due: those that are to be looked at in the beginning.
        breath: taken before each look that nothing was heard of; shared with other studies.

    Attributes:
        due: those that are to be looked at.
    """

    def __init__(
        self, look: Callable[[int], Awaitable[None]], due: Iterable[int], breath: Breath
    ) -> None:
        self.due = set(due)
        self._look, self._breath = look, breath
        # Both are sets in order, and parts of `due`.
        self._news: dict[int, None] = {}  # something was heard of them just now
        self._left: dict[int, None] = {}  # the last look at all had no time for them
        self._heard = asyncio.Event()  # set when one of the news may be looked at
        self._freed = asyncio.Event()  # set when nothing is done any more about one of the busy
        self._busy: set[int] = set()

    def notice(self, index: int) -> None:
        """Something has happened to this trial."""
        self.due.add(index)
        self._news[index] = None
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
            self._release(*indices)
            self._heard.set()

    async def until_free(self, index: int) -> None:
        """Waits until nothing is done about the trial."""
        while index in self._busy:
            self._freed.clear()
            await self._freed.wait()

    def _release(self, *indices: int) -> None:
        self._busy.difference_update(indices)
        self._freed.set()

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
        order = [*self._left, *sorted(self.due - self._left.keys())]
        self._left.clear()
        over = False

        async def look(index: int) -> None:
            nonlocal over
            await self._breath.take()
            if over or index in self._busy or index not in self.due:  # its news have come first
                return
            if enough():
                over = True
                rest = (i for i in order[order.index(index) :] if i in self.due)
                taken = self._busy | self._news.keys()
                self._left = dict.fromkeys(i for i in rest if i not in taken)
                return
            await self._alone(index)

        await self.attend(for_each(order, look, HANDS), enough)

    async def attend(
        self, work: Coroutine[Any, Any, T], enough: Callable[[], bool] = lambda: False
    ) -> T:
        """Looks at news for as long as something else takes, and comes to what that comes to.

        What was begun is brought to its end whatever happens, unless this is cancelled. What was
        not, once the work is done, waits for the next look at all: there may be much of it.

        Args:
            enough: whether to begin no more looks.

        Raises:
            BaseException: the first error of a look, else that of the work.
        """
        task = asyncio.ensure_future(work)
        try:
            await asyncio.sleep(0)  # it may have nothing to wait for
            async with Hands(HANDS) as hands:
                while not task.done() and not hands.failed:
                    self._heard.clear()
                    await self.at_news(hands, enough=lambda: task.done() or enough())
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

        Then, if there is time, at what the last look at all had no time for.

        Args:
            most: how many of them to begin with; None for all. The others stay as they are.
            enough: whether to begin no more of them.
        """
        for _ in count() if most is None else range(most):
            index = self._next()
            if index is None or hands.failed or enough():
                return
            await self.begin(hands, index)

    def _next(self) -> int | None:
        waiting = chain(self._news, self._left)
        return next((index for index in waiting if index not in self._busy), None)

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
            self._release(index)

    async def _alone(self, index: int, first: Callable[[], Awaitable[None]] | None = None) -> None:
        """Looks while nothing else is done about the trial: two would write its record."""
        self._busy.add(index)
        self._news.pop(index, None)
        self._left.pop(index, None)
        try:
            if first is not None:
                await first()
            await self._look(index)
        except BaseException:
            self._heard.set()  # whoever attends is to know that a hand has failed
            raise
        finally:
            self._release(index)
            if index in self._news:
                self._heard.set()
