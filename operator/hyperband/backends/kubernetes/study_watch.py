"""News of studies, by kopf.

kopf has a thread and an event loop of its own: it cancels at its end, which an error that outlasts
its retries is, whatever task of its event loop was begun after it, and namespaces come and go.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any

import aiohttp
import kopf

from hyperband.api import names
from hyperband.backends.kubernetes.connection import Connection
from hyperband.backends.kubernetes.election import new_identity
from hyperband.backends.kubernetes.manager import Manager

log = logging.getLogger(__name__)

PAUSE_SECONDS = 2.0


class StudyWatch:
    """Watches the studies for as long as the process lives, whether it works on them or not.

    Args:
        namespaces: the only ones to watch; none for all.
        find: who is told of those in a namespace, on the event loop that `run` is on.

    Attributes:
        trouble: why nothing is heard of studies, in words; empty where all is well.
    """

    def __init__(
        self,
        connection: Connection,
        namespaces: Collection[str],
        find: Callable[[str], Manager],
    ) -> None:
        self.trouble = ""
        self._connection, self._namespaces, self._find = connection, namespaces, find

    async def run(self) -> None:
        """Until it is cancelled. Giving up on errors, which kopf does, is not ours to do."""
        while True:
            try:
                await self.watch()
            except Exception as error:
                self.trouble = f"watching them has ended: {error}"
                log.warning("watching the studies has ended, beginning again: %s", error)
            await asyncio.sleep(PAUSE_SECONDS)

    async def watch(self) -> None:
        """One run of kopf, which lists all studies at its start."""
        loop, over = asyncio.new_event_loop(), asyncio.Event()
        registry = self._registry(asyncio.get_running_loop())
        running = asyncio.ensure_future(asyncio.to_thread(self._run_kopf, loop, registry, over))
        try:
            await asyncio.shield(running)
        finally:
            with suppress(RuntimeError):  # it is over already
                loop.call_soon_threadsafe(over.set)
            await asyncio.wait([running])

    def _run_kopf(
        self,
        loop: asyncio.AbstractEventLoop,
        registry: kopf.OperatorRegistry,
        over: asyncio.Event,
    ) -> None:
        """In its thread."""
        # Else kopf asks for the user's name, and a container's has none.
        identity: Any = new_identity()
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(
                kopf.operator(
                    registry=registry,
                    identity=identity,
                    standalone=True,
                    stop_flag=over,
                    clusterwide=not self._namespaces,
                    namespaces=list(self._namespaces),
                )
            )

    def _registry(self, home: asyncio.AbstractEventLoop) -> kopf.OperatorRegistry:
        """kopf's handlers. They only pass news on: kopf itself writes nothing to studies."""
        handlers = kopf.OperatorRegistry()

        @kopf.on.startup(registry=handlers)
        async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
            self.trouble = ""
            settings.posting.enabled = False  # our recorder counts events instead
            settings.scanning.disabled = True  # the CRDs are there; two watches less
            settings.watching.server_timeout = 270

        @kopf.on.login(registry=handlers)
        async def login(**_: Any) -> kopf.AiohttpSession:
            return kopf.AiohttpSession(
                server=self._connection.url,
                aiohttp_session=_session(self._connection, home),
                default_namespace=self._connection.namespace,
            )

        @kopf.on.event(names.GROUP, names.VERSION, names.STUDY_PLURAL, registry=handlers)
        async def study(type: str | None, body: Mapping[str, Any], **_: Any) -> None:
            # kopf's body is a live view of its own; a study's task keeps what it was told.
            plain = dict(body)
            metadata = plain["metadata"]
            namespace, name = metadata["namespace"], metadata["name"]
            manager = self._find(namespace)
            if type == "DELETED":
                gone = manager.study_gone
                home.call_soon_threadsafe(gone, namespace, name, metadata["uid"])
            else:
                home.call_soon_threadsafe(manager.study_seen, plain)

        return handlers


def _session(connection: Connection, home: asyncio.AbstractEventLoop) -> aiohttp.ClientSession:
    """A session for kopf with the settings and the credentials that our own client uses."""

    async def credentials(request: aiohttp.ClientRequest) -> None:
        request.headers.update(await connection.headers())

    async def authenticate(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        # They are renewed on one event loop for all.
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(credentials(request), home))
        if connection.server_name:
            request.server_hostname = connection.server_name
        return await handler(request)

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=connection.tls or False),
        middlewares=(authenticate,),
        proxy=connection.proxy,
    )


# That kopf leaves signals alone here, is as it should be.
logging.getLogger("kopf._core.reactor.running").addFilter(
    lambda record: "OS signals are ignored" not in str(record.msg)
)
