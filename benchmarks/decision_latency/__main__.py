"""`python -m benchmarks.decision_latency`: measures what is missing, then writes the report."""

import os
import sys
from pathlib import Path
from subprocess import CalledProcessError
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.decision_latency.measurements import CAP, measurements
from benchmarks.decision_latency.report import write_report
from benchmarks.decision_latency.tasks import SPACES, available
from benchmarks.search_quality.progress import make
from benchmarks.surrogate import MissingDataError
from hack.cluster.paths import CACHE


def main(
    quick: Annotated[bool, typer.Option("--quick", help="5 minutes.")] = False,
    method_names: Annotated[
        str, typer.Option("--methods", help="Comma-separated; default: all.")
    ] = "",
    jobs: Annotated[int, typer.Option(min=1, help="Measurements at a time.")] = os.cpu_count() or 1,
    results: Annotated[
        Path | None, typer.Option(help="Where measurements are kept; default: in the cache.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the report; default: in the results'.")
    ] = None,
    report_only: Annotated[bool, typer.Option("--report-only", help="Measure nothing.")] = False,
) -> None:
    """Time suggestions of our searchers and the peer's against the number of observations.

    What is there is not measured again: interrupt it and go on whenever you like.
    """
    console = Console(stderr=True)
    folder = results or CACHE / "decision-latency"
    tasks = {space: available(space) for space in SPACES}
    everything = list(measurements(tasks, quick))
    known = dict.fromkeys(each.method for each in everything)
    chosen = method_names.split(",") if method_names else list(known)
    try:
        for name in set(chosen) - known.keys():
            raise KeyError(f"there is no method {name}: use one of {', '.join(known)}")
        if not report_only:
            wanted = [each for each in everything if each.method in chosen]
            missing = [each for each in wanted if each.load(folder) is None]
            there = len(wanted) - len(missing)
            console.print(f"{len(wanted)} measurements, {there} of them are there: {folder}")
            package = "benchmarks.decision_latency"
            make(missing, folder, jobs, CAP, console, package=package, afresh=True)
        command = " ".join([f"python -m {__package__}", *sys.argv[1:]])
        for path in write_report(everything, folder, out or folder / "report", command):
            console.print(str(path), highlight=False, soft_wrap=True)
    except (MissingDataError, KeyError) as error:
        console.print(f"decision_latency: {error.args[0]}", style="red", highlight=False)
        raise typer.Exit(2) from error
    except CalledProcessError as error:
        console.print("decision_latency: the peer's environment could not be made", style="red")
        raise typer.Exit(1) from error


if __name__ == "__main__":
    typer.run(main)
