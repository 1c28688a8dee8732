"""Makes what is missing, and shows how far it has come."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from benchmarks.search_quality.drivers import AnyWork, run_all


def make(
    missing: Sequence[AnyWork],
    folder: Path,
    jobs: int,
    cap: float,
    console: Console,
    *,
    package: str = "benchmarks.search_quality",
    afresh: bool = False,
) -> None:
    """As `run_all`; what went wrong is printed, and the others are made all the same."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("runs", total=len(missing))
        for work, error in run_all(missing, folder, jobs, cap, package, afresh):
            progress.update(bar, advance=1, description=work.title)
            if error:
                progress.console.print(f"failed: {work.title}\n{error}", highlight=False)
            elif not console.is_terminal:
                console.print(work.title, highlight=False)
