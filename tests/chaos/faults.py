"""What can happen to an API call, and which calls it happens to.

Both the simulated operator's transport and the proxy in front of a real API server ask a `Faults`
about each call, and do what it says. Whether a call is struck depends on its number and the seed
alone, never on what other calls did: so a seed is a schedule, and giving it again replays it.
"""

import random
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Fault(StrEnum):
    """What happens to one call, or to one event of a watch."""

    KILL_BEFORE = "killed before the call"
    KILL_AFTER = "killed after the call"
    KILL_LATE = "killed; the call takes effect when the next operator runs"
    LOST = "applied, but the answer is lost"
    CUT = "the connection is cut before it is applied"
    CONFLICT = "409"
    BUSY = "429 with Retry-After"
    ERROR = "500, not applied"
    ERROR_AFTER = "500, applied all the same"
    REFUSED = "403 for all writes of this object, for a while"
    INVALID = "422"
    GONE = "410"  # of a list or a watch
    HIDDEN = "the server is hidden for a while"
    # Of an event:
    LATE = "an event comes late"
    TWICE = "an event comes twice"
    SWAPPED = "an event comes after the one that follows it"
    MISSED = "the watch ends without its last events, and is then told 410"
    EXPIRED = "410 inside the stream"


KILLS = {Fault.KILL_BEFORE, Fault.KILL_AFTER, Fault.KILL_LATE}
# Those that a walk has at every write.
WALKED = (
    Fault.KILL_BEFORE,
    Fault.KILL_AFTER,
    Fault.KILL_LATE,
    Fault.LOST,
    Fault.CUT,
    Fault.CONFLICT,
    Fault.BUSY,
    Fault.ERROR,
    Fault.ERROR_AFTER,
)
OF_WRITES = [*WALKED, Fault.REFUSED, Fault.INVALID, Fault.HIDDEN]
OF_READS = [
    Fault.KILL_BEFORE,
    Fault.KILL_AFTER,
    Fault.CUT,
    Fault.BUSY,
    Fault.ERROR,
    Fault.GONE,
    Fault.HIDDEN,
]
OF_EVENTS = [Fault.LATE, Fault.TWICE, Fault.SWAPPED, Fault.MISSED, Fault.EXPIRED]


@dataclass(frozen=True, slots=True)
class Request:
    """A call as it is recorded: `create pods s-1-0`, `update hyperbandtrials/status s-1`."""

    verb: str
    resource: str
    name: str = ""
    kept: bool = True  # not a dry run, and not a question that is put as an object

    @property
    def writes(self) -> bool:
        """Whether it changes what the server has."""
        return self.kept and self.verb not in ("get", "list", "watch")

    def __str__(self) -> str:
        return " ".join(part for part in (self.verb, self.resource, self.name) if part)


class Faults(Protocol):
    """Decides about each call and each event of a watch, in the order in which they come."""

    def at_call(self, request: Request) -> Fault | None: ...

    def at_event(self) -> Fault | None: ...


class Recorded:
    """No faults: remembers the calls."""

    def __init__(self) -> None:
        self.writes: list[Request] = []

    def at_call(self, request: Request) -> Fault | None:
        if request.writes:
            self.writes.append(request)
        return None

    def at_event(self) -> Fault | None:
        return None


class AtOnePoint(Recorded):
    """One fault at the write of that number, counted from 0."""

    def __init__(self, point: int, fault: Fault) -> None:
        super().__init__()
        self._point, self._fault = point, fault

    def at_call(self, request: Request) -> Fault | None:
        super().at_call(request)
        struck = request.writes and len(self.writes) == self._point + 1
        return self._fault if struck else None


class AtRandom:
    """Any fault anywhere, until so many writes were made.

    Attributes:
        struck: how often each fault has come.
    """

    def __init__(self, seed: str, rate: float, *, writes: int, kills: int, hidings: int) -> None:
        """Args:
        rate: the share of writes, and of a watch's events, that meet a fault; of reads a third.
        writes: after so many the rest goes undisturbed, so that a study can end.
        kills, hidings: so many at the most, as they take time.
        """
        self._seed, self._rate, self._limit = seed, rate, writes
        self._left = {"kills": kills, "hidings": hidings}
        self._calls = self._writes = self._events = 0
        self.struck: Counter[Fault] = Counter()

    def at_call(self, request: Request) -> Fault | None:
        self._calls += 1
        self._writes += request.writes
        dice = random.Random(f"{self._seed} call {self._calls}")
        rate = self._rate if request.writes else self._rate / 3
        if self._writes > self._limit or dice.random() >= rate:
            return None
        fault = dice.choice(OF_WRITES if request.writes else OF_READS)
        if fault is Fault.GONE and request.verb not in ("list", "watch"):
            fault = Fault.ERROR
        return self._strike(fault)

    def at_event(self) -> Fault | None:
        self._events += 1
        dice = random.Random(f"{self._seed} event {self._events}")
        if self._writes > self._limit or dice.random() >= self._rate:
            return None
        return self._strike(dice.choice(OF_EVENTS))

    def _strike(self, fault: Fault) -> Fault:
        kind = "kills" if fault in KILLS else "hidings" if fault is Fault.HIDDEN else ""
        if kind:
            self._left[kind] -= 1
            if self._left[kind] < 0:
                fault = Fault.CUT
        self.struck[fault] += 1
        return fault
