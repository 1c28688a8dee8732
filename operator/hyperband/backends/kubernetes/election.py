"""Which of several operator processes works: a Lease elects one, as client-go does it.

A holder counts from before it sent its last successful renewal and stops at two thirds of what it
has promised. The others count from when they have last seen the Lease change, and take it after
the whole of it. So the new holder begins after the old one has stopped, however wrong anybody's
wall clock is.

Who would lead in a namespace that another process has, as that one leads in so many more, writes
its name into an annotation of the Lease. Its holder answers at the next renewal: it takes the name
away again, or gives the Lease back, which is then left to that name for as long as a Lease holds.

Why not the election of the `kubernetes` package (37): it measures by the wall clock, waits without
a limit for a renewal that gets no answer, ends with an exception when the connection fails, and
gives nothing back at a clean exit.
"""

import asyncio
import contextlib
import logging
import os
import socket
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from hyperband.api import names
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
from hyperband.backends.kubernetes.lease import Observed, Place, Terms, uptime
from hyperband.backends.kubernetes.objects import LEASES, Lease
from hyperband.backends.kubernetes.shares import Shares

log = logging.getLogger(__name__)


def new_identity() -> str:
    """A name that no other process has or ever will: whose Lease it is tells who is alive."""
    return f"{socket.gethostname()}_{os.getpid()}_{uuid.uuid4().hex[:8]}"


class Election:
    """One candidate, for its whole life: `acquire`, then `hold` until lost, then again.

    Args:
        client: unfenced and without repetition of its own.
        outranked_by: the Lease of an operator that does this one's work too; while that one is
            held, this candidate does not lead. Where it may not be read, it is taken for free.
        shares: of its process, which has Leases of several places.
    """

    def __init__(
        self,
        client: Client,
        place: Place,
        terms: Terms,
        *,
        outranked_by: Place | None = None,
        shares: Shares | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = uptime,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._shares = shares or Shares(new_identity())
        self.identity = self._shares.identity
        self.place, self._terms = place, terms
        self._client, self._now, self._clock, self._sleep = client, now, clock, sleep
        self._own = Observed(client, place, clock)
        self._higher = None if outranked_by is None else Observed(client, outranked_by, clock)
        self._taking = self._asking = False
        self._giving_to = ""
        self._renewed: float | None = None  # when the last successful renewal was sent
        self._said = ""
        self._shares.join(self)

    @property
    def leading(self) -> bool:
        """Whether this process may write, now."""
        return self._renewed is not None and self._age() < self._terms.renew_deadline

    @property
    def party(self) -> str:
        """Whose the Lease is or will be in a moment, as far as this process sees; "" if free."""
        if self._giving_to:
            return self._giving_to
        if self.leading or self._taking:
            return self.identity
        if self._own.held():
            return self._own.holder
        return self._own.wanter if self._is_reserved() else ""

    @property
    def wanter(self) -> str:
        """Who has asked for the Lease, or is about to."""
        return self.identity if self._asking else self._own.wanter

    @property
    def is_taken(self) -> bool:
        """Whether another process has the Lease, and none for all namespaces is at work."""
        outranked = self._higher is not None and self._higher.held()
        return not outranked and self.party not in ("", self.identity)

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

    async def acquire(self) -> None:
        """Waits until this process leads."""
        while True:
            self._renewed = None
            await self._turn()
            if self.leading:
                self._say(logging.INFO, f"leading, with the Lease {self.place}, as {self.identity}")
                return
            await self._sleep(self._terms.retry)

    async def hold(self) -> bool:
        """Renews the Lease for as long as that works; returns when the work here is to end.

        Gives whether the Lease is still our own and to be given back then, to one with fewer.
        """
        while self.leading and not self._giving_to:
            await self._sleep(self._terms.retry)
            if self.leading:  # else it was paused, and others may have taken it
                await self._turn()
        if self._giving_to:
            log.info("the Lease %s goes to %s, which has fewer", self.place, self._giving_to)
        elif self._renewed is not None:
            text = f"the Lease {self.place} was not renewed for {self._age():.1f} s"
            self._say(logging.WARNING, f"leading no more: {text}")
            self._renewed = None
        return bool(self._giving_to)

    async def release(self) -> None:
        """Gives the Lease back, so that the next process need not wait.

        Nothing may be written any more: the fence is closed first.
        """
        self._renewed = None
        try:
            async with asyncio.timeout(self._terms.patience):
                await self._own.look()  # also where a try to take it was given up half-way
                if self._own.lease is not None and self._own.holder == self.identity:
                    body = {"spec": {"holderIdentity": None}}
                    self._own.see(await self._patch(self._own.lease, body))
                    log.info("the Lease %s is given back", self.place)
        except (KubernetesError, TimeoutError) as error:
            log.warning("the Lease %s could not be given back: %s", self.place, error)
        finally:
            self._giving_to = ""

    async def _turn(self) -> None:
        """One try, whatever becomes of it."""
        try:
            async with asyncio.timeout(self._terms.patience):
                await self._try()
        except TimeoutError:
            self._say(logging.WARNING, f"the Lease {self.place}: no answer in time")
        except KubernetesError as error:
            self._say(logging.WARNING, f"the Lease {self.place}: {error}{self._mend(error)}")
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
                await self._wait_for_holder()
                return
            if self._is_left_to_others() or self._is_given_away():
                return
            if await self._take():
                return

    async def _wait_for_holder(self) -> None:
        self._renewed = None
        self._say(logging.INFO, f"waiting for the Lease {self.place}, held by {self._own.holder}")
        if self._own.lease is not None and self._shares.asks_for(self.place):
            await self._ask(self._own.lease)

    async def _ask(self, lease: Lease) -> None:
        """Writes our wish into another one's Lease."""
        body = {"metadata": {"annotations": {names.WANTED_ANNOTATION: self.identity}}}
        self._asking = True
        try:
            with contextlib.suppress(Conflict):  # it was renewed meanwhile: the next time
                self._own.see(await self._patch(lease, body))
                log.info("asked %s for the Lease %s", self._own.holder, self.place)
        finally:
            self._asking = False

    def _is_reserved(self) -> bool:
        """Whether a Lease that nobody holds was given to somebody, who has yet to take it."""
        return (
            bool(self._own.wanter)
            and not self._own.holder
            and self._own.unchanged < self._terms.duration
        )

    def _is_left_to_others(self) -> bool:
        """Whether a Lease that is free is not to be taken yet."""
        if self.leading or self._own.holder == self.identity:  # it is our own, if edited
            return False
        if self._is_reserved():
            return self._own.wanter != self.identity
        return self._own.free < self._shares.pause(self._terms)

    def _is_given_away(self) -> bool:
        """Whether our own is to go to who has asked for it."""
        wanter = self._own.wanter
        if wanter and self.leading and self._shares.gives_to(wanter):
            self._giving_to = wanter
        return bool(self._giving_to)

    async def _take(self) -> bool:
        """Writes our name and the time into the Lease; gives whether that has worked."""
        sent = self._clock()
        self._taking = True
        try:
            self._own.see(await self._write(self._own.lease))
        except (Conflict, AlreadyExists):  # others were faster, or have edited it
            await self._own.look()
            return False
        finally:
            self._taking = False
        # A fence that was closed meanwhile stays so until the studies are read anew.
        if self._renewed is None or self.leading:
            self._renewed = sent
        self._said = ""  # trouble that comes again is news
        return True

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
            body: dict[str, Any] = {"spec": spec}
            if self._own.wanter:  # it has got the Lease, or is not to
                body["metadata"] = {"annotations": {names.WANTED_ANNOTATION: None}}
            return await self._patch(lease, body)
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.place.name},
            "spec": spec,
        }
        return await self._client.create(LEASES, self.place.namespace, body, Lease)

    async def _patch(self, lease: Lease, body: dict[str, Any]) -> Lease:
        namespace, name = self.place.namespace, self.place.name
        version = lease.metadata.resource_version
        try:
            return await self._client.patch(
                LEASES, namespace, name, body, Lease, resource_version=version
            )
        except NotFound as error:  # deleted: to be found out by reading again
            raise Conflict(error.status, error.reason, error.message) from error

    def _mend(self, error: KubernetesError) -> str:
        """What would help where the place of the Lease is missing or closed."""
        if not isinstance(error, ApiError) or error.status not in (403, 404):
            return ""
        if self.place.name == names.NAMESPACE_LEASE:
            return (
                f"; is there a namespace {self.place.namespace}, and in it a RoleBinding of the "
                "ClusterRole hyperband-namespace-lease to this operator's account?"
            )
        return "; kubectl apply --server-side -f manifests/install makes its namespace and role"

    def _age(self) -> float:
        return self._clock() - (self._renewed or 0.0)

    def _say(self, level: int, text: str) -> None:
        """Logs what is news."""
        if text != self._said:
            log.log(level, "%s", text)
            self._said = text

    def _time(self) -> str:
        return self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
