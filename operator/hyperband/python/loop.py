"""Coroutines for callers who have none: also inside of a notebook, whose own loop is running."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


def wait_for(
    start: Callable[[], Coroutine[Any, Any, T]], interrupt: Callable[[], None] | None = None
) -> T:
    """Runs a coroutine in a thread and a loop of its own, and gives what comes of it.

    Args:
        interrupt: called in that loop at Ctrl-C, which is waited for then; without it, the
            coroutine is cancelled.

    Raises:
        KeyboardInterrupt: after the coroutine has ended.
    """
    running: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[T]]] = Future()
    ended: Future[T] = Future()

    async def within() -> T:
        task = asyncio.ensure_future(start())
        running.set_result((asyncio.get_running_loop(), task))
        return await task

    def work() -> None:
        try:
            ended.set_result(asyncio.run(within()))
        except BaseException as error:  # whatever it is, it is the caller's
            ended.set_exception(error)

    thread = Thread(target=work, name="hyperband", daemon=True)
    thread.start()
    try:
        return ended.result()
    except KeyboardInterrupt:
        loop, task = running.result()
        loop.call_soon_threadsafe(interrupt or task.cancel)
        thread.join()
        raise
    except asyncio.CancelledError as error:
        raise KeyboardInterrupt from error
