"""The campaign: every write point, then random schedules, simulated and on a real API server.

    make chaos SEEDS=500 REAL=50

What has passed is kept in the cache with the sources' hash, so that an interrupted run goes on.
Each failure is printed with the command that replays it.
"""

import asyncio
import hashlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from hack.cluster import kindcluster
from hack.cluster.paths import CACHE, REPOSITORY
from tests.chaos import clock, walk
from tests.chaos.faults import WALKED, Fault
from tests.chaos.real import SLOTS, run_real
from tests.chaos.schedules import random_schedule
from tests.chaos.simulated import simulate

End = Callable[[str, str | None], None]  # told of a case's end and what went wrong, if anything

REPLAY = {"point": "POINT", "seed": "SEED", "real": "REAL_SEED"}


def sources() -> str:
    """A hash of what is tried and of what tries it."""
    files = [
        *(REPOSITORY / "operator/hyperband/core").rglob("*.py"),
        *(REPOSITORY / "operator/hyperband/api").rglob("*.py"),
        *(REPOSITORY / "operator/hyperband/backends/kubernetes").rglob("*.py"),
        *(REPOSITORY / "tests/chaos").glob("*.py"),
        REPOSITORY / "tests/kubernetes/fake_cluster.py",
    ]
    digest = hashlib.blake2b(digest_size=8)
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def points() -> list[str]:
    """Every write point of every life with every fault, as `Promotion:12:LOST`."""
    return [
        f"{life}:{point}:{fault.name}"
        for life in walk.LIVES
        for point in range(len(walk.write_points(life)))
        for fault in WALKED
    ]


def run_case(kind: str, which: str) -> str | None:
    """Runs a simulated case; what went wrong, or None."""
    logging.disable(logging.CRITICAL)
    try:
        run_loudly(kind, which)
    except Exception as error:
        return describe(error)
    return None


def run_loudly(kind: str, which: str) -> None:
    if kind == "point":
        life, point, fault = which.split(":")
        walk.walk(life, int(point), Fault[fault])
    else:
        simulate(random_schedule(int(which)))


def describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


class Campaign:
    """Runs cases, keeps what has passed, and counts what has failed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._file = CACHE / "chaos" / sources()
        self._file.parent.mkdir(parents=True, exist_ok=True)
        text = self._file.read_text() if self._file.exists() else ""
        self._passed = set(text.splitlines())
        self.cases = self.failed = 0

    def simulated(self, kind: str, which: list[str], jobs: int) -> None:
        with self._part(f"{kind}s", kind, which) as (left, end), ProcessPoolExecutor(jobs) as pool:
            running = {pool.submit(run_case, kind, each): each for each in left}
            for future in as_completed(running):
                end(running[future], future.result())

    def real(self, seeds: list[str]) -> None:
        async def all_of_them(left: list[str], end: End) -> None:
            slots = asyncio.Semaphore(SLOTS)

            async def one(seed: str) -> None:
                async with slots:
                    try:
                        await run_real(int(seed))
                    except Exception as error:
                        end(seed, describe(error))
                    else:
                        end(seed, None)

            await asyncio.gather(*map(one, left))

        with self._part("real schedules", "real", seeds) as (left, end):
            asyncio.run(all_of_them(left, end))

    @contextmanager
    def _part(self, title: str, kind: str, which: list[str]) -> Iterator[tuple[list[str], End]]:
        """The cases that have not passed before, and what is to be called at the end of each."""
        left = [each for each in which if f"{kind} {each}" not in self._passed]
        self.cases += len(which)
        with Progress(console=self._console) as progress, self._file.open("a") as log:
            task = progress.add_task(title, total=len(which), completed=len(which) - len(left))

            def end(each: str, wrong: str | None) -> None:
                if wrong is None:
                    log.write(f"{kind} {each}\n")
                    log.flush()
                else:
                    self.failed += 1
                    again = f"make chaos {REPLAY[kind]}={each}"
                    self._console.print(
                        f"{kind} {each} failed; replay it: {again}", wrong, sep="\n"
                    )
                progress.advance(task)

            yield left, end


def replay(kind: str, which: str) -> None:
    """Runs one case and shows what happens in it."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(seconds)9.3f  %(name)s  %(message)s"))

    def stamp(record: logging.LogRecord) -> bool:
        try:
            record.seconds = clock.seconds()
        except RuntimeError:  # outside of the loop
            record.seconds = 0.0
        return True

    handler.addFilter(stamp)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    if kind == "real":
        asyncio.run(run_real(int(which)))
    else:
        run_loudly(kind, which)


def kubectl_folder() -> Path:
    """Where `make up` has built one, or anybody else has put it."""
    return Path(kindcluster.kubectl_program()).parent


def main(
    seeds: Annotated[int, typer.Option(help="Simulated schedules.")] = 500,
    real: Annotated[int, typer.Option(help="Schedules on the cluster of KUBECONFIG.")] = 50,
    seed: Annotated[str, typer.Option(help="Only this simulated schedule.")] = "",
    real_seed: Annotated[str, typer.Option(help="Only this real schedule.")] = "",
    point: Annotated[str, typer.Option(help="Only this write point, as Promotion:3:LOST.")] = "",
    jobs: Annotated[int, typer.Option(help="Processes.")] = os.cpu_count() or 1,
) -> None:
    """Runs what has not passed yet; the last line says how many schedules and failures."""
    os.environ["PATH"] = f"{kubectl_folder()}{os.pathsep}{os.environ['PATH']}"
    console = Console(highlight=False, soft_wrap=True)
    for kind, which in (("seed", seed), ("real", real_seed), ("point", point)):
        if which:
            failed = 0
            try:
                replay(kind, which)
            except Exception:
                console.print_exception()
                failed = 1
            print(f"1 schedules, {failed} failed")
            sys.exit(failed)
    campaign = Campaign(console)
    walked = points()
    for life in walk.LIVES:
        console.print(f"{life}: {len(walk.write_points(life))} write points")
    campaign.simulated("point", walked, jobs)
    campaign.simulated("seed", [str(number) for number in range(seeds)], jobs)
    if real:
        campaign.real([str(number) for number in range(real)])
    print(f"{campaign.cases} schedules, {campaign.failed} failed")
    sys.exit(bool(campaign.failed))


if __name__ == "__main__":
    typer.run(main)
