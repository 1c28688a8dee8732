"""How often something may be done, by all together."""

from collections.abc import Callable


class Pace:
    """Gives out moments, in the order in which they are asked for.

    Args:
        rate: of them a second.
    """

    def __init__(self, rate: float, monotonic: Callable[[], float]) -> None:
        self._interval, self._monotonic = 1.0 / rate, monotonic
        self._last = -self._interval

    def reserve(self) -> float:
        """The next moment that nobody has, by the monotonic clock; it is the caller's."""
        self._last = max(self._last + self._interval, self._monotonic())
        return self._last
