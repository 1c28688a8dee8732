"""A proxy on loopback between an operator and a real API server, at which calls meet faults.

Plain HTTP to the operator; TLS, and the operator's own credentials, to the server. kopf's requests
pass through it like those of our own client.
"""

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import aiohttp
from aiohttp import web

from hyperband.backends.kubernetes.connection import Connection
from tests.chaos.events import EXPIRED, troubled
from tests.chaos.faults import Fault, Faults, Request
from tests.chaos.pods import Body

log = logging.getLogger(__name__)

HIDDEN_SECONDS = 5.0
LATE_SECONDS = 3.0
REFUSED_SECONDS = 5.0
QUIET_SECONDS = 1.0
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_REFUSALS = {
    Fault.CONFLICT: (409, "Conflict"),
    Fault.BUSY: (429, "TooManyRequests"),
    Fault.ERROR: (500, "InternalError"),
    Fault.ERROR_AFTER: (500, "InternalError"),
    Fault.REFUSED: (403, "Forbidden"),
    Fault.INVALID: (422, "Invalid"),
    Fault.GONE: (410, "Expired"),
}
_PASSED = ("Authorization", "Content-Type", "Accept")  # of the request's headers


class Proxy:
    """Forwards what an operator asks for, or does not.

    Attributes:
        url: for the operator's kubeconfig, once it is open.
        hidden_seconds: for how long a hidden server is hidden.
        landed: called with the answer to a create that a killed operator had sent.
    """

    def __init__(
        self,
        server: Connection,
        faults: Faults,
        kill: Callable[[], None],
        dice: random.Random,
        hidden_seconds: float = HIDDEN_SECONDS,
    ) -> None:
        self.url = ""
        self.landed: Callable[[Body], None] = lambda _: None
        self._server, self._faults, self._kill, self._dice = server, faults, kill, dice
        self._hidden_seconds = hidden_seconds
        self._hidden_until = 0.0
        self._refused_until: dict[str, float] = {}
        self._expired: set[str] = set()  # resources whose next watch is told 410
        self._late: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Proxy":
        connector = aiohttp.TCPConnector(limit=0, ssl=self._server.tls or False)
        self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        app = web.Application(client_max_size=8 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: Any) -> None:
        await asyncio.gather(*self._late, return_exceptions=True)
        await self._runner.cleanup()
        await self._session.close()

    @property
    def _hidden(self) -> bool:
        return _now() < self._hidden_until

    async def _handle(self, incoming: web.Request) -> web.StreamResponse:
        body = await incoming.read()
        asked = parse(incoming, body)
        fault = self._fault(asked)
        if self._hidden or fault is Fault.CUT:
            return _hang_up(incoming)
        if fault in (Fault.KILL_BEFORE, Fault.KILL_LATE):
            self._kill()
            if fault is Fault.KILL_LATE:
                self._late.add(asyncio.create_task(self._land(incoming, body)))
            return _hang_up(incoming)
        if fault in _REFUSALS and fault is not Fault.ERROR_AFTER:
            return _refusal(fault)
        async with self._forward(incoming, body) as answer:
            if asked.verb == "watch" and answer.status == 200:
                return await self._stream(incoming, asked, answer)
            return await self._answer(incoming, answer, fault)

    def _fault(self, asked: Request) -> Fault | None:
        """What happens to a call, also as a consequence of what happened before."""
        if self._hidden:
            return Fault.HIDDEN
        fault = self._faults.at_call(asked)
        if fault is not None:
            log.info("%s: %s", fault, asked)
        if fault is Fault.HIDDEN:
            self._hidden_until = _now() + self._hidden_seconds
        elif fault is Fault.REFUSED:
            self._refused_until[asked.name] = _now() + REFUSED_SECONDS
        elif fault is None and asked.writes and _now() < self._refused_until.get(asked.name, 0.0):
            return Fault.REFUSED
        elif fault is None and asked.verb == "watch" and asked.resource in self._expired:
            self._expired.discard(asked.resource)
            return Fault.GONE
        return fault

    async def _answer(
        self, incoming: web.Request, answer: aiohttp.ClientResponse, fault: Fault | None
    ) -> web.Response:
        """The server's answer, or what becomes of it on its way back."""
        text = await answer.read()
        if fault is Fault.KILL_AFTER:
            self._kill()
        if fault in (Fault.KILL_AFTER, Fault.LOST) or self._hidden:
            return _hang_up(incoming)
        if fault is Fault.ERROR_AFTER:
            return _refusal(fault)
        kept = ("Content-Type", "Retry-After")
        headers = {key: answer.headers[key] for key in kept if key in answer.headers}
        return web.Response(status=answer.status, body=text, headers=headers)

    def _forward(self, incoming: web.Request, body: bytes) -> Any:
        headers = {key: incoming.headers[key] for key in _PASSED if key in incoming.headers}
        return self._session.request(
            incoming.method,
            self._server.url + incoming.path_qs,
            data=body or None,
            headers={**headers, "Accept-Encoding": "identity"},
            server_hostname=self._server.server_name,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
        )

    async def _land(self, incoming: web.Request, body: bytes) -> None:
        """A dead operator's call takes effect when the next one runs."""
        await asyncio.sleep(self._dice.uniform(0.0, LATE_SECONDS))
        async with self._forward(incoming, body) as answer:
            text = await answer.read()
            log.info("a dead operator's call has landed: %d", answer.status)
            if incoming.method == "POST" and answer.status == 201:
                self.landed(json.loads(text))

    async def _stream(
        self, incoming: web.Request, asked: Request, answer: aiohttp.ClientResponse
    ) -> web.StreamResponse:
        outgoing = web.StreamResponse(headers={"Content-Type": "application/json"})
        lines = troubled(
            self._lines(answer),
            self._faults,
            self._dice,
            LATE_SECONDS,
            lambda: self._expired.add(asked.resource),
        )
        with suppress(ConnectionError):  # the operator has gone
            await outgoing.prepare(incoming)
            async for line in lines:
                await outgoing.write(line)
        return outgoing

    async def _lines(self, answer: aiohttp.ClientResponse) -> AsyncIterator[bytes | None]:
        """The server's lines, until its end or until it is hidden; None after each quiet while."""
        rest = b""
        reading: asyncio.Task[bytes] | None = None
        try:
            while not self._hidden:
                reading = reading or asyncio.create_task(answer.content.readany())
                done, _ = await asyncio.wait([reading], timeout=QUIET_SECONDS)
                if not done:
                    yield None
                    continue
                chunk, reading = reading.result(), None
                if not chunk:
                    return
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    yield line + b"\n"
        finally:
            if reading is not None:
                reading.cancel()


def parse(incoming: web.Request, body: bytes) -> Request:
    """What is asked for, as RBAC would have it."""
    parts = incoming.path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        parts = parts[2:]
    resource, name, subresource = (*parts, "", "", "")[:3]
    verb = _VERBS.get(incoming.method, "get" if name else "list")
    if incoming.query.get("watch") in ("true", "1"):
        verb = "watch"
    if verb == "create" and not name:
        name = (json.loads(body).get("metadata") or {}).get("name", "")
    kept = bool(name) and "dryRun" not in incoming.query
    return Request(verb, "/".join(filter(None, (resource, subresource))), name, kept)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _hang_up(incoming: web.Request) -> web.Response:
    """No answer: the connection is closed."""
    if incoming.transport is not None:
        incoming.transport.abort()
    return web.Response()


def _refusal(fault: Fault) -> web.Response:
    status, reason = _REFUSALS[fault]
    body = {**EXPIRED, "apiVersion": "v1", "status": "Failure", "code": status, "reason": reason}
    headers = {"Retry-After": "1"} if fault is Fault.BUSY else {}
    return web.json_response(body, status=status, headers=headers)
