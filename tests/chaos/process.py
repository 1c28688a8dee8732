"""The operator's process in virtual time: all of it but kopf, over a transport that fails."""

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

from hyperband.api import names
from hyperband.backends.kubernetes.api_errors import (
    ApiError,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    KubernetesError,
    ServerError,
    TooManyRequests,
    Unreachable,
)
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.cluster import Cluster
from hyperband.backends.kubernetes.connection import Connection
from hyperband.backends.kubernetes.informer import Informer
from hyperband.backends.kubernetes.manager import Manager
from hyperband.backends.kubernetes.objects import ARCHIVES, PODS, STUDIES, TRIALS, Object, Pod
from hyperband.backends.kubernetes.study_pods import owner_key
from hyperband.backends.kubernetes.transport import Call
from tests.chaos import clock
from tests.chaos.events import troubled
from tests.chaos.faults import Fault, Faults, Request
from tests.chaos.server import Server, bookmark
from tests.kubernetes.fake_cluster import NAMESPACE, Inline

log = logging.getLogger(__name__)

HIDDEN_SECONDS = 60.0
REFUSED_SECONDS = 20.0
RETRY_AFTER = 2.0
ANSWER_SECONDS = (0.001, 0.05)  # a call takes so long, before it is applied and again after
LATE_SECONDS = 20.0  # an event, or a dead operator's last call, is on its way so long at the most
QUIET_SECONDS = 5.0  # an event that waits for the one behind it comes after so long all the same
_REFUSALS = {
    Fault.CONFLICT: (Conflict, 409, "Conflict"),
    Fault.BUSY: (TooManyRequests, 429, "TooManyRequests"),
    Fault.ERROR: (ServerError, 500, "InternalError"),
    Fault.REFUSED: (Forbidden, 403, "Forbidden"),
    Fault.INVALID: (Invalid, 422, "Invalid"),
    Fault.GONE: (Gone, 410, "Expired"),
}


def refusal(fault: Fault) -> ApiError:
    """What the client makes of the server's answer."""
    error, status, reason = _REFUSALS[fault]
    return error(status, reason, "by chance", RETRY_AFTER if fault is Fault.BUSY else None)


def request(call: Call) -> Request:
    """The call as faults know it."""
    name = call.name or (call.body or {}).get("metadata", {}).get("name", "")
    asks = call.verb == "create" and not name
    kept = not asks and "dryRun" not in (call.query or {})
    return Request(call.verb, call.resource, name, kept)


class Process:
    """An operator that runs until it is killed, or stopped."""

    def __init__(self, server: Server, faults: Faults, seed: str) -> None:
        self.dead = False
        self._server, self._faults = server, faults
        self.dice = random.Random(seed)
        self.task = asyncio.create_task(self._run(), name="operator")

    def kill(self) -> None:
        """SIGKILL: from here on it makes no call and knows nothing."""
        self.dead = True
        self.task.cancel()

    async def _run(self) -> None:
        manager = Manager()
        client = Troubled(self, self._server, self._faults)
        settings: dict[str, Any] = {
            "sleep": asyncio.sleep,
            "jitter": self.dice.random,
            "clock": clock.seconds,
        }
        pods = Informer(
            client,
            PODS,
            Pod,
            label_selector=names.STUDY_LABEL,
            on_change=manager.pod_changed,
            index=owner_key,
            **settings,
        )
        trials = Informer(
            client,
            TRIALS,
            Object,
            on_change=manager.trial_changed,
            index=owner_key,
            **settings,
        )
        archives = Informer(client, ARCHIVES, Object, on_change=manager.archive_changed, **settings)
        informers = (pods, trials, archives)
        cluster = Cluster(client, pods, trials, clock.now, clock.seconds, Inline())
        background = [
            asyncio.create_task(run)
            for run in (*(informer.run() for informer in informers), manager.audit(client))
        ]
        try:
            for informer in informers:
                await informer.synced.wait()
            manager.start(cluster)
            await follow_studies(client, manager)
        finally:
            for task in background:
                task.cancel()
            await manager.stop()
            await asyncio.gather(*background, return_exceptions=True)


async def follow_studies(client: Client, manager: Manager) -> None:
    """In kopf's place: tells the manager of the studies."""
    while True:
        try:
            async for page in client.pages(STUDIES, dict[str, Any], NAMESPACE):
                for body in page.items:
                    manager.study_seen(body)
                revision = page.metadata.resource_version
            events = client.watch(
                STUDIES, NAMESPACE, resource_version=revision, seconds=270, margin=15.0
            )
            async with aclosing(events):
                async for line in events:
                    event = json.loads(line)
                    if event["type"] in ("ADDED", "MODIFIED"):
                        manager.study_seen(event["object"])
                    elif event["type"] == "DELETED":
                        metadata = event["object"]["metadata"]
                        manager.study_gone(NAMESPACE, metadata["name"], metadata["uid"])
        except KubernetesError:
            await asyncio.sleep(1.0)


class Troubled(Client):
    """The operator's own client; but in place of HTTP there is a server in memory, and faults."""

    def __init__(self, process: Process, server: Server, faults: Faults) -> None:
        super().__init__(
            Connection("http://nowhere"), jitter=process.dice.random, clock=clock.seconds
        )
        self._process, self._server, self._faults = process, server, faults

    @asynccontextmanager
    async def _open(self, call: Call, timeout: Any) -> AsyncIterator[Any]:
        await self._pause()
        fault = self._fault(call)
        if clock.seconds() < self._server.hidden_until or fault is Fault.CUT:
            raise Unreachable("cut")
        if fault in (Fault.KILL_BEFORE, Fault.KILL_LATE):
            await self._die(call if fault is Fault.KILL_LATE else None)
        if fault in _REFUSALS:
            raise refusal(fault)
        if call.verb == "watch":
            yield Stream(self._process, self._server, self._faults, call)
            return
        answer = self._server.answer(call)
        await self._pause()
        if fault is Fault.KILL_AFTER:
            await self._die()
        if fault is Fault.LOST or clock.seconds() < self._server.hidden_until:
            raise Unreachable("cut")
        if fault is Fault.ERROR_AFTER:
            raise ServerError(500, "InternalError", "by chance, but applied")
        yield Answer(answer)

    def _fault(self, call: Call) -> Fault | None:
        """What happens to a call, also as a consequence of what happened before."""
        asked = request(call)
        fault = self._faults.at_call(asked)
        if fault is not None:
            log.info("%s: %s", fault, asked)
        if fault is Fault.HIDDEN:
            self._server.hidden_until = clock.seconds() + HIDDEN_SECONDS
        elif fault is Fault.REFUSED:
            self._server.refused_until[asked.name] = clock.seconds() + REFUSED_SECONDS
        elif fault is None and asked.writes and self._server.refuses(asked.name):
            return Fault.REFUSED
        return fault

    async def _pause(self) -> None:
        if self._process.dead:
            raise asyncio.CancelledError
        await asyncio.sleep(self._process.dice.uniform(*ANSWER_SECONDS))

    async def _die(self, under_way: Call | None = None) -> None:
        """The process is killed, and its call may be on its way still."""
        if under_way is not None:
            delay = self._process.dice.uniform(0.0, LATE_SECONDS)
            asyncio.get_running_loop().call_later(delay, self._server.land, under_way)
        self._process.kill()
        await asyncio.Event().wait()


class Answer:
    """As much of an HTTP answer as the transport reads."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def read(self) -> bytes:
        return self._body


class Stream:
    """A watch, whose events may be late, twice, in another order, or missed."""

    def __init__(self, process: Process, server: Server, faults: Faults, call: Call) -> None:
        self.content = self
        self._process, self._server, self._faults, self._call = process, server, faults, call
        query: Mapping[str, str] = call.query or {}
        self._revision = int(query["resourceVersion"])
        self._end = clock.seconds() + int(query["timeoutSeconds"])

    async def iter_any(self) -> AsyncIterator[bytes]:
        lines = troubled(
            self._lines(), self._faults, self._process.dice, LATE_SECONDS, self._server.forget
        )
        async for line in lines:
            yield line

    async def _lines(self) -> AsyncIterator[bytes | None]:
        while clock.seconds() < self._end:
            for number, line in list(self._server.after(self._revision, self._call)):
                self._revision = number
                yield line + b"\n"
            if clock.seconds() < self._server.hidden_until:
                raise Unreachable("cut")
            try:
                async with asyncio.timeout(QUIET_SECONDS):
                    await self._server.news()
            except TimeoutError:
                yield None
        yield bookmark(self._revision) + b"\n"
