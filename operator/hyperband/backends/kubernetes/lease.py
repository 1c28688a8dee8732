"""A Lease as others see it: whose it is, and for how long it has not changed.

Time is only ever measured by a monotonic clock of the process's own machine, one that goes on
while the process is paused or the machine suspended. The times in the Lease are for people to
read: they tell that it has changed, and never when.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from hyperband.api import names
from hyperband.backends.kubernetes.api_errors import NotFound
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.objects import LEASES, Lease, LeaseSpec


@dataclass(frozen=True)
class Place:
    """Where a Lease is: what is elected is whoever holds the one at this place."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Terms:
    """How long a Lease holds, all in seconds; the proportions are client-go's 15, 10 and 2.

    Attributes:
        duration: what its holder promises: after so long without a renewal others may take it.
    """

    duration: int = 15

    @property
    def renew_deadline(self) -> float:
        """So long after its last renewal the holder stops working."""
        return self.duration * 2 / 3

    @property
    def retry(self) -> float:
        """Between two tries to renew it, or to take it."""
        return self.duration * 2 / 15

    @property
    def patience(self) -> float:
        """With one try: it leaves time for another, and ends before others may begin."""
        return self.duration - self.renew_deadline - self.retry


def is_held(lease: Lease | None, unchanged: float, by_other_than: str = "") -> bool:
    """Whether somebody (else) holds a Lease. Pure.

    Args:
        lease: as last read; None if there is none.
        unchanged: for how many seconds it has been seen as it is.
    """
    holder = "" if lease is None else lease.spec.holder_identity
    if lease is None or holder in ("", by_other_than):
        return False
    return unchanged < lease.spec.lease_duration_seconds


def uptime() -> float:
    """Seconds since some moment; a suspended machine counts on Linux (time.monotonic does not)."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class Observed:
    """A Lease as last read, and since when it is seen as it is, by our own clock."""

    def __init__(self, client: Client, place: Place, clock: Callable[[], float]) -> None:
        self.place = place
        self.lease: Lease | None = None
        self._since = clock()
        self._client, self._clock = client, clock

    async def look(self) -> None:
        """Reads it."""
        try:
            found = await self._client.get(LEASES, self.place.namespace, self.place.name, Lease)
        except NotFound:
            self.see(None)
        else:
            self.see(found)

    def see(self, found: Lease | None) -> None:
        # By what its holder writes: that somebody asks for it is no sign of life of the holder.
        if _signs(found) != _signs(self.lease):
            self._since = self._clock()
        self.lease = found

    def held(self, by_other_than: str = "") -> bool:
        return is_held(self.lease, self.unchanged, by_other_than)

    @property
    def unchanged(self) -> float:
        """For how many seconds it has been seen as it is."""
        return self._clock() - self._since

    @property
    def free(self) -> float:
        """For how many seconds anybody may have taken it, if nobody holds it."""
        held = (
            0 if self.lease is None or not self.holder else self.lease.spec.lease_duration_seconds
        )
        return self.unchanged - held

    @property
    def holder(self) -> str:
        return "" if self.lease is None else self.lease.spec.holder_identity

    @property
    def wanter(self) -> str:
        """Who has asked for it, or, where nobody holds it, whom it was given to."""
        if self.lease is None:
            return ""
        return self.lease.metadata.annotations.get(names.WANTED_ANNOTATION, "")


def _signs(lease: Lease | None) -> tuple[str, LeaseSpec | None]:
    """What changes as often as its holder gives a sign of life."""
    return ("", None) if lease is None else (lease.metadata.uid, lease.spec)
