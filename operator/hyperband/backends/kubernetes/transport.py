"""HTTP to one API server: credentials, time limits, bounded repetition, counting; aiohttp inside.

What may be repeated is repeated a bounded number of times. After an unknown result (the connection
broke, a 5xx) the first try may have worked, so a repeated create can raise AlreadyExists, a
repeated delete NotFound, and a repeated write with a precondition Conflict: callers read the
object and go by what it says, as they must after a crash anyway.
"""

import asyncio
import logging
import random
import socket
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

from hyperband.backends.kubernetes.api_errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    KubernetesError,
    NotFound,
    NotLeading,
    ServerError,
    TooManyRequests,
    Unreachable,
    error_from,
)
from hyperband.backends.kubernetes.connection import Connection
from hyperband.backends.kubernetes.objects import Kind
from hyperband.backends.kubernetes.request_slots import Slots

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}  # dead peers in 60 s

METHODS = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
}
READS = {"get", "list", "watch"}
# What to accept where metadata is all that is wanted; a server that cannot do it sends everything.
_AS = "application/json;as=%s;g=meta.k8s.io;v=v1,application/json"
METADATA = {"list": _AS % "PartialObjectMetadataList", "watch": _AS % "PartialObjectMetadata"}
# After an attempt that may have worked, these say what there is to know, or that it is not known.
_TELLING = (AlreadyExists, Conflict, NotFound, ServerError, Unreachable, NotLeading)


@dataclass(frozen=True)
class Retry:
    """How often and how long to try: exponential backoff with full jitter. Times in seconds."""

    attempts: int = 6
    base: float = 0.25
    cap: float = 10.0
    total: float = 60.0  # after this no further attempt starts

    def delay(self, failures: int, jitter: float) -> float:
        """The wait after that many failures in a row (from 1), for jitter drawn from [0, 1)."""
        return jitter * min(self.cap, self.base * 2.0 ** min(failures - 1, 30))


@dataclass(frozen=True)
class Call:
    """One request.

    Attributes:
        verb: Kubernetes' verb, a key of METHODS.
        metadata_only: of a list or a watch: whether the server leaves out all but metadata.
        repeatable: False if a second try could do a second thing (a create without a name).
    """

    verb: str
    kind: Kind
    namespace: str | None = None
    name: str | None = None
    subresource: str | None = None
    query: Mapping[str, str] | None = None
    body: Mapping[str, Any] | None = None
    content_type: str = "application/json"
    repeatable: bool = True
    metadata_only: bool = False

    @property
    def resource(self) -> str:
        """As RBAC writes it: `pods`, `pods/status`."""
        return "/".join(part for part in (self.kind.plural, self.subresource) if part)


class Transport:
    """Sends calls; `async with` opens and closes its connections.

    Args:
        fence: called right before a write is sent, each time; what it raises keeps it from going.
        answered: told of each answer: the verb, and the seconds until it began.

    Attributes:
        requests: counts by (verb, resource, HTTP status); status 0 is no answer.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        retry: Retry | None = None,
        request_seconds: float = 30.0,
        concurrency: int = 32,
        fence: Callable[[], None] = lambda: None,
        answered: Callable[[str, float], None] = lambda verb, seconds: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.connection = connection
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self._retry = retry or Retry()
        self._timeout = aiohttp.ClientTimeout(total=request_seconds, sock_connect=CONNECT_SECONDS)
        self._slots = Slots(concurrency)
        self._fence, self._answered = fence, answered
        self._sleep, self._jitter, self._clock = sleep, jitter, clock
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # No limit here: watches hold their connections; the semaphore bounds all else.
        connector = aiohttp.TCPConnector(limit=0, socket_factory=_socket)
        cookies = aiohttp.DummyCookieJar()
        self._session = aiohttp.ClientSession(connector=connector, cookie_jar=cookies)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, call: Call) -> bytes:
        """The body of the answer to a call, after as many attempts as are worthwhile.

        Raises:
            ApiError: the last refusal.
            Unreachable: the last attempt got no answer.
            ServerError, Unreachable: so an earlier attempt of a write ended, which may have worked,
                and a later one was refused: that refusal does not tell what has become of it.
        """
        started = self._clock()
        unknown: KubernetesError | None = None  # how such an attempt ended
        for attempt in range(1, self._retry.attempts + 1):
            try:
                async with self._slots.one(), self._open(call, self._timeout) as response:
                    return await response.read()
            except KubernetesError as error:
                delay = self._retry.delay(attempt, self._jitter())
                if isinstance(error, ApiError):
                    delay += error.retry_after or 0.0
                late = self._clock() + delay - started > self._retry.total
                if late or attempt == self._retry.attempts or not _worth_repeating(call, error):
                    if unknown is not None and not isinstance(error, _TELLING):
                        raise unknown from error
                    raise
                if call.verb not in READS and isinstance(error, ServerError | Unreachable):
                    unknown = error
            await self._sleep(delay)
        raise ValueError("Retry.attempts must be at least 1")

    async def chunks(self, call: Call, silence_seconds: float) -> AsyncGenerator[bytes, None]:
        """A long answer as it comes, in pieces of any length; no attempt is repeated.

        Close the generator (contextlib.aclosing) to close the connection.

        Args:
            silence_seconds: without a byte for so long the connection is taken for dead.

        Raises:
            ApiError: refused.
            Unreachable: the connection broke or fell silent.
        """
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_SECONDS, sock_read=silence_seconds
        )
        async with self._open(call, timeout) as response:
            async for chunk in response.content.iter_any():
                yield chunk

    async def lines(self, call: Call, silence_seconds: float) -> AsyncGenerator[bytes, None]:
        """The lines of such an answer as they come, of any length.

        What follows the last newline is the beginning of a line that was cut off, and is dropped.
        Errors inside the stream are lines.
        """
        begun: list[bytes] = []  # of a line that goes on in the next chunk
        async with aclosing(self.chunks(call, silence_seconds)) as chunks:
            async for chunk in chunks:
                *whole, rest = chunk.split(b"\n")
                for line in whole:
                    if begun:
                        line = b"".join([*begun, line])
                        begun = []
                    yield line
                if rest:
                    begun.append(rest)

    @asynccontextmanager
    async def _open(
        self, call: Call, timeout: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A successful response; credentials that are refused are renewed once."""
        try:
            headers = await self.connection.headers()
            response = await self._begin(call, timeout, headers)
            if response.status == 401:
                response.close()
                headers = await self.connection.headers(refused=headers)
                response = await self._begin(call, timeout, headers)
            async with response:
                if response.status >= 300:
                    after = response.headers.get("Retry-After", "")
                    raise error_from(await response.read(), response.status, after)
                yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.requests[call.verb, call.resource, 0] += 1
            what = f"{call.verb} {call.resource} at {self.connection.url}"
            raise Unreachable(f"{what}: {type(error).__name__} {error}".rstrip()) from error

    async def _begin(
        self, call: Call, timeout: aiohttp.ClientTimeout, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("the client is not open: use `async with`")
        if call.verb not in READS:
            self._fence()
        begun = self._clock()
        data = None if call.body is None else msgspec.json.encode(call.body)
        typed = {"Accept": METADATA[call.verb] if call.metadata_only else "application/json"} | (
            {"Content-Type": call.content_type} if data else {}
        )
        path = call.kind.path(call.namespace, call.name, call.subresource)
        response = await self._session.request(
            METHODS[call.verb],
            self.connection.url + path,
            params=call.query,
            data=data,
            headers={**headers, **typed},
            timeout=timeout,
            allow_redirects=False,  # credentials must not follow to another host
            ssl=self.connection.tls or True,
            server_hostname=self.connection.server_name,
            proxy=self.connection.proxy,
        )
        seconds = self._clock() - begun
        log.debug("%s %s: %d after %.3f s", call.verb, path, response.status, seconds)
        self.requests[call.verb, call.resource, response.status] += 1
        self._answered(call.verb, seconds)
        return response


def _worth_repeating(call: Call, error: KubernetesError) -> bool:
    if isinstance(error, TooManyRequests):
        return True
    return call.repeatable and isinstance(error, ServerError | Unreachable)


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """With TCP keepalive: else a watch notices a dead connection only by its own silence."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if hasattr(socket, name):  # not on every system
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made
