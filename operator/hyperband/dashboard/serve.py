"""The server from its start to its end."""

import asyncio
import gc
import signal
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from hyperband.backends.kubernetes.tasks import begin, cancel
from hyperband.backends.kubernetes.telemetry.server import Address, listening
from hyperband.dashboard.access import Access
from hyperband.dashboard.answers import Answers
from hyperband.dashboard.feeds import Feeds, Source
from hyperband.dashboard.pages import Pages
from hyperband.dashboard.server import Api, application
from hyperband.dashboard.stream import REVIEW
from hyperband.dashboard.tls import Files

LOOPBACK: Final = frozenset(("127.0.0.1", "localhost", "[::1]"))
MAX_HEADER: Final = 32768  # bytes: tokens of some providers are long
# Of Python's collector: it walks all trials that are read, ten thousand of them longer than any
# answer takes, and finds nothing, as what is dropped lies in no cycles. So it comes seldom.
THRESHOLDS: Final = (100_000, 20, 100)


@asynccontextmanager
async def serving(
    source: Source,
    feeds: Feeds,
    access: Access,
    address: Address,
    *,
    hosts: frozenset[str] = frozenset(),
    tls: ssl.SSLContext | None = None,
    pages: Pages | None = None,
    review_every: float = REVIEW,
) -> AsyncIterator[int]:
    """Serves the page meanwhile; gives the port.

    Raises:
        CannotListenError: another program listens there.
    """
    answers = Answers()
    api = Api(source, feeds, access, answers, review_every)
    app = application(api, source, pages or Pages(), hosts)
    before = gc.get_threshold()
    gc.set_threshold(*THRESHOLDS)
    try:
        async with listening(
            app,
            address,
            tls=tls,
            handler_cancellation=True,  # of those who leave: nothing is made or held for them
            max_field_size=MAX_HEADER,
        ) as port:
            yield port
    finally:
        answers.close()
        gc.set_threshold(*before)


async def serve(
    source: Source,
    feeds: Feeds,
    access: Access,
    address: Address,
    background: Sequence[Coroutine[Any, Any, None]],
    started: Callable[[int], None],
    *,
    hosts: frozenset[str] = frozenset(),
    files: Files | None = None,
) -> None:
    """Serves until it is interrupted.

    Args:
        background: what goes on meanwhile.
        started: is told the port.
    """
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    tls = None if files is None else files.context()
    renewing = [files.renew(tls)] if files is not None and tls is not None else []
    tasks = [begin(each, "dashboard") for each in (*background, *renewing, feeds.run())]
    try:
        async with serving(source, feeds, access, address, hosts=hosts, tls=tls) as port:
            started(port)
            await stop.wait()
    finally:
        await cancel(*tasks)
