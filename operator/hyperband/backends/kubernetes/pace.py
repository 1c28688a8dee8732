"""How often something may be done, by all together."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from hyperband.backends.kubernetes.hands import FEW


class Pace:
    """Gives out moments, in the order in which they are asked for.

    Who has reserved one and comes late for it may meet others who are late, too: each passes the
    gate, which lets one in after the other, and no more than a few until others are done.

    Args:
        rate: of them a second.
    """

    def __init__(
        self, rate: float, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._interval, self._sleep = 1.0 / rate, sleep
        self._last = self._passed = -math.inf
        self._inside = asyncio.Semaphore(FEW)

    def reserve(self, now: float) -> float:
        """The next moment that nobody has, in seconds by the clock of `now`; it is the caller's."""
        self._last = max(self._last + self._interval, now)
        return self._last

    @asynccontextmanager
    async def gate(self) -> AsyncIterator[None]:
        """Waits until whoever came before is as far ahead as the rate says."""
        async with self._inside:
            now = asyncio.get_running_loop().time()
            self._passed = max(self._passed + self._interval, now)
            if self._passed > now:
                await self._sleep(self._passed - now)
            yield
