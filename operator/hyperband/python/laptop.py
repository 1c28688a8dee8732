"""A study's run on this machine, from Python: trials are processes, as with `hyperband run`."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from hyperband.api.status import is_finished
from hyperband.api.study import parse_study
from hyperband.backends.local.opening import Options, RunError, differences, opened, plan
from hyperband.backends.local.records import Clock, Records
from hyperband.backends.local.runner import Runner
from hyperband.backends.local.store import StoreError, read_run, read_study
from hyperband.backends.local.training import BadCommandError
from hyperband.core.errors import InvalidStudyError
from hyperband.python.loop import wait_for
from hyperband.python.problems import StudyError

T = TypeVar("T")
Body = dict[str, Any]
Show = Callable[[Mapping[str, Any]], None]  # is given the study as its status changes


@dataclass(frozen=True, slots=True)
class Wish:
    """How a run is to be: see `Study.run`."""

    folder: Path
    options: Options
    timeout: float | None
    show: Show
    tell: Callable[[str], None]  # what a cluster would have done otherwise
    begun: Callable[[], None]  # the folder is held by this run


def run(body: Body, wish: Wish) -> None:
    """Runs a study to its end.

    Raises:
        StudyError: it cannot be run, or this machine has failed.
        TimeoutError: the time is up; what ran has been ended, and a run with `resume` goes on.
        KeyboardInterrupt: likewise.
    """
    work = _Work(body, wish)
    try:
        wait_for(work.run, work.interrupt)
    except (RunError, StoreError, BadCommandError, InvalidStudyError) as error:
        raise StudyError(_in_python(str(error))) from error
    except OSError as error:
        mend = "mend that, or name another folder by dir=…"
        raise StudyError(f"{wish.folder} cannot be used ({error}): {mend}") from error
    except sqlite3.Error as error:
        mend = "mend that, and go on with resume=True"
        raise StudyError(f"{wish.folder} cannot be written ({error}): {mend}") from error
    if work.late:
        mend = "run(resume=True) goes on"
        raise TimeoutError(f"the run was interrupted after {wish.timeout:g} s: {mend}")


def _in_python(text: str) -> str:
    """A mend that was worded for the command line, by the names of `Study.run`."""
    for option in ("dir", "command", "gpus", "parallelism"):
        text = text.replace(f"with --{option}", f"by {option}=…")
        text = text.replace(f"--{option}", f"{option}=…")
    return text.replace("--resume", "resume=True")


class _Work:
    """What is done in the run's own thread, where its file is open."""

    def __init__(self, body: Body, wish: Wish) -> None:
        self._body, self._wish = body, wish
        self._runner: Runner | None = None
        self.late = False

    def interrupt(self) -> None:
        """Ends what runs, and then the run."""
        if self._runner is not None:
            self._runner.interrupt("the run was interrupted")

    def _give_up(self) -> None:
        self.late = True
        self.interrupt()

    async def run(self) -> None:
        """Works until the study is over, or the run interrupted."""
        wish = self._wish
        with opened(wish.folder, self._body, wish.options) as store:
            wish.begun()
            kept = store.read()
            if is_finished(kept.study.get("status") or {}):
                return
            how, resource = plan(wish.folder, kept.options, parse_study(kept.study), wish.options)
            for note in differences(resource, how):
                wish.tell(note)
            clock = Clock(lambda: datetime.now(UTC), time.monotonic)
            records = Records(resource, kept.study, store, clock)
            self._runner = Runner(records, how, clock, lambda: wish.show(records.body))
            loop = asyncio.get_running_loop()
            timer = wish.timeout and loop.call_later(wish.timeout, self._give_up)
            try:
                await self._runner.run()
            finally:
                if timer:
                    timer.cancel()


def read(folder: Path) -> tuple[Body, list[Body]]:
    """The study and the trials of a run, whether it goes on or not.

    Raises:
        StudyError: there is none.
    """
    return _read(read_run, folder)


def read_body(folder: Path) -> Body:
    """The study alone, which is there sooner; otherwise as `read`."""
    return _read(read_study, folder)


def _read(how: Callable[[Path], T], folder: Path) -> T:
    try:
        return how(folder)
    except StoreError as error:
        raise StudyError(str(error)) from error
