"""So that work that never waits does not hold up the event loop, however many do it at once."""

import asyncio
from collections import deque
from typing import Final

STEPS: Final = 50  # some 5 ms of looks at trials about which there is nothing to do


class Breath:
    """So many steps, of all who take them, and then others on the event loop have a turn.

    Args:
        steps: how many.
    """

    def __init__(self, steps: int = STEPS) -> None:
        self._steps = self._free = steps
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._ahead = False  # whether the next turn is on its way

    async def take(self) -> None:
        """Waits, in the order in which it was asked, until another step may be made."""
        self._plan()
        if self._free > 0:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await turn

    def _plan(self) -> None:
        if not self._ahead:  # once all that is ready now has run, the next turn begins
            self._ahead = True
            asyncio.get_running_loop().call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._ahead, given = False, 0
        while self._waiting and given < self._steps:
            waiting = self._waiting.popleft()
            if not waiting.done():  # else it is cancelled
                waiting.set_result(None)
                given += 1
        self._free = 0 if given else self._steps  # nobody overtakes those who have waited
        if given:
            self._plan()
