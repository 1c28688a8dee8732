"""Runs one attempt's training, as a container's runtime would: `python3 keeper.py FOLDER …`.

A small process between the runner and a training, so that nothing is lost and nothing is left
whoever is killed. It writes how the training ended into a file, also when the runner is gone. It
ends the training when the runner asks (SIGTERM) or dies (the pipe `life` closes): SIGTERM to its
process group, after the grace period SIGKILL. What a training leaves behind ends with it, also what
has left its process group. If the keeper itself is killed, the kernel kills the training.

Run by its path, with the standard library alone, so that it starts fast. For Linux.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

STARTED, ENDED, LOG = "started.json", "ended.json", "log.txt"
ASKED, ORPHANED = "asked", "orphaned"  # why it ended the training
NOT_FOUND = 127  # exit code of what cannot be started, as a shell's
UNWRITABLE = 74  # exit code of the keeper where its own files cannot be written, as sysexits.h's
_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36  # prctl


def main() -> int:
    """Runs the training to its end."""
    try:
        _keep()
    except OSError:  # a full disk, or a folder that is gone: the runner tells
        return UNWRITABLE
    return 0


def _keep() -> None:
    folder, grace, life, _lock, *command = sys.argv[1:]  # the lock is held by being open
    where = Path(folder)
    _prctl(_SET_CHILD_SUBREAPER, 1)
    wake = _signals()
    _write(where / STARTED, {"keeper": os.getpid(), "started": time.time()})
    with (where / LOG).open("ab") as log:
        try:
            training = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
                preexec_fn=partial(_die_with, os.getpid()),  # safe: there is one thread
            )
        except (OSError, ValueError) as error:
            _write(where / ENDED, {"code": NOT_FOUND, "why": "", "problem": str(error)})
            return
    why = _wait(training, float(grace), int(life), wake)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(training.pid, signal.SIGKILL)  # not reaped yet, so the number is still its own
    code = training.wait()
    _end_the_rest()
    _write(where / ENDED, {"code": code, "why": why, "problem": ""})


def _wait(training: "subprocess.Popen[bytes]", grace: float, life: int, wake: int) -> str:
    """Waits for the training's end, which it may hasten; why it did."""
    why, deadline = "", None
    watched = [life, wake]
    while os.waitid(os.P_PID, training.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready, _, _ = select.select(watched, [], [], left)
        asked = wake in ready and signal.SIGTERM in os.read(wake, 4096)
        if life in ready:
            watched.remove(life)
        if (asked or life in ready) and deadline is None:
            why, deadline = ASKED if asked else ORPHANED, time.monotonic() + grace
            _send(training.pid, signal.SIGTERM)
        elif asked:  # once more: at once
            deadline = time.monotonic()
        if deadline is not None and time.monotonic() >= deadline:
            _send(training.pid, signal.SIGKILL)
            deadline = time.monotonic() + grace + 1.0
    return why


def _send(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _end_the_rest() -> None:
    """Kills what the training has started and not ended: its orphans have become our children."""
    while True:
        for child in _children():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)
        try:
            found, _ = os.waitpid(-1, 0 if _children() else os.WNOHANG)
        except ChildProcessError:
            return
        if not found:
            return


def _children() -> list[int]:
    pid = os.getpid()
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _signals() -> int:
    """A descriptor from which the numbers of signals can be read.

    Handlers, as what is ignored would be ignored by the training too.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return reading


def _die_with(keeper: int) -> None:
    _prctl(_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper:  # it has died before
        os._exit(1)


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _write(path: Path, content: dict[str, Any]) -> None:
    """Complete or not at all."""
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps({**content, "time": time.time()}), encoding="utf-8")
    beside.replace(path)


if __name__ == "__main__":
    sys.exit(main())
