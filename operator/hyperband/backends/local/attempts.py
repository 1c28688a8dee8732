"""The processes of attempts: started under a keeper, taken over after a runner's death, ended."""

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hyperband.api.words import signal_name
from hyperband.backends.local import keeper
from hyperband.backends.local.reports import ReportFile
from hyperband.backends.local.training import RUN_VARIABLE
from hyperband.core.decisions import Outcome

LOCK = "lock"
POLL_SECONDS = 0.05  # while an earlier runner's keeper ends its training
MAX_WORDS = 200  # of the last line of a log
_TAIL = 8192  # bytes of a log in which it is looked for


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended, and when."""

    outcome: Outcome
    detail: str
    time: datetime


@dataclass(slots=True)
class Attempt:
    """One attempt of a trial, from its start to the closing of its account.

    Attributes:
        process: its keeper; None where an earlier runner has started it.
        devices: the GPUs that it holds.
        ending: how it ended, once it has.
        why: why we have asked it to end, if we have.
        overtime: when it was first seen to go on after it had done its part; monotonic.
        overran: whether it is ended as it has taken too long.
    """

    index: int
    number: int
    folder: Path
    started: datetime
    reports: ReportFile
    devices: tuple[str, ...] = ()
    process: Process | None = None
    ending: Ending | None = None
    why: str = ""
    overtime: float | None = None
    overran: bool = False

    def end(self, why: str) -> None:
        """Asks it to end: SIGTERM, the grace period, SIGKILL. A second time: at once."""
        self.why = self.why or why
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()


class Launcher:
    """Starts attempts. They end when it is closed, or this process is killed."""

    def __init__(self, grace: float, cwd: Path) -> None:
        self._grace, self._cwd = grace, cwd
        self._life, self._held = os.pipe()  # the keepers see its end when we die

    def close(self) -> None:
        """Ends what still runs."""
        os.close(self._held)
        os.close(self._life)

    async def start(
        self, folder: Path, command: Sequence[str], environment: Mapping[str, str]
    ) -> Process:
        """Starts an attempt in a folder of its own, where nothing was started before.

        Raises:
            OSError: no process, or no file, can be made.
        """
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        lock = _take_lock(folder)
        assert lock is not None  # the folder is new
        try:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", keeper.__file__),
                *(str(folder), str(self._grace), str(self._life), str(lock)),
                *command,
                stdin=DEVNULL,
                stdout=DEVNULL,
                env=environment,
                cwd=self._cwd,
                pass_fds=(self._life, lock),
                start_new_session=True,  # Ctrl-C is for us alone
            )
        finally:
            os.close(lock)  # the keeper's copy holds it


def _take_lock(folder: Path) -> int | None:
    """A descriptor that holds the folder's lock; None while a keeper does."""
    lock = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def is_kept(lock: int) -> bool:
    """Whether an attempt's keeper lives, by a descriptor of its lock.

    It must have been opened before: an attempt that begins anew has another lock.
    """
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(lock, fcntl.LOCK_UN)
    return False


async def outlast(folder: Path, mark: str) -> bool:
    """Waits until nothing of an earlier runner's attempt is left; whether it had begun.

    Its keeper ends it, as its runner is dead; what a killed keeper has left is killed here.
    """
    if not folder.is_dir():
        return False
    while (lock := _take_lock(folder)) is None:
        await asyncio.sleep(POLL_SECONDS)
    os.close(lock)
    while _kill(mark):
        await asyncio.sleep(POLL_SECONDS)
    return (folder / keeper.STARTED).exists()


def _kill(mark: str) -> bool:
    """Kills the processes of an attempt by what is in their environment; whether there were any."""
    wanted = f"{RUN_VARIABLE}={mark}".encode()
    found = False
    for entry in Path("/proc").iterdir() if Path("/proc").is_dir() else ():
        if not entry.name.isdecimal():
            continue
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                os.kill(int(entry.name), signal.SIGKILL)
                found = True
        except (OSError, ValueError):  # gone, or another user's
            continue
    return found


def started(folder: Path) -> datetime | None:
    """When the attempt began; None if it never has."""
    return _time(read_json(folder / keeper.STARTED))


def ending(folder: Path, why: str, now: datetime) -> Ending:
    """How an attempt that is over ended.

    Args:
        why: why this runner has ended it, if it has.
    """
    found = read_json(folder / keeper.ENDED)
    if found is None:
        words = why or "its process is gone: the machine was switched off, or its keeper killed"
        return Ending(Outcome.DISRUPTED, words, now)
    moment, code = _time(found) or now, int(found["code"])
    if found["why"] == keeper.ORPHANED:
        return Ending(Outcome.DISRUPTED, "hyperband run was killed", moment)
    if why or found["why"]:
        return Ending(Outcome.DISRUPTED, why or "it was told to end", moment)
    if code == 0:
        return Ending(Outcome.SUCCEEDED, "", moment)
    if found["problem"]:
        return Ending(Outcome.FAILED, f"cannot be started: {found['problem']}", moment)
    words = last_words(folder / keeper.LOG)
    killer = signal_name(-code) or f"signal {-code}"
    said = f"exit code {code}" if code > 0 else f"killed by {killer}"
    return Ending(Outcome.FAILED, f"{said}{words and ': '}{words}", moment)


def last_words(log: Path) -> str:
    """The last line of a log: it names the error as a rule."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            tail = file.read().decode(errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in tail.splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    return last if len(last) <= MAX_WORDS else f"…{last[-MAX_WORDS:]}"


def read_json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _time(found: Mapping[str, Any] | None) -> datetime | None:
    return datetime.fromtimestamp(float(found["time"]), UTC) if found else None
