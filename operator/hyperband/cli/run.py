"""`hyperband run STUDY.yaml`: the same study on this machine, without a cluster."""

import asyncio
import shlex
import signal
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from hyperband.api.files import load_manifest
from hyperband.api.status import is_finished
from hyperband.api.study import parse_study
from hyperband.api.study_problems import study_problems
from hyperband.api.words import condition
from hyperband.backends.local import keeper
from hyperband.backends.local.opening import Options, RunError, differences, opened, plan
from hyperband.backends.local.records import Clock, Records
from hyperband.backends.local.runner import Plan, Runner
from hyperband.backends.local.store import FILE, Store, StoreError
from hyperband.backends.local.training import BadCommandError
from hyperband.cli.cluster import DONE, FAILED, USAGE, ToldError
from hyperband.cli.summary import summarize
from hyperband.cli.watch import TIMED_OUT, one_line, view
from hyperband.core.decisions import Finish
from hyperband.core.errors import InvalidStudyError, all_printable, printable

INTERRUPTED = 130  # exit code
TOLD = (ToldError, RunError, StoreError, InvalidStudyError, BadCommandError, OSError)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the person asks for."""

    file: Path
    folder: Path | None
    timeout: float | None
    options: Options


def run(
    study: Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="A HyperbandStudy.")],
    command: Annotated[
        str | None,
        typer.Option(help="What trains, instead of the template's command and args."),
    ] = None,
    gpus: Annotated[
        int | None, typer.Option(min=0, help="GPUs to use; default: those that nvidia-smi lists.")
    ] = None,
    parallelism: Annotated[
        int | None,
        typer.Option(min=1, help="Trials at a time; default: the study's, one a processor."),
    ] = None,
    dir: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Of the run; default: NAME.run beside the study."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run.")] = False,
    timeout: Annotated[
        float | None, typer.Option(min=0.0, help="Interrupt the run after so many seconds.")
    ] = None,
) -> None:
    """Run a study on this machine: trials are processes, and no cluster is needed.

    The same file, decisions, environment variables and reports as on a cluster. Ctrl-C ends what
    runs; --resume goes on from there, also after the machine was switched off.

    Exits with 0 when the study succeeded, 1 when it failed, 2 after bad usage, 3 at the timeout,
    130 when it was interrupted.
    """
    asked = Asked(study, dir, timeout, Options(command, gpus, parallelism, resume))
    try:
        code = _run(asked)
    except TOLD as error:
        typer.echo(f"hyperband run: {printable(str(error))}", err=True)
        code = FAILED if isinstance(error, OSError) else USAGE
    except sqlite3.Error as error:
        said = f"{FILE} cannot be written ({error}): mend that, and go on with --resume"
        typer.echo(f"hyperband run: {said}", err=True)
        code = FAILED
    raise typer.Exit(code)


def _run(asked: Asked) -> int:
    body = _read(asked.file)
    name = body["metadata"]["name"]
    folder = (asked.folder or asked.file.parent / f"{name}.run").absolute()
    with opened(folder, body, asked.options) as store:
        return _with_store(asked, folder, store)


def _read(file: Path) -> dict[str, Any]:
    """The study in the file, which must be right in all."""
    try:
        body = load_manifest(file)
    except OSError as error:
        raise ToldError(f"{file}: {error.strerror}: name the file of a study") from error
    _refuse(file, study_problems(body))
    return body


def _refuse(file: Path, problems: list[InvalidStudyError]) -> None:
    """Raises the first of what is wrong, and says how to see the others."""
    if not problems:
        return
    more = f"; hyperband validate {file} tells all {len(problems)}" if len(problems) > 1 else ""
    raise ToldError(f"{file}: {problems[0]}{more}")


def _with_store(asked: Asked, folder: Path, store: Store) -> int:
    kept = store.read()
    console = Console(highlight=False)
    logs = _logs(folder)
    if is_finished(kept.study.get("status") or {}):
        trials = [all_printable(each) for each in store.bodies()]
        console.print(summarize(all_printable(kept.study), trials, logs), soft_wrap=True)
        return _code(kept.study)
    resource = parse_study(kept.study)
    how, resource = plan(folder, kept.options, resource, asked.options)
    for note in differences(resource, how):
        typer.echo(f"hyperband run: {printable(note)}", err=True)
    clock = Clock(lambda: datetime.now(UTC), time.monotonic)
    records = Records(resource, kept.study, store, clock)
    ended = asyncio.run(_work(asked.timeout, records, how, clock, console))
    display = Display(records, console)
    if ended.finish is None:
        again = shlex.join(["hyperband", "run", str(asked.file), "--resume"])
        if asked.folder is not None:
            again += f" --dir {shlex.quote(str(asked.folder))}"
        counts = f"{len(records.trials)} of {resource.study.max_trials} trials are kept in {folder}"
        console.print(Text(f"{ended.why}: {counts}"), soft_wrap=True)
        console.print(Text(f"to go on: {again}"), soft_wrap=True)
        return ended.code
    console.print(summarize(*display.shown(), logs), soft_wrap=True)
    return _code(records.body)


def _code(body: Mapping[str, Any]) -> int:
    return DONE if condition(body, "Succeeded").get("status") == "True" else FAILED


def _logs(folder: Path) -> Callable[[Mapping[str, Any]], str]:
    def path(trial: Mapping[str, Any]) -> str:
        attempt = f"attempt-{trial['status']['attempt']}"
        return str(folder / "trials" / str(trial["spec"]["index"]) / attempt / keeper.LOG)

    return path


@dataclass(frozen=True, slots=True)
class Ended:
    """How the work ended: the study's end, or why it was interrupted, with its exit code."""

    finish: Finish | None
    why: str = ""
    code: int = DONE


async def _work(
    timeout: float | None, records: Records, plan: Plan, clock: Clock, console: Console
) -> Ended:
    ended = Ended(None, "interrupted", INTERRUPTED)
    with Live(console=console, refresh_per_second=4, transient=console.is_terminal) as live:
        display = Display(records, console, live)
        runner = Runner(records, plan, clock, display.refresh)

        def interrupt() -> None:
            runner.interrupt("the run was interrupted")

        def give_up() -> None:
            nonlocal ended
            ended = Ended(None, f"interrupted after {timeout:g} s", TIMED_OUT)
            interrupt()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, interrupt)
        timer = None if timeout is None else loop.call_later(timeout, give_up)
        try:
            finish = await runner.run()
        finally:
            if timer is not None:
                timer.cancel()
    return ended if finish is None else Ended(finish)


class Display:
    """What a person sees while it runs: a live table, or a line where there is no terminal."""

    def __init__(self, records: Records, console: Console, live: Live | None = None) -> None:
        self._records, self._console, self._live = records, console, live
        self._body: Mapping[str, Any] | None = None  # as last shown
        self._line = ""
        self._printable: dict[int, tuple[Any, dict[str, Any]]] = {}

    def refresh(self) -> None:
        """Shows what has changed since the status was last written."""
        if self._body is self._records.body or self._live is None:
            return
        self._body = self._records.body
        body, trials = self.shown()
        if self._console.is_terminal:
            self._live.update(view(body, trials, local=True))
        elif (line := one_line(body, trials)) != self._line:
            self._line = line
            self._console.print(Text(line), soft_wrap=True)

    def shown(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The study and its trials; what trainings wrote moves no cursor."""
        for index, body in self._records.bodies.items():
            if index not in self._printable or self._printable[index][0] is not body:
                self._printable[index] = body, all_printable(body)
        trials = [self._printable[index][1] for index in sorted(self._printable)]
        return all_printable(self._records.body), trials
