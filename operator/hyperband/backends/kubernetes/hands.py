"""Several things done at once, and no more than so many.

After an error nothing more is begun, what was begun is brought to its end, as it may be a write
that is under way, and then the first error is raised.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")

HANDS = 32  # trials of a study that are worked on at once, each with one request at a time
FEW = 4  # the same, where nobody waits for it: somebody waits for others that come behind it


async def for_each(items: Iterable[T], work: Callable[[T], Awaitable[None]], hands: int) -> None:
    """Does the work for each, beginning in their order.

    Raises:
        BaseException: the first error of the work.
    """
    waiting = list(items)
    if len(waiting) == 1:
        await work(waiting[0])
        return
    errors: list[BaseException] = []
    left = iter(waiting)

    async def one() -> None:
        while not errors and (item := next(left, None)) is not None:
            try:
                await work(item)
            except BaseException as error:
                errors.append(error)
                raise

    workers = (one() for _ in range(min(hands, len(waiting))))
    await asyncio.gather(*workers, return_exceptions=True)
    if errors:
        raise errors[0]


class Hands:
    """Works on what is given to it one after the other; `async with` waits for all of it.

    Args:
        count: how many things it does at once.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._tasks: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None

    async def __aenter__(self) -> "Hands":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and not issubclass(kind, Exception):  # cancelled, as a rule
            for task in self._tasks:
                task.cancel()
        await self.finish()
        # A cancellation is told of before any error: who has asked for it waits for it.
        if self._error is not None and (kind is None or issubclass(kind, Exception)):
            raise self._error

    @property
    def failed(self) -> bool:
        """Whether something has gone wrong: nothing more should be begun."""
        return self._error is not None

    async def begin(self, work: Coroutine[Any, Any, None]) -> bool:
        """Begins once a hand is free; after an error, not at all. Gives whether it has."""
        while len(self._tasks) >= self._count:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        if self.failed:
            work.close()
            return False
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return True

    async def finish(self) -> None:
        """Waits for what is under way; if that is cancelled, so is the work."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._error = self._error or error
