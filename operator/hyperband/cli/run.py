"""`hyperband run STUDY.yaml`: the same study on this machine, without a cluster."""

import asyncio
import fcntl
import os
import shlex
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from hyperband.api import names
from hyperband.api.files import load_manifest
from hyperband.api.status import is_finished
from hyperband.api.study import StudyResource, parse_study
from hyperband.api.study_problems import study_problems
from hyperband.api.words import condition
from hyperband.backends.local import gpus as gpu_list
from hyperband.backends.local import keeper, training
from hyperband.backends.local.records import Clock, Records
from hyperband.backends.local.runner import Plan, Runner
from hyperband.backends.local.store import FILE, Store, StoreError, is_begun
from hyperband.cli.cluster import DONE, FAILED, USAGE, ToldError
from hyperband.cli.summary import summarize
from hyperband.cli.watch import TIMED_OUT, one_line, view
from hyperband.core.decisions import Finish
from hyperband.core.errors import InvalidStudyError, all_printable, printable

INTERRUPTED = 130  # exit code
LOCK_SECONDS = 2.0  # within which a runner that was just killed lets go
# Trials of before and after a change of these would not be comparable.
FIXED = (
    *("objective", "resource", "hyperband", "searcher"),
    *("parameters", "initialParameters", "resume"),
)


@dataclass(frozen=True, slots=True)
class Options:
    """What the person asks for."""

    file: Path
    command: str | None
    gpus: int | None
    parallelism: int | None
    folder: Path | None
    resume: bool
    timeout: float | None


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
    options = Options(study, command, gpus, parallelism, dir, resume, timeout)
    try:
        code = _run(options)
    except (ToldError, StoreError, InvalidStudyError, training.BadCommandError, OSError) as error:
        typer.echo(f"hyperband run: {printable(str(error))}", err=True)
        code = FAILED if isinstance(error, OSError) else USAGE
    except sqlite3.Error as error:
        said = f"{FILE} cannot be written ({error}): mend that, and go on with --resume"
        typer.echo(f"hyperband run: {said}", err=True)
        code = FAILED
    raise typer.Exit(code)


def _run(options: Options) -> int:
    if sys.platform != "linux":
        raise ToldError("needs Linux, which ends processes with others: use a virtual machine")
    body = _read(options.file)
    name = body["metadata"]["name"]
    folder = (options.folder or options.file.parent / f"{name}.run").absolute()
    if options.resume and not is_begun(folder):
        mend = "leave --resume out to begin one, or name its folder with --dir"
        raise ToldError(f"{folder} has no run: {mend}")
    folder.mkdir(parents=True, exist_ok=True)
    held = _hold(folder)
    try:
        store = _open(options, folder, body)
        try:
            return _with_store(options, folder, store)
        finally:
            store.close()
    finally:
        os.close(held)


def _read(file: Path) -> dict[str, Any]:
    """The study in the file, which must be right in all."""
    try:
        body = load_manifest(file)
    except OSError as error:
        raise ToldError(f"{file}: {error.strerror}: name the file of a study") from error
    _refuse(file, study_problems(body))
    if body["spec"].get("suspend"):
        raise InvalidStudyError("spec.suspend", "true would let nothing start: remove it")
    return body


def _refuse(file: Path, problems: list[InvalidStudyError]) -> None:
    """Raises the first of what is wrong, and says how to see the others."""
    if not problems:
        return
    more = f"; hyperband validate {file} tells all {len(problems)}" if len(problems) > 1 else ""
    raise ToldError(f"{file}: {problems[0]}{more}")


def _hold(folder: Path) -> int:
    """Keeps other runners away from the folder until this process ends."""
    lock = os.open(folder / "run.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                os.close(lock)
                mend = "wait for its end, or name another folder with --dir"
                raise ToldError(f"another hyperband run works in {folder}: {mend}") from error
            time.sleep(0.05)


def _open(options: Options, folder: Path, body: dict[str, Any]) -> Store:
    """The run in the folder: a new one, or the one that is there."""
    if not options.resume:
        if is_begun(folder):
            mend = "--resume goes on with it, --dir names another folder"
            raise ToldError(f"{folder} holds a run already: {mend}")
        metadata = {
            "namespace": "default",
            **body["metadata"],
            "uid": str(uuid4()),
            "generation": 1,
        }
        settings = {"command": options.command, "cwd": str(Path.cwd())}
        _plan(options, folder, settings, parse_study(body))  # told of before anything is made
        return Store.create(folder, {**body, "metadata": metadata, "status": {}}, settings)
    store = Store.open(folder)
    kept = store.read()
    for field in FIXED:
        if kept.study["spec"].get(field) != body["spec"].get(field):
            store.close()
            raise InvalidStudyError(
                f"spec.{field}",
                f"is not as it was when the run in {folder} began, and its trials would not be "
                "comparable: begin another run with --dir, or change it back",
            )
    changed = kept.study["spec"] != body["spec"]
    metadata = dict(kept.study["metadata"])
    metadata["generation"] += changed
    store.write_study({**kept.study, "spec": body["spec"], "metadata": metadata}, kept.elapsed)
    if options.command is not None:
        store.write_options({**kept.options, "command": options.command})
    return store


def _with_store(options: Options, folder: Path, store: Store) -> int:
    kept = store.read()
    console = Console(highlight=False)
    logs = _logs(folder)
    if is_finished(kept.study.get("status") or {}):
        trials = [all_printable(each) for each in store.bodies()]
        console.print(summarize(all_printable(kept.study), trials, logs), soft_wrap=True)
        return _code(kept.study)
    resource = parse_study(kept.study)
    plan, resource = _plan(options, folder, kept.options, resource)
    _tell_differences(resource, plan)
    clock = Clock(lambda: datetime.now(UTC), time.monotonic)
    records = Records(resource, kept.study, store, clock)
    ended = asyncio.run(_work(options, records, plan, clock, console))
    display = Display(records, console)
    if ended.finish is None:
        again = shlex.join(["hyperband", "run", str(options.file), "--resume"])
        if options.folder is not None:
            again += f" --dir {shlex.quote(str(options.folder))}"
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


def _plan(
    options: Options, folder: Path, kept: Mapping[str, Any], resource: StudyResource
) -> tuple[Plan, StudyResource]:
    """How trainings run here, and the study with what fits here as its parallelism."""
    command = training.command(resource, kept["command"])
    cwd = Path(kept["cwd"])
    if shutil.which(command[0], path=os.environ.get("PATH")) is None and not (
        "/" in command[0] and os.access(cwd / command[0], os.X_OK)
    ):
        mend = "give what trains on this machine with --command"
        raise training.BadCommandError(f"{command[0]} is no program here: {mend}")
    listed = gpu_list.list_devices if resource.gpus else list
    devices = gpu_list.devices(options.gpus, os.environ.get(training.VISIBLE), listed)
    slots = training.slots(resource, devices, options.parallelism, os.cpu_count() or 1)
    study = replace(resource.study, parallelism=slots.parallelism)
    # Inside of another trial, its parameters are none of ours.
    others = names.ENV_PARAMETER_PREFIX
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(others)}
    plan = Plan(folder, cwd, command, inherited, slots)
    return plan, replace(resource, study=study)


def _tell_differences(resource: StudyResource, plan: Plan) -> None:
    """What a cluster would have done otherwise."""
    notes = []
    if resource.gpus and not plan.slots.devices:
        notes.append(
            f"a trial asks for {resource.gpus:g} GPUs and there is none here: trials run without, "
            "and use no GPU-hours"
        )
    if resource.warm_start:
        named = ", ".join(resource.warm_start)
        notes.append(f"warmStart.fromStudies: {named}: its trials are in a cluster; left out")
    missing = [each for each in training.from_elsewhere(resource) if each not in plan.inherited]
    if missing:
        notes.append(f"{', '.join(missing)}: the value is in a cluster; set it in your shell")
    for note in notes:
        typer.echo(f"hyperband run: {printable(note)}", err=True)


@dataclass(frozen=True, slots=True)
class Ended:
    """How the work ended: the study's end, or why it was interrupted, with its exit code."""

    finish: Finish | None
    why: str = ""
    code: int = DONE


async def _work(
    options: Options, records: Records, plan: Plan, clock: Clock, console: Console
) -> Ended:
    ended = Ended(None, "interrupted", INTERRUPTED)
    with Live(console=console, refresh_per_second=4, transient=console.is_terminal) as live:
        display = Display(records, console, live)
        runner = Runner(records, plan, clock, display.refresh)

        def interrupt() -> None:
            runner.interrupt("the run was interrupted")

        def give_up() -> None:
            nonlocal ended
            ended = Ended(None, f"interrupted after {options.timeout:g} s", TIMED_OUT)
            interrupt()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, interrupt)
        timer = None if options.timeout is None else loop.call_later(options.timeout, give_up)
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
