"""Processes that make runs: a job goes in as a line of JSON, an answer comes out as one."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Literal, Protocol, TypeVar

from benchmarks.search_quality import peer

ROOT = Path(__file__).parents[2]
DRIVERS = {"ours": "own_driver", "peer": "peer_driver"}  # modules, by family


class Work(Protocol):
    """What a driver makes, into a file of its own."""

    @property
    def title(self) -> str:
        """What it is, in a few words."""

    @property
    def family(self) -> Literal["ours", "peer"]:
        """Whose environment it is made in."""

    def path(self, folder: Path) -> Path:
        """Where its file goes, in a folder of results."""

    def job(self, folder: Path, cap: float) -> dict[str, Any]:
        """What a driver is told; `cap` bounds the seconds that it takes."""


AnyWork = TypeVar("AnyWork", bound=Work)


class Driver:
    """One process, with one thread for linear algebra; started with its first job.

    Args:
        module: what it runs.
        python: the interpreter to run it with.
        log: what it prints to standard error is added there.
    """

    def __init__(self, module: str, python: Path, log: Path) -> None:
        self._command = [str(python), "-m", module]
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    def run(self, job: dict[str, Any]) -> str | None:
        """Makes a run. Returns what went wrong, or None."""
        process = self._process = self._process or self._start()
        assert process.stdin and process.stdout
        answer = ""
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        if not answer:
            self._process = None
            return f"its process ended with exit code {process.wait()}: see {self._log}"
        error: str | None = json.loads(answer).get("error")
        return error

    def close(self) -> None:
        if self._process and self._process.stdin:
            self._process.stdin.close()
            self._process.wait()
            self._process = None

    def _start(self) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": f"{ROOT / 'operator'}{os.pathsep}{ROOT}",
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        }
        with self._log.open("a", encoding="utf-8") as log:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
            )


def run_all(
    runs: Sequence[AnyWork],
    folder: Path,
    processes: int,
    cap: float,
    package: str = "benchmarks.search_quality",
    afresh: bool = False,
) -> Iterator[tuple[AnyWork, str | None]]:
    """Makes runs in their order, so many at a time; yields each as it ends, and its error.

    Args:
        package: which has the modules of the drivers.
        afresh: whether each run has a process of its own.

    Raises:
        subprocess.CalledProcessError: the peer's environment could not be made.
    """
    pythons = {"ours": Path(sys.executable)}
    if any(run.family == "peer" for run in runs):
        pythons["peer"] = peer.interpreter()
    todo: SimpleQueue[AnyWork] = SimpleQueue()
    done: SimpleQueue[tuple[AnyWork, str | None] | None] = SimpleQueue()
    for run in runs:
        run.path(folder).parent.mkdir(parents=True, exist_ok=True)
        todo.put(run)

    def work() -> None:
        drivers = {
            family: Driver(f"{package}.{DRIVERS[family]}", python, folder / f"{family}.log")
            for family, python in pythons.items()
        }
        try:
            _work(todo, done, drivers, folder, cap, afresh)
        finally:
            for driver in drivers.values():
                driver.close()
            done.put(None)

    threads = [Thread(target=work, daemon=True) for _ in range(processes)]
    for thread in threads:
        thread.start()
    left = processes
    while left:
        ended = done.get()
        if ended is None:
            left -= 1
        else:
            yield ended


def _work(
    todo: "SimpleQueue[AnyWork]",
    done: "SimpleQueue[tuple[AnyWork, str | None] | None]",
    drivers: Mapping[str, Driver],
    folder: Path,
    cap: float,
    afresh: bool,
) -> None:
    """Makes runs until there are no more."""
    with suppress(Empty):
        while True:
            run = todo.get_nowait()
            driver = drivers[run.family]
            done.put((run, driver.run(run.job(folder, cap))))
            if afresh:
                driver.close()
