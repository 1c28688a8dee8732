"""A page's server in the test's own loop."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from hyperband.backends.kubernetes.telemetry.server import Address
from hyperband.dashboard.access import Access, OwnMachine
from hyperband.dashboard.feeds import Feeds, Source
from hyperband.dashboard.folder import Folder
from hyperband.dashboard.pages import Pages
from hyperband.dashboard.serve import LOOPBACK, serving

TOKEN = "the-token"
STUDY = "/api/studies/default/digits"


class Site:
    """What a browser does."""

    def __init__(
        self, session: aiohttp.ClientSession, base: str, feeds: Feeds | None = None
    ) -> None:
        self._session, self.base, self.feeds = session, base, feeds

    async def ask(
        self, path: str, token: str | None = TOKEN, **more: Any
    ) -> tuple[int, dict[str, Any]]:
        """A status, and the JSON that came with it."""
        async with self.open(path, token, **more) as response:
            return response.status, json.loads(await response.text())

    def open(self, path: str, token: str | None = TOKEN, **more: Any) -> Any:
        """A request; paths go as they are written."""
        headers = {**({"Authorization": f"Bearer {token}"} if token else {})}
        headers |= more.pop("headers", {})
        url = URL(self.base + path, encoded=True)
        return self._session.request(more.pop("method", "GET"), url, headers=headers, **more)


@asynccontextmanager
async def site(
    source: Source,
    access: Access,
    feeds: Feeds | None = None,
    pages: Path | None = None,
    hosts: frozenset[str] = LOOPBACK,
    review_every: float = 30.0,
) -> AsyncIterator[Site]:
    """A server of that source, and somebody who asks it."""
    feeds = Feeds(source) if feeds is None else feeds
    running = asyncio.create_task(feeds.run())
    shown = Pages(pages) if pages is not None else Pages(Path("/nonexistent"))
    address = Address("127.0.0.1", 0)
    try:
        async with (
            serving(
                source,
                feeds,
                access,
                address,
                hosts=hosts,
                pages=shown,
                review_every=review_every,
            ) as port,
            aiohttp.ClientSession() as session,
        ):
            yield Site(session, f"http://127.0.0.1:{port}", feeds)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def of_folder(folder: Path, **more: Any) -> AsyncIterator[Site]:
    """A server of the run in a folder."""
    async with site(Folder(folder), OwnMachine(TOKEN), **more) as made:
        yield made


async def next_event(response: aiohttp.ClientResponse) -> tuple[str, dict[str, Any]]:
    """The next event of a stream; those that only keep it alive are passed over."""
    event = ""
    async for raw in response.content:
        line = raw.decode().rstrip("\n")
        if line.startswith("event: "):
            event = line[7:]
        elif line.startswith("data: "):
            return event, json.loads(line[6:])
    raise AssertionError("the stream has ended")
