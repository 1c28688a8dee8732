"""The Leases of several namespaces, for a process that works in all of them or in none."""

import asyncio
from collections.abc import Iterable

from hyperband.backends.kubernetes.lease import Election


class Elections:
    """Candidates that lead together: each of an `Election`'s methods, for all of them.

    They are taken in the order of the namespaces, and all given back where one is lost, so that two
    processes with some namespaces in common never wait for one another.
    """

    def __init__(self, elections: Iterable[Election]) -> None:
        self._elections = sorted(elections, key=lambda each: str(each.place))
        self._holding: list[asyncio.Task[None]] = []

    @property
    def leading(self) -> bool:
        return all(each.leading for each in self._elections)

    def why_not_leading(self) -> str:
        return "; ".join(filter(None, (each.why_not_leading() for each in self._elections)))

    def check(self) -> None:
        for each in self._elections:
            each.check()

    async def acquire(self) -> None:
        while True:
            if self._holding:
                await self.release()
            # A holder that has died is waited for once, not once for each of its namespaces.
            await asyncio.gather(*(each.look() for each in self._elections))
            for each in self._elections:
                await each.acquire()
                self._holding.append(asyncio.create_task(each.hold(), name=f"lease {each.place}"))
            if self.leading:
                return

    async def hold(self) -> None:
        await asyncio.wait(self._holding, return_when=asyncio.FIRST_COMPLETED)

    async def release(self) -> None:
        holding, self._holding = self._holding, []
        for task in holding:
            task.cancel()
        await asyncio.gather(*holding, return_exceptions=True)
        await asyncio.gather(*(each.release() for each in self._elections))
