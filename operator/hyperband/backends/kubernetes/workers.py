"""Where surrogates are fitted and suggestions made, so that the event loop never waits for them.

A fit takes seconds and goes to a process of its own. A suggestion takes a fraction of a second,
mostly in numpy, which lets other threads run meanwhile, and it needs the engine: it goes to a
thread.
"""

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Final, Protocol, TypeVar

from hyperband.core.records import Fit

log = logging.getLogger(__name__)

T = TypeVar("T")

_CPUS: Final = os.cpu_count() or 1
PROCESSES: Final = min(4, max(1, _CPUS - 1))
THREADS: Final = min(4, _CPUS)
TRIES: Final = 2  # of a fit in a process, before it is made in a thread
NICE: Final = 5  # pods' news come first


class Workers(Protocol):
    """Does work apart from the event loop."""

    def fit(self, fitting: Callable[[], Fit]) -> asyncio.Future[Fit]:
        """Begins a fit, which can be pickled; the future may be cancelled."""

    async def run(self, function: Callable[[], T]) -> T:
        """Calls a function in a thread; nobody else may touch what it touches until it is back."""


class Pools:
    """A pool of processes, which are there from the first fit on, and one of threads.

    Args:
        fit_ended: told of each fit: the seconds it took, and whether it failed.
    """

    def __init__(
        self, fit_ended: Callable[[float, bool], None] = lambda seconds, failed: None
    ) -> None:
        self._fit_ended = fit_ended
        self._processes: ProcessPoolExecutor | None = None
        self._threads = ThreadPoolExecutor(THREADS, "suggestions")

    def fit(self, fitting: Callable[[], Fit]) -> asyncio.Future[Fit]:
        return asyncio.ensure_future(self._timed(fitting))

    async def run(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)

    async def _timed(self, fitting: Callable[[], Fit]) -> Fit:
        begun = time.monotonic()
        try:
            fit = await self._fit(fitting)
        except Exception:  # a fit that nobody waits for any more is none of them
            self._fit_ended(time.monotonic() - begun, True)
            raise
        self._fit_ended(time.monotonic() - begun, bool(fit.error))
        return fit

    async def _fit(self, fitting: Callable[[], Fit]) -> Fit:
        for _ in range(TRIES):
            if self._processes is None:
                self._processes = _processes()
            pool = self._processes
            try:
                return await asyncio.get_running_loop().run_in_executor(pool, fitting)
            except BrokenProcessPool as error:
                # One of its processes was killed, for want of memory as a rule, and with it all
                # fits of the pool are lost.
                log.warning("the processes that fit surrogates are started anew: %s", error)
                if self._processes is pool:
                    self._processes = None
        return await self.run(fitting)

    def close(self) -> None:
        """Starts nothing more; what runs ends by itself."""
        for pool in (self._processes, self._threads):
            if pool is not None:
                pool.shutdown(wait=False, cancel_futures=True)


def _processes() -> ProcessPoolExecutor:
    # Forked by a process that has loaded what fits need and nothing else: the operator itself has
    # threads and open connections.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["hyperband.core.engine"])
    return ProcessPoolExecutor(PROCESSES, context, initializer=_begin)


def _begin() -> None:
    """In a new process of the pool."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the operator to deal with
    os.nice(NICE)
    threading.Thread(target=_end_with_operator, daemon=True).start()


def _end_with_operator() -> None:
    """A pool that is killed tells its processes nothing: they would wait for ever."""
    operator = multiprocessing.parent_process()
    if operator is not None:
        operator.join()
        os._exit(1)
