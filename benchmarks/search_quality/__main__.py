"""`python -m benchmarks.search_quality`: makes the runs that are missing, then the report."""

import os
import sys
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from subprocess import CalledProcessError
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.search_quality import benchmark
from benchmarks.search_quality.methods import METHODS, SLOW, Method, Ours, method
from benchmarks.search_quality.progress import make
from benchmarks.search_quality.report import write_report
from benchmarks.search_quality.runs import Run
from benchmarks.surrogate import MissingDataError
from hack.cluster.paths import CACHE

QUICK_TASKS = ("lcbench/189908", "lcbench/168910", "lcbench/7593", "lcbench/126025")
QUICK_SEEDS = 2
CAP = 1200.0  # seconds of real time that one run may take


def main(
    quick: Annotated[bool, typer.Option("--quick", help="5 minutes.")] = False,
    method_names: Annotated[
        str, typer.Option("--methods", help="Comma-separated; default: all but the slow ones.")
    ] = "",
    tasks: Annotated[
        str, typer.Option(help="Comma-separated, lcbench/189908 or nb301; default: LCBench's 24.")
    ] = "",
    seeds: Annotated[str, typer.Option(help="A-B, or one.")] = "",
    workers: Annotated[str, typer.Option(help="Comma-separated.")] = "4",
    jobs: Annotated[int, typer.Option(min=1, help="Runs at a time.")] = os.cpu_count() or 1,
    results: Annotated[
        Path | None, typer.Option(help="Where runs are kept; default: in the cache.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the report; default: in the results'.")
    ] = None,
    runs_only: Annotated[bool, typer.Option("--runs-only", help="Make no report.")] = False,
    report_only: Annotated[bool, typer.Option("--report-only", help="Make no runs.")] = False,
) -> None:
    """Compare methods of search, ours and the peer's, on surrogates of benchmarks.

    Runs that are there are not made again: interrupt it and go on whenever you like.
    """
    console = Console(stderr=True)
    folder = results or CACHE / "search-quality"
    try:
        chosen = list(_methods(method_names, console))
        names = tasks.split(",") if tasks else list(QUICK_TASKS if quick else _lcbench())
        for name in names:
            benchmark.problem(name)  # or says now what is wrong with it
        numbers = _range(seeds) if seeds else range(QUICK_SEEDS if quick else 10)
        counts = [int(count) for count in workers.split(",")]
        if not report_only:
            _make(_runs(chosen, names, numbers, counts), folder, jobs, console)
        if not runs_only:
            # What is there of other methods is shown too.
            runs = _runs(METHODS, names, numbers, counts)
            command = " ".join(["python -m benchmarks.search_quality", *sys.argv[1:]])
            for path in write_report(runs, folder, out or folder / "report", command):
                console.print(str(path), highlight=False, soft_wrap=True)
    except (MissingDataError, KeyError, ValueError) as error:
        console.print(f"search_quality: {error.args[0]}", style="red", highlight=False)
        raise typer.Exit(2) from error
    except CalledProcessError as error:
        console.print("search_quality: the peer's environment could not be made", style="red")
        raise typer.Exit(1) from error


def _runs(
    chosen: Iterable[Method], tasks: Iterable[str], seeds: Iterable[int], workers: Iterable[int]
) -> list[Run]:
    """In the order in which they are made: methods become complete one after the other."""
    order = product(workers, chosen, seeds, tasks)
    return [Run(each, task, count, seed) for count, each, seed, task in order]


def _lcbench() -> Iterator[str]:
    return (name for name in benchmark.names() if name.startswith("lcbench/"))


def _methods(names: str, console: Console) -> Iterator[Method]:
    for each in map(method, names.split(",")) if names else METHODS:
        if isinstance(each, Ours) and each.missing:
            console.print(f"left out: {each.name}, for there is no {each.missing} yet")
        elif names or each.name not in SLOW:
            yield each


def _range(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def _make(wanted: list[Run], folder: Path, jobs: int, console: Console) -> None:
    missing = [run for run in wanted if run.load(folder) is None]
    console.print(f"{len(wanted)} runs, {len(wanted) - len(missing)} of them are there: {folder}")
    make(missing, folder, jobs, CAP, console)


if __name__ == "__main__":
    typer.run(main)
