"""`hyperband simulate STUDY.yaml`: a study on simulated workers, before it costs a GPU."""

import json
import math
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table
from rich.text import Text

from hyperband.api.files import load_manifest
from hyperband.api.study import StudyResource, parse_study
from hyperband.backends.simulator.curves import AnalyticCurves, Benchmark, BenchmarkError
from hyperband.backends.simulator.record import RunRecord, run_record
from hyperband.backends.simulator.simulation import Observer, Simulation
from hyperband.backends.simulator.workers import Attempt
from hyperband.cli.benchmarks import load_benchmark
from hyperband.core.engine import Engine
from hyperband.core.errors import InvalidStudyError, printable
from hyperband.core.records import Study

Watch = Callable[[int], None]  # is told how many trials there are


class BadOptionError(ValueError):
    """An option that cannot be; the message names it, its value and the mend."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run, as it is sent to another process."""

    study: Study  # with its own seed and workers
    benchmark: str | None
    until: float  # simulated seconds
    gpus: float  # of each trial


def simulate(
    study: Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="A HyperbandStudy.")],
    benchmark: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:FACTORY",
            help="What training does: package.module:factory, whose object has a method "
            "curve(parameters, seed). Default: synthetic power laws.",
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Trials at a time; default: spec.parallelism.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Simulated seconds; default: to the end of the study.")
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(metavar="A-B", help="One run a seed; default: spec.searcher.seed, or 0."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the results there, as JSON.")] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Runs at a time; default: one a core.")
    ] = None,
) -> None:
    """Run a study on simulated workers and a virtual clock, with the operator's own decisions.

    Nothing is trained and no cluster is needed: a benchmark says how training goes and how long it
    takes. Decisions take no simulated time; their real cost is reported.
    """
    try:
        resource = _read(study)
        given = resource.study
        given = replace(given, parallelism=workers or given.parallelism)
        until = _until(seconds)
        todo = [
            Job(replace(given, seed=seed), benchmark, until, resource.gpus)
            for seed in parse_seeds(seeds, given.seed)
        ]
        _writable(out)
        if benchmark:
            load_benchmark(benchmark)
        runs = sorted(_run_all(todo, jobs or os.cpu_count() or 1), key=lambda run: run["seed"])
    except (InvalidStudyError, BenchmarkError, BadOptionError) as error:
        option = f"--benchmark {benchmark}: " if isinstance(error, BenchmarkError) else ""
        typer.echo(f"hyperband simulate: {option}{error}", err=True)
        raise typer.Exit(1) from error
    if out:
        objective = {"metric": given.objective.metric, "goal": given.objective.goal.value}
        content = {"study": given.name, "objective": objective, "benchmark": benchmark}
        out.write_text(json.dumps({**content, "runs": runs}) + "\n", encoding="utf-8")
    Console().print(table(given, runs))
    for run in runs:
        if run["noResult"] is not None:
            none = f"none of {run['trials']} trials has a result"
            typer.echo(f"seed {run['seed']}: {none}: {run['noResult']}")


def _read(path: Path) -> StudyResource:
    """The study in a file; one without a seed has seed 0 here, as it has no uid."""
    try:
        body = load_manifest(path)
    except OSError as error:
        raise BadOptionError(f"{path}: {error.strerror}: name the file of a study") from error
    spec = body.get("spec")
    searcher = spec.get("searcher") if isinstance(spec, dict) else None
    seeded = isinstance(searcher, dict) and searcher.get("seed") is not None
    resource = parse_study(body)
    if resource.warm_start:
        typer.echo(
            f"hyperband simulate: warmStart.fromStudies: {', '.join(resource.warm_start)}: "
            "its trials are in a cluster; the simulated study starts without them",
            err=True,
        )
    return resource if seeded else replace(resource, study=replace(resource.study, seed=0))


def _until(seconds: float | None) -> float:
    if seconds is None:
        return math.inf
    if not (0 < seconds < math.inf):
        raise BadOptionError(f"--seconds {seconds:g}: give a number above 0, or leave it out")
    return seconds


def parse_seeds(text: str | None, default: int) -> Sequence[int]:
    """`3`, or `0-9` with both ends."""
    if text is None:
        return [default]
    first, dash, last = text.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()):
        raise BadOptionError(f"--seeds {text}: give one seed such as 3, or a range such as 0-9")
    seeds = range(int(first), int(last or first) + 1)
    if not seeds:
        raise BadOptionError(f"--seeds {text}: ends before it begins: give the smaller one first")
    return seeds


def _writable(out: Path | None) -> None:
    """Refuses now what would be lost after all runs."""
    if out is None:
        return
    if out.is_dir():
        raise BadOptionError(f"--out {out}: is a folder: name a file")
    if not out.absolute().parent.is_dir():
        raise BadOptionError(f"--out {out}: there is no folder {out.parent}: create it")


def _run_all(todo: Sequence[Job], jobs: int) -> Iterator[RunRecord]:
    """Each run as it ends, with a display of progress where there is a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("simulating", total=len(todo))
        runs = _in_turn(todo, progress, bar) if min(jobs, len(todo)) == 1 else _abreast(todo, jobs)
        for run in runs:
            yield run
            progress.advance(bar)


def _in_turn(todo: Sequence[Job], progress: Progress, bar: TaskID) -> Iterator[RunRecord]:
    for job in todo:
        yield _run(job, partial(_tell, progress, bar, job.study.seed))


def _tell(progress: Progress, bar: TaskID, seed: int, trials: int) -> None:
    progress.update(bar, description=f"seed {seed}: {trials} trials")


def _abreast(todo: Sequence[Job], jobs: int) -> Iterator[RunRecord]:
    """Several processes; spawned, not forked, as a benchmark may hold threads."""
    with ProcessPoolExecutor(min(jobs, len(todo)), get_context("spawn")) as pool:
        ended = [pool.submit(_run, job) for job in todo]
        try:
            for future in as_completed(ended):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _run(job: Job, watch: Watch | None = None) -> RunRecord:
    study = job.study
    benchmark: Benchmark = (
        load_benchmark(job.benchmark)
        if job.benchmark
        else AnalyticCurves(study.space, study.resource, study.objective)
    )
    observer = _Watcher(watch) if watch else None
    simulation = Simulation(study, benchmark, gpus=job.gpus, observer=observer)
    return run_record(study, simulation.run(job.until))


class _Watcher(Observer):
    """Tells now and then how many trials there are."""

    EVERY = 200  # events

    def __init__(self, watch: Watch) -> None:
        self._watch, self._events = watch, 0

    def after_event(self, engine: Engine, attempts: Collection[Attempt]) -> None:
        self._events += 1
        if self._events % self.EVERY == 0:
            self._watch(len(engine.trials))


def table(study: Study, runs: Sequence[RunRecord]) -> Table:
    """One row a run."""
    shown = Table(
        title=Text(
            printable(f"{study.name}: best {study.objective.metric}; real milliseconds a decision")
        ),
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    for column in ("seed", "best", "trials", "in full", "seconds", "end", "busy", "p50", "p99"):
        shown.add_column(column, justify="right", no_wrap=True)
    for run in runs:
        shown.add_row(
            str(run["seed"]),
            f"{run['incumbent'][-1][1]:.6g}" if run["incumbent"] else "none",
            str(run["trials"]),
            str(run["completed"]),
            f"{run['seconds']:.0f}",
            run["finish"] or "time is up",
            f"{run['utilization']:.0%}",
            f"{run['decisions']['p50'] * 1e3:.3f}",
            f"{run['decisions']['p99'] * 1e3:.3f}",
        )
    return shown
