"""How often something may be done, by all together."""

import math


class Pace:
    """Gives out moments, in the order in which they are asked for.

    Args:
        rate: of them a second.
    """

    def __init__(self, rate: float) -> None:
        self._interval = 1.0 / rate
        self._last = -math.inf

    def reserve(self, now: float) -> float:
        """The next moment that nobody has, in seconds by the clock of `now`; it is the caller's."""
        self._last = max(self._last + self._interval, now)
        return self._last
