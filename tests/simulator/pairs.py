"""Every scheduler with every searcher, through many random studies with faults and kills.

    python -m tests.simulator.pairs            # 200 studies a pair, on all cores
    python -m tests.simulator.pairs --studies 20

The studies and the invariants are those of test_invariants, of which each test run takes a share.
What has passed is kept in the cache with the sources' hash, so that an interrupted run goes on.
"""

import hashlib
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import product
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from hack.cluster.paths import CACHE, REPOSITORY
from hyperband.core.searchers import SEARCHERS
from tests.simulator.random_studies import MODES, random_case
from tests.simulator.test_invariants import check


def sources() -> str:
    """A hash of what decides and what checks."""
    files = [
        *(REPOSITORY / "operator/hyperband/core").rglob("*.py"),
        *(REPOSITORY / "operator/hyperband/backends/simulator").rglob("*.py"),
        *(REPOSITORY / "tests/simulator").glob("*.py"),
    ]
    digest = hashlib.blake2b(digest_size=8)
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def study(mode: str, searcher: str, number: int) -> str | None:
    """Runs one study; what went wrong, or None."""
    seed = number * len(MODES) + MODES.index(mode)
    try:
        check(random_case(seed, searcher))
    except Exception as error:
        return f"{mode} with {searcher}, seed {seed}: {error!r}"
    return None


def run(
    studies: Annotated[int, typer.Option(help="Studies of each pair.")] = 200,
    jobs: Annotated[int, typer.Option(help="Processes.")] = os.cpu_count() or 1,
) -> None:
    """Runs what has not passed yet, and prints a line for each pair."""
    console = Console()
    passed_file = CACHE / "pairs" / sources()
    passed_file.parent.mkdir(parents=True, exist_ok=True)
    passed = set(passed_file.read_text().splitlines()) if passed_file.exists() else set()
    pairs = list(product(MODES, SEARCHERS))
    cases = [(mode, searcher, n) for n in range(studies) for mode, searcher in pairs]
    left = [case for case in cases if "/".join(map(str, case)) not in passed]
    failures: list[str] = []
    with (
        passed_file.open("a") as log,
        ProcessPoolExecutor(jobs) as pool,
        Progress(console=console) as progress,
    ):
        task = progress.add_task("studies", total=len(cases), completed=len(cases) - len(left))
        running = {pool.submit(study, *case): case for case in left}
        for future in as_completed(running):
            wrong = future.result()
            if wrong is None:
                log.write("/".join(map(str, running[future])) + "\n")
                log.flush()
            else:
                failures.append(wrong)
                console.print(wrong)
            progress.advance(task)
    table = Table(title=f"{studies} random studies with faults and kills, each")
    for column in ("scheduler", "searcher", "failed"):
        table.add_column(column)
    for mode, searcher in pairs:
        failed = sum(each.startswith(f"{mode} with {searcher},") for each in failures)
        table.add_row(mode, searcher, str(failed))
    console.print(table)
    console.print(f"{len(cases)} studies, {len(failures)} failed")
    sys.exit(bool(failures))


if __name__ == "__main__":
    typer.run(run)
