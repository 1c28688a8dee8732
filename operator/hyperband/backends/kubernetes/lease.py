"""Which of several operator processes works: a Lease elects one, as client-go does it.

Time is only ever measured by a monotonic clock of the process's own machine, one that goes on
while the process is paused or the machine suspended. A holder counts from before it sent its last
successful renewal and stops at two thirds of what it has promised. The others count from when they
have last seen the Lease change, and take it after the whole of it. So the new holder begins after
the old one has stopped, however wrong anybody's wall clock is; the times in the Lease are for
people to read.

Why not the election of the `kubernetes` package (37): it measures by the wall clock, waits without
a limit for a renewal that gets no answer, ends with an exception when the connection fails, and
gives nothing back at a clean exit.
"""

import asyncio
import contextlib
import logging
import os
import socket
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hyperband.backends.kubernetes.api_errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Forbidden,
    KubernetesError,
    NotFound,
    NotLeading,
)
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.objects import LEASES, Lease

log = logging.getLogger(__name__)


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


def new_identity() -> str:
    """A name that no other process has or ever will: whose Lease it is tells who is alive."""
    return f"{socket.gethostname()}_{os.getpid()}_{uuid.uuid4().hex[:8]}"


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
        if _version(found) != _version(self.lease):
            self._since = self._clock()
        self.lease = found

    def held(self, by_other_than: str = "") -> bool:
        return is_held(self.lease, self._clock() - self._since, by_other_than)

    @property
    def holder(self) -> str:
        return "" if self.lease is None else self.lease.spec.holder_identity


class Election:
    """One candidate, for its whole life: `acquire`, then `hold` until lost, then again.

    Args:
        client: unfenced and without repetition of its own.
        outranked_by: the Lease of an operator that does this one's work too; while that one is
            held, this candidate does not lead. Where it may not be read, it is taken for free.
    """

    def __init__(
        self,
        client: Client,
        place: Place,
        terms: Terms,
        *,
        outranked_by: Place | None = None,
        identity: str | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = uptime,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.identity = identity or new_identity()
        self.place, self._terms = place, terms
        self._client, self._now, self._clock, self._sleep = client, now, clock, sleep
        self._own = Observed(client, place, clock)
        self._higher = None if outranked_by is None else Observed(client, outranked_by, clock)
        self._renewed: float | None = None  # when the last successful renewal was sent
        self._said = ""

    @property
    def leading(self) -> bool:
        """Whether this process may write, now."""
        return self._renewed is not None and self._age() < self._terms.renew_deadline

    def why_not_leading(self) -> str:
        """In words, for people; empty if this process leads."""
        return "" if self.leading else self._said or f"waiting for the Lease {self.place}"

    def check(self) -> None:
        """The fence: to be asked right before each write.

        Raises:
            NotLeading: another process may lead by now.
        """
        if self.leading:
            return
        last = "is not held" if self._renewed is None else f"was renewed {self._age():.1f} s ago"
        raise NotLeading(f"not sent, as this process does not lead: Lease {self.place} {last}")

    async def look(self) -> None:
        """Sees the Lease as it is, so that the time for which it does not change counts from now.

        Whatever goes wrong is told of by `acquire`.
        """
        with contextlib.suppress(KubernetesError, TimeoutError):
            async with asyncio.timeout(self._terms.patience):
                await self._own.look()

    async def acquire(self) -> None:
        """Waits until this process leads."""
        while True:
            self._renewed = None
            await self._turn()
            if self.leading:
                self._say(logging.INFO, f"leading, with the Lease {self.place}, as {self.identity}")
                return
            await self._sleep(self._terms.retry)

    async def hold(self) -> None:
        """Renews the Lease for as long as that works; returns when this process does not lead."""
        while self.leading:
            await self._sleep(self._terms.retry)
            if self.leading:  # else it was paused, and others may have taken it
                await self._turn()
        if self._renewed is not None:
            text = f"the Lease {self.place} was not renewed for {self._age():.1f} s"
            self._say(logging.WARNING, f"leading no more: {text}")
            self._renewed = None

    async def release(self) -> None:
        """Gives the Lease back, so that the next process need not wait. To be called at the end.

        Nothing may be written any more: the fence is closed first.
        """
        self._renewed = None
        try:
            async with asyncio.timeout(self._terms.patience):
                await self._own.look()  # also where a try to take it was given up half-way
                if self._own.lease is not None and self._own.holder == self.identity:
                    await self._patch(self._own.lease, {"holderIdentity": None})
                    log.info("the Lease %s is given back", self.place)
        except (KubernetesError, TimeoutError) as error:
            log.warning("the Lease %s could not be given back: %s", self.place, error)

    async def _turn(self) -> None:
        """One try, whatever becomes of it."""
        try:
            async with asyncio.timeout(self._terms.patience):
                await self._try()
        except TimeoutError:
            self._say(logging.WARNING, f"the Lease {self.place}: no answer in time")
        except KubernetesError as error:
            self._say(logging.WARNING, f"the Lease {self.place}: {error}{_mend(error)}")
        except Exception:
            log.exception("the Lease %s: unexpected", self.place)

    async def _try(self) -> None:
        if self._higher is not None and await self._outranked(self._higher):
            self._renewed = None
            self._say(
                logging.INFO,
                f"waiting for the operator for all namespaces, which works here too, to give up "
                f"the Lease {self._higher.place}, held by {self._higher.holder}",
            )
            return
        if self._renewed is None:
            await self._own.look()
        for _ in range(2):  # a renewal whose answer was lost makes the next one a Conflict
            if self._own.held(self.identity):
                self._renewed = None
                self._say(
                    logging.INFO, f"waiting for the Lease {self.place}, held by {self._own.holder}"
                )
                return
            sent = self._clock()
            try:
                self._own.see(await self._write(self._own.lease))
            except (Conflict, AlreadyExists):  # others were faster, or have edited it
                await self._own.look()
            else:
                # A fence that was closed meanwhile stays so until the studies are read anew.
                if self._renewed is None or self.leading:
                    self._renewed = sent
                self._said = ""  # trouble that comes again is news
                return

    @staticmethod
    async def _outranked(higher: Observed) -> bool:
        try:
            await higher.look()
        except Forbidden as error:
            log.debug("whether an operator for all namespaces leads is not to be seen: %s", error)
            return False
        return higher.held()

    async def _write(self, lease: Lease | None) -> Lease:
        """Creates the Lease, takes it or renews it.

        Raises:
            Conflict, AlreadyExists: it is not as it was when last seen.
        """
        time = self._time()
        spec: dict[str, Any] = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self._terms.duration,
            "renewTime": time,
        }
        if lease is None or lease.spec.holder_identity != self.identity:
            spec["acquireTime"] = time
        if lease is not None:
            if lease.spec.holder_identity != self.identity:
                spec["leaseTransitions"] = lease.spec.lease_transitions + 1
            return await self._patch(lease, spec)
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.place.name},
            "spec": spec,
        }
        return await self._client.create(LEASES, self.place.namespace, body, Lease)

    async def _patch(self, lease: Lease, spec: dict[str, Any]) -> Lease:
        namespace, name = self.place.namespace, self.place.name
        version = lease.metadata.resource_version
        try:
            return await self._client.patch(
                LEASES, namespace, name, {"spec": spec}, Lease, resource_version=version
            )
        except NotFound as error:  # deleted: to be found out by reading again
            raise Conflict(error.status, error.reason, error.message) from error

    def _age(self) -> float:
        return self._clock() - (self._renewed or 0.0)

    def _say(self, level: int, text: str) -> None:
        """Logs what is news."""
        if text != self._said:
            log.log(level, "%s", text)
            self._said = text

    def _time(self) -> str:
        return self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _version(lease: Lease | None) -> tuple[str, str]:
    return ("", "") if lease is None else (lease.metadata.uid, lease.metadata.resource_version)


def _mend(error: KubernetesError) -> str:
    """What would help where the place of the Lease is missing or closed."""
    if isinstance(error, ApiError) and error.status in (403, 404):
        return "; kubectl apply --server-side -f manifests/install makes its namespace and role"
    return ""
