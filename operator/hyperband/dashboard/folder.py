"""Studies from the folder of `hyperband run`: read again whenever its file has changed."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from hyperband.api.words import status
from hyperband.backends.local import keeper
from hyperband.backends.local.store import FILE, StoreError, read_run, read_study
from hyperband.dashboard.feeds import Feed, MissingError
from hyperband.dashboard.snapshot import Body, Live, Snapshot

log = logging.getLogger(__name__)

POLL: Final = 0.5  # seconds
NAMESPACE: Final = "default"
MAX_LOG: Final = 2_000_000  # bytes
Stamp = tuple[tuple[int, int], ...]


class Folder:
    """One run, whether it goes on or not.

    Raises:
        StoreError: there is none.
    """

    local = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._wrong = ""  # with the last try to read it
        self._body: Body = _placed(read_study(folder))

    @property
    def wrong(self) -> str:
        return ""

    def studies(self) -> list[Body]:
        return [self._body]

    def study(self, namespace: str, name: str) -> Body | None:
        metadata = self._body["metadata"]
        return self._body if (namespace, name) == (NAMESPACE, metadata["name"]) else None

    async def watch(self) -> None:
        """Keeps the list of studies up where nobody looks at one, until cancelled."""
        seen: Stamp = ()
        while True:
            now = _stamp(self._folder)
            if now != seen and not await self._read(lambda: _placed(read_study(self._folder))):
                seen = now
            await asyncio.sleep(4 * POLL)

    async def follow(self, feed: Feed) -> None:
        seen: Stamp = ()
        while True:
            now = _stamp(self._folder)
            if now != seen:
                async with feed.lock:
                    wrong = await self._read(partial(_take, self._folder, feed.live))
                    again = f"{self._folder} cannot be read ({wrong}): it is tried again"
                    feed.live.tell(again if wrong else "")
                if not wrong:
                    seen = now
                    feed.complete()
                feed.touch()
            await asyncio.sleep(POLL)

    async def _read(self, read: Callable[[], Body]) -> str:
        """Why it could not be read, or empty. Ten thousand trials take a second: in a thread."""
        try:
            self._body, self._wrong = await asyncio.to_thread(read), ""
        except (StoreError, sqlite3.Error) as error:
            if str(error) != self._wrong:
                log.warning("%s: %s", self._folder, error)
            self._wrong = str(error)
        return self._wrong

    async def pods(self, snapshot: Snapshot, index: int) -> list[dict[str, Any]]:
        """Processes, as if they were pods."""
        found = status(snapshot.trials[index]).get("attempts") or ()
        return [
            {
                "name": each.get("pod", ""),
                "attempt": each["number"],
                "node": each.get("node", ""),
                "phase": _phase(each),
                "reason": each.get("reason", ""),
                "message": "",
                "started": each.get("startTime"),
                "ended": each.get("endTime"),
                "containers": [],
            }
            for each in found
        ]

    async def events(self, snapshot: Snapshot, index: int) -> list[dict[str, Any]]:
        return []

    async def log(self, snapshot: Snapshot, index: int, attempt: int | None, tail: int) -> bytes:
        last = int(status(snapshot.trials[index]).get("attempt", 0))
        number = last if attempt is None else attempt
        path = self._folder / "trials" / str(index) / f"attempt-{number}" / keeper.LOG
        try:
            return await asyncio.to_thread(_tail, path, tail)
        except OSError as error:
            mend = "its trial's page tells which attempts there were"
            raise MissingError(f"trial {index} has no log of attempt {number}: {mend}") from error


def _take(folder: Path, live: Live) -> Body:
    body, trials = read_run(folder)
    placed = _placed(body)
    live.see_study(placed)
    for trial in trials:
        live.see_trial(trial)
    for index in live.indices - {int(trial["spec"]["index"]) for trial in trials}:
        live.forget(index)
    return placed


def _placed(body: dict[str, Any]) -> dict[str, Any]:
    """In a namespace of its own: on a laptop there is none."""
    return {**body, "metadata": {**body["metadata"], "namespace": NAMESPACE}}


def _stamp(folder: Path) -> Stamp:
    """Changes with each write: SQLite writes to the log beside its file first."""
    found = []
    for name in (FILE, f"{FILE}-wal"):
        try:
            known = (folder / name).stat()
            found.append((known.st_mtime_ns, known.st_size))
        except OSError:
            found.append((0, 0))
    return tuple(found)


def _phase(attempt: Body) -> str:
    if not attempt.get("endTime"):
        return "Running"
    return "Succeeded" if attempt.get("outcome") == "Succeeded" else "Failed"


def _tail(path: Path, lines: int) -> bytes:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - MAX_LOG))
        found = file.read(MAX_LOG).splitlines(keepends=True)
    return b"".join(found[-lines:])
