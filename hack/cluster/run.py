"""Running commands and telling a person what a long step is waiting for."""

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hack.cluster import paths

_STARTED: Final = time.monotonic()
_HEARTBEAT_SECONDS: Final = 20.0
_TAIL_LINES: Final = 25
_inherited: list[int] = []


class ClusterError(Exception):
    """A step failed; the message is for a person and the exit code is 1."""

    exit_code = 1


class Missing(ClusterError):
    """Something that this machine lacks: one line that says what, and what to do (exit code 2)."""

    exit_code = 2

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(
            f"{what}; {mend}. Without it: `KUBECONFIG=… make demo` runs on an existing cluster, "
            "`make test-unit` needs none."
        )


class CommandFailed(ClusterError):
    """A command ended with an exit code other than 0."""

    def __init__(self, command: Sequence[str], returncode: int, output: str) -> None:
        self.output = output
        tail = "\n".join(output.splitlines()[-_TAIL_LINES:])
        super().__init__(f"`{' '.join(command)}` ended with {returncode}:\n{tail}")


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Hold the lock of this file: two at once would undo each other's work.

    Long commands hold it, too. It then lasts until they end, even where this process was killed:
    a `kind create` that lives on must not meet the next one.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("… waiting for another command of this kind to end")
            fcntl.flock(held, fcntl.LOCK_EX)
        _inherited.append(held.fileno())
        try:
            yield
        finally:
            _inherited.remove(held.fileno())


def elapsed(seconds: float) -> str:
    """Seconds as a person reads them: 7s, 2m05s."""
    whole = int(seconds)
    return f"{whole}s" if whole < 60 else f"{whole // 60}m{whole % 60:02d}s"


def say(message: str) -> None:
    """One progress line on stderr, with the time since the start."""
    print(f"[{elapsed(time.monotonic() - _STARTED):>6}] {message}", file=sys.stderr, flush=True)


@contextmanager
def step(message: str) -> Iterator[None]:
    """Announce a step, repeat what it waits for while it is long, say how long it took."""
    begun = time.monotonic()
    ended = threading.Event()
    say(message)

    def beat() -> None:
        while not ended.wait(_HEARTBEAT_SECONDS):
            say(f"… still {message} ({elapsed(time.monotonic() - begun)} so far)")

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    took = time.monotonic() - begun
    if took >= 2:
        say(f"  done in {elapsed(took)}")


def capture(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    timeout: float | None = None,
) -> str:
    """Run a command and return its stdout; raise `CommandFailed` with its stderr otherwise."""
    try:
        done = subprocess.run(
            command,
            env=merged(env),
            cwd=cwd,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise CommandFailed(command, 124, f"no answer within {timeout} s") from late
    except FileNotFoundError as absent:
        raise CommandFailed(command, 127, f"{command[0]} is not installed") from absent
    if done.returncode != 0:
        raise CommandFailed(command, done.returncode, done.stdout + done.stderr)
    return done.stdout


def succeeds(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, timeout: float = 30
) -> bool:
    """Whether a command ends with 0, for questions whose answer may be no."""
    try:
        capture(command, env=env, timeout=timeout)
    except CommandFailed:
        return False
    return True


def logged(
    log: str,
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> None:
    """Run a talkative command with its output in ``logs/<log>.log``; show its end if it fails."""
    paths.LOGS.mkdir(parents=True, exist_ok=True)
    path = paths.LOGS / f"{log}.log"
    with path.open("w", encoding="utf-8") as out:
        done = subprocess.run(
            command,
            env=merged(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            pass_fds=_inherited,
            check=False,
        )
    if done.returncode != 0:
        output = path.read_text(encoding="utf-8", errors="replace")
        raise CommandFailed(command, done.returncode, f"{output}\n(all of it: {path})")


def merged(env: Mapping[str, str] | None) -> dict[str, str]:
    """The process's environment with these entries on top."""
    return {**os.environ, **(env or {})}
