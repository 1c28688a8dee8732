"""Where surrogates are fitted and suggestions made, so that the event loop never waits for them.

A fit takes seconds, and the search for what to try next a fraction of one: both go to processes.
A thread that did it would hold Python's lock for up to a tenth of a second, as LAPACK is called
with it. A study's searches all go to one process, which keeps what it has decomposed for them.
What is left of a suggestion needs the engine, and is short: it goes to a thread.
"""

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from hyperband.core.gp.proposing import Grown, Proposal, Proposing
from hyperband.core.records import Fit

log = logging.getLogger(__name__)

T = TypeVar("T")


def usable_cpus(limit: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """The CPUs of this machine, or as many as a container's limit comes to; 1 at least.

    Args:
        limit: the file of control groups, version 2: microseconds, or max, and those of a period.
    """
    cpus = os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = map(int, limit.read_text().split())  # "max" is no number
        cpus = min(cpus, quota // period)
    return max(1, cpus)


_CPUS: Final = usable_cpus()
PROCESSES: Final = min(4, max(1, _CPUS - 1))  # that fit, and as many that search
THREADS: Final = min(4, _CPUS)
TRIES: Final = 2  # in a process, before it is done in a thread
NICE: Final = 5  # pods' news come first
MOST_KEPT: Final = 2**28 // PROCESSES  # bytes that a process keeps of what it has decomposed


class Workers(Protocol):
    """Does work apart from the event loop."""

    def fit(self, fitting: Callable[[], Fit]) -> asyncio.Future[Fit]:
        """Begins a fit, which can be pickled; the future may be cancelled."""

    async def propose(self, study: str, proposing: Proposing) -> Proposal:
        """Searches what a study is to try next.

        Args:
            study: its uid; whatever is given, the answer is the same.
        """

    async def run(self, function: Callable[[], T]) -> T:
        """Calls a function in a thread; nobody else may touch what it touches until it is back."""


class Pools:
    """Processes, which are there from the first need on, and threads.

    Args:
        fit_ended: told of each fit: the seconds it took, and whether it failed.
    """

    def __init__(
        self, fit_ended: Callable[[float, bool], None] = lambda seconds, failed: None
    ) -> None:
        self._fit_ended = fit_ended
        self._threads = ThreadPoolExecutor(THREADS, "suggestions")
        self._fitting = _Processes(PROCESSES, self._threads)
        self._searching = [_Processes(1, self._threads) for _ in range(PROCESSES)]

    def fit(self, fitting: Callable[[], Fit]) -> asyncio.Future[Fit]:
        return asyncio.ensure_future(self._timed(fitting))

    async def propose(self, study: str, proposing: Proposing) -> Proposal:
        own = self._searching[zlib.crc32(study.encode()) % len(self._searching)]

        async def here() -> Proposal:
            return (await self.run(partial(proposing, None)))[0]

        return await own.call(partial(_propose, study, proposing), here)

    async def run(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)

    async def _timed(self, fitting: Callable[[], Fit]) -> Fit:
        begun = time.monotonic()
        try:
            fit = await self._fitting.call(fitting, partial(self.run, fitting))
        except Exception:  # a fit that nobody waits for any more is none of them
            self._fit_ended(time.monotonic() - begun, True)
            raise
        self._fit_ended(time.monotonic() - begun, bool(fit.error))
        return fit

    def close(self) -> None:
        """Starts nothing more; what runs ends by itself."""
        for processes in (self._fitting, *self._searching):
            processes.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Processes:
    """A pool that is there from the first call on, and is made anew when it breaks.

    Forked by a process that has loaded what is needed and nothing else: the operator itself has
    threads and open connections. A thread waits for what that takes at first, which is seconds.
    """

    def __init__(self, count: int, threads: ThreadPoolExecutor) -> None:
        self._count, self._threads = count, threads
        self._pool: ProcessPoolExecutor | None = None
        self._starting = threading.Lock()

    async def call(self, function: Callable[[], T], here: Callable[[], Awaitable[T]]) -> T:
        """What the function, which can be pickled, returns or raises in one of the processes.

        Args:
            here: does the same in this process, when all tries have broken the pool.
        """
        for _ in range(TRIES):
            pool = self._pool
            if pool is None:
                pool = await self._in_thread(self._start)
            try:
                return await asyncio.wrap_future(await self._in_thread(_submit, pool, function))
            except BrokenProcessPool as error:
                # One of its processes was killed, for want of memory as a rule, and with it all
                # that the pool had under way is lost.
                log.warning("the processes for surrogates are started anew: %s", error)
                if self._pool is pool:
                    self._pool = None
        return await here()

    def _in_thread(self, function: Callable[..., T], *args: Any) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    def _start(self) -> ProcessPoolExecutor:
        with self._starting:
            if self._pool is None:
                context = multiprocessing.get_context("forkserver")
                context.set_forkserver_preload(["hyperband.core.engine"])
                self._pool = ProcessPoolExecutor(self._count, context, initializer=_begin)
            return self._pool

    def close(self) -> None:
        """Starts nothing more."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, function: Callable[[], T]) -> Future[T]:
    try:
        return pool.submit(function)
    except (OSError, EOFError) as error:  # what forks the processes was killed just now
        raise BrokenProcessPool(f"no process could be started: {error!r}") from error


_grown: OrderedDict[str, Grown] = OrderedDict()  # in a process that searches: by study


def _propose(study: str, proposing: Proposing) -> Proposal:
    """In a process of the pool."""
    proposal, _grown[study] = proposing(_grown.pop(study, None))
    while len(_grown) > 1 and sum(each.size for each in _grown.values()) > MOST_KEPT:
        _grown.popitem(last=False)  # that of the study that has asked for nothing for longest
    return proposal


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
