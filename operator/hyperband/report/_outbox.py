"""When to send the newest state: pure, so that every case is tested without a clock or a thread.

States are counted, not stored: a later state contains the earlier ones, so only the newest is sent.
"""

from collections.abc import Callable
from typing import NamedTuple

FIRST_BACKOFF = 0.5  # seconds, doubled with each failure
MAX_BACKOFF = 30.0
MAX_RETRY_AFTER = 300.0


class Delivered(NamedTuple):
    """The API server has taken it."""


class Failed(NamedTuple):
    """It may be taken later."""

    problem: str
    retry_after: float | None = None  # seconds; what the server asks for


class Refused(NamedTuple):
    """It will not be taken as long as nobody mends the problem."""

    problem: str


Outcome = Delivered | Failed | Refused


class Outbox:
    """Decides about sends: coalescing, rate, backoff.

    Args:
        interval: seconds between sends that are not urgent.
        jitter: gives numbers in [0, 1).
    """

    def __init__(self, interval: float, jitter: Callable[[], float]) -> None:
        self._interval = interval
        self._jitter = jitter
        self._newest = 0  # number of states so far
        self._settled = 0  # the newest state that was delivered, or refused for good
        self._delivered = 0
        self._urgent = 0  # the newest state that must not wait for the interval
        self._next_ordinary = float("-inf")
        self._not_before = float("-inf")
        self._failures = 0

    @property
    def delivered(self) -> bool:
        """Whether the newest state has been delivered."""
        return self._delivered == self._newest

    @property
    def settled(self) -> bool:
        """Whether there is nothing to send."""
        return self._settled == self._newest

    def offer(self, *, urgent: bool) -> None:
        """There is a new state."""
        self._newest += 1
        if urgent:
            self._urgent = self._newest

    def hurry(self) -> None:
        """What is not delivered is sent without waiting for the interval, once more if refused."""
        self._settled = self._delivered
        self._urgent = self._newest

    def delay(self, now: float) -> float | None:
        """Seconds until the newest state is to be sent; None: nothing is."""
        if self.settled:
            return None
        due = self._not_before
        if self._urgent <= self._settled:
            due = max(due, self._next_ordinary)
        return max(0.0, due - now)

    def take(self, now: float) -> int:
        """The number of the state that is being sent now."""
        self._next_ordinary = now + self._interval
        return self._newest

    def record(self, state: int, outcome: Outcome, now: float) -> None:
        """What became of sending the state."""
        if isinstance(outcome, Failed):
            backoff = min(MAX_BACKOFF, FIRST_BACKOFF * 2**self._failures)
            wait = backoff * (1 + self._jitter()) / 2
            if outcome.retry_after is not None:
                wait = max(wait, min(outcome.retry_after, MAX_RETRY_AFTER))
            self._failures = min(self._failures + 1, 10)
            self._not_before = now + wait
            return
        self._settled = state
        self._failures = 0
        self._not_before = now
        if isinstance(outcome, Delivered):
            self._delivered = state
