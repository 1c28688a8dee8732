"""Fits in real processes: where they run, and what becomes of those that are killed."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hyperband.backends.kubernetes import workers
from hyperband.backends.kubernetes.workers import MOST_KEPT, NICE, Pools, usable_cpus
from hyperband.core.gp.proposing import Proposing
from tests.kubernetes.fit_functions import PRECISE, die_once, die_outside, fail, where


@pytest.fixture
def pools() -> Iterator[Pools]:
    made = Pools()
    yield made
    made.close()


async def test_fits_are_made_by_one_kind_process_after_another(pools: Pools) -> None:
    first, second = await pools.fit(where), await pools.fit(where)
    pid, niceness, precise = first.hyperparameters
    assert pid != os.getpid()
    assert niceness == min(19, os.nice(0) + NICE)
    assert precise == PRECISE
    assert second == first, "the process stays"


async def test_a_fit_that_fails_fails_alone(pools: Pools) -> None:
    with pytest.raises(ValueError, match="singular"):
        await pools.fit(fail)
    assert (await pools.fit(where)).hyperparameters[0] != os.getpid()


async def test_a_fit_whose_process_is_killed_is_made_again(
    pools: Pools, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        fit = await pools.fit(partial(die_once, str(tmp_path / "sign")))
    assert fit.hyperparameters[0] != os.getpid()
    assert caplog.text.count("are started anew") == 1


async def test_a_fit_that_kills_its_processes_is_made_here_in_the_end(
    pools: Pools, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        fit = await pools.fit(partial(die_outside, os.getpid()))
    assert fit.hyperparameters[0] == os.getpid()
    assert caplog.text.count("are started anew") == 2


async def test_functions_run_in_a_thread_while_the_event_loop_goes_on(pools: Pools) -> None:
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def work() -> int:
        loop.call_soon_threadsafe(begun.set)
        assert go_on.wait(10)
        return threading.get_ident()

    task = asyncio.create_task(pools.run(work))
    await begun.wait()
    go_on.set()
    assert await task != threading.get_ident()


async def test_the_event_loop_goes_on_while_the_first_process_is_started(
    pools: Pools, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    class Slow:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def submit(self, function: Any) -> Future[Any]:
            loop.call_soon_threadsafe(begun.set)
            assert go_on.wait(10)
            future: Future[Any] = Future()
            future.set_result(function())
            return future

        def shutdown(self, **_: Any) -> None: ...

    monkeypatch.setattr(workers, "ProcessPoolExecutor", Slow)
    fit = pools.fit(where)
    await begun.wait()
    go_on.set()
    assert (await fit).hyperparameters[0] == os.getpid()


async def test_where_what_forks_processes_was_killed_a_fit_is_made_here_in_the_end(
    pools: Pools, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def submit(*_: Any) -> Future[Any]:
        raise EOFError("unexpected EOF")

    monkeypatch.setattr(workers.ProcessPoolExecutor, "submit", submit)
    assert (await pools.fit(where)).hyperparameters[0] == os.getpid()
    assert caplog.text.count("are started anew: no process could be started") == 2


class Searching:
    """Stands in for a `Proposing`: tells where it is called, and what with."""

    def __init__(self, size: int = 0, deadly_to: int = 0) -> None:
        self._size, self._deadly_to = size, deadly_to

    def __call__(self, last: Any) -> tuple[Any, Any]:
        if self._deadly_to and os.getpid() != self._deadly_to:
            os.kill(os.getpid(), signal.SIGKILL)
        count = last.count + 1 if last is not None else 1
        return (os.getpid(), os.nice(0), count), SimpleNamespace(count=count, size=self._size)


async def search(pools: Pools, study: str, searching: Searching) -> Any:
    return await pools.propose(study, cast(Proposing, searching))


async def test_a_study_s_searches_go_to_one_process_that_keeps_what_they_come_to(
    pools: Pools,
) -> None:
    (pid, niceness, first), (again, _, second) = [
        await search(pools, "a", Searching()) for _ in range(2)
    ]
    assert pid == again != os.getpid()
    assert niceness == min(19, os.nice(0) + NICE)
    assert (first, second) == (1, 2)
    assert (await search(pools, "b", Searching()))[2] == 1


async def test_what_a_study_has_not_asked_for_for_longest_is_kept_no_more(
    pools: Pools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "_searching", pools._searching[:1])
    half = Searching(MOST_KEPT // 2)
    for study, count in (("a", 1), ("b", 1), ("a", 2), ("c", 1), ("a", 3), ("b", 1)):
        assert (await search(pools, study, half))[2] == count


async def test_a_search_that_kills_its_processes_is_made_here_in_the_end(pools: Pools) -> None:
    pid, _, count = await search(pools, "a", Searching(deadly_to=os.getpid()))
    assert (pid, count) == (os.getpid(), 1)


OPERATOR = """
import asyncio, os, signal
from hyperband.backends.kubernetes.workers import Pools
from tests.kubernetes.fit_functions import where

async def operate():
    fit = await Pools().fit(where)
    assert fit.hyperparameters[0] != os.getpid()
    print("fitted", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    asyncio.run(operate())
"""


def test_processes_end_with_a_killed_operator(tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(OPERATOR)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    # Its end of the pipe is inherited: reading ends when all processes have.
    done = subprocess.run(
        [sys.executable, script], stdout=subprocess.PIPE, timeout=120, env=environment, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == b"fitted\n"


@pytest.mark.parametrize(
    ("limit", "cpus"),
    [("150000 100000\n", 1), ("50000 100000\n", 1), ("300000 100000\n", 3), ("max 100000\n", 8)],
)
def test_a_container_s_limit_bounds_the_processes(
    limit: str, cpus: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    (tmp_path / "cpu.max").write_text(limit)
    assert usable_cpus(tmp_path / "cpu.max") == cpus
    assert usable_cpus(tmp_path / "no such file") == 8
