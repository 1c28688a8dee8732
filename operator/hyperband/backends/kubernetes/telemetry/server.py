"""Probes and metrics over HTTP, on the operator's own event loop: an answer is a proof of life.

As on Kubernetes' own servers each probe is a list of checks: `/healthz/NAME` asks for one of them,
`?exclude=NAME` leaves one out, and the body says of each what is wrong.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

log = logging.getLogger(__name__)

Check = Callable[[], str]  # what is wrong, in words; empty if nothing is
TEXT = "text/plain"
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class CannotListenError(Exception):
    """The address is in use, or not one of this machine."""


@dataclass(frozen=True)
class Address:
    """Where to listen; without a host, at all addresses of the machine."""

    host: str | None
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """`[HOST]:PORT`, where the host of IPv6 stands in brackets.

        Raises:
            ValueError: it is none.
        """
        host, colon, port = text.rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError(f"{text!r}: write the host of IPv6 in brackets: [::1]:8080")
        if not colon or not port.isascii() or not port.isdecimal() or int(port) > 65535:
            raise ValueError(f"{text!r} is no [HOST]:PORT, such as :8080 or 127.0.0.1:8080")
        return cls(host or None, int(port))

    def __str__(self) -> str:
        host = self.host or ""
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


@dataclass(frozen=True)
class Probes:
    """What the answers depend on.

    Attributes:
        live: checks that fail when only a new process can help.
        ready: checks that fail while this process does not work, for whatever reason.
        metrics: what /metrics shows, in Prometheus' text format.
    """

    live: Mapping[str, Check]
    ready: Mapping[str, Check]
    metrics: Callable[[], Awaitable[bytes]]


@asynccontextmanager
async def serving(address: Address | None, probes: Probes) -> AsyncIterator[int]:
    """Serves them meanwhile, or nothing without an address; gives the port.

    Raises:
        CannotListenError: another program listens there.
    """
    if address is None:
        yield 0
        return
    async with listening(application(probes), address) as port:
        there = replace(address, host=address.host or "*", port=port)
        log.info("probes and metrics are at http://%s", there)
        yield port


@asynccontextmanager
async def listening(
    app: web.Application,
    address: Address,
    *,
    tls: ssl.SSLContext | None = None,
    **options: Any,
) -> AsyncIterator[int]:
    """Serves an application meanwhile; gives the port.

    Args:
        options: more of them for aiohttp's runner.

    Raises:
        CannotListenError: another program listens there.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=1.0,
        logger=_requests_log(),
        **options,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, address.host, address.port, ssl_context=tls)
        try:
            await site.start()
        except OSError as error:
            raise CannotListenError(f"cannot listen at {address}: {error.strerror}") from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _requests_log() -> logging.Logger:
    """For what goes wrong with requests, but for those that are no HTTP: whoever reaches the port
    can send them, and each would be a traceback."""
    found = logging.getLogger("hyperband.http")
    found.addFilter(_is_ours)  # it is there once
    return found


def _is_ours(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def application(probes: Probes) -> web.Application:
    """The three paths."""
    app = web.Application()
    for name, checks in (("healthz", probes.live), ("readyz", probes.ready)):
        handler = _probe(name, checks)
        app.router.add_get(f"/{name}", handler)
        app.router.add_get(f"/{name}/{{check}}", handler)

    async def metrics(_: web.Request) -> web.Response:
        body = await probes.metrics()
        answer = web.Response(body=body, headers={"Content-Type": METRICS_TYPE})
        answer.enable_compression()
        return answer

    app.router.add_get("/metrics", metrics)
    return app


def _probe(
    name: str, checks: Mapping[str, Check]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        asked = request.match_info.get("check")
        if asked is not None and asked not in checks:
            raise web.HTTPNotFound(text=f"{name} knows {', '.join(checks)}\n")
        left_out = set(request.query.getall("exclude", ()))
        wanted = [asked] if asked else [each for each in checks if each not in left_out]
        found = {each: checks[each]() for each in wanted}
        lines = [
            f"[-]{each} failed: {wrong}" if wrong else f"[+]{each} ok"
            for each, wrong in found.items()
        ]
        failed = any(found.values())
        lines.append(f"{name} check {'failed' if failed else 'passed'}\n")
        return web.Response(status=503 if failed else 200, text="\n".join(lines))

    return answer


def ended(task: asyncio.Task[None]) -> Check:
    """Fails once a task is over that should never be."""
    return lambda: f"the task {task.get_name()} has ended" if task.done() else ""
