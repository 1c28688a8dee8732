"""A study's run in one SQLite file: its body, and each trial's, as a cluster would hold them.

A decision is first a row here, then a process. Every write is a transaction of its own that is on
the disk when it returns.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyperband.api.study import StudyResource
from hyperband.api.trial import TrialResource, parse_trial, trial_manifest, trial_status
from hyperband.core.engine import Engine

FILE = "study.db"
VERSION = 1  # of the schema: PRAGMA user_version
_SCHEMA = """
CREATE TABLE run (id INTEGER PRIMARY KEY CHECK (id = 0), study TEXT NOT NULL, options TEXT NOT NULL,
                  elapsed REAL NOT NULL DEFAULT 0) STRICT;
CREATE TABLE trials (idx INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
"""


class StoreError(Exception):
    """The file is no run of ours; the message says so with the mend."""


@dataclass(frozen=True, slots=True)
class _Metadata:
    name: str
    uid: str
    resource_version: str


@dataclass(frozen=True, slots=True)
class _Object:
    """A trial's body as `parse_trial` reads it."""

    metadata: _Metadata
    spec: Mapping[str, Any]
    status: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """What is known of a run besides its trials.

    Attributes:
        study: the body, with metadata as a server gives it, and status.
        options: how it is run: command and folder.
        elapsed: seconds for which it has run in all.
    """

    study: dict[str, Any]
    options: dict[str, Any]
    elapsed: float


class Store:
    """The open file of a run."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def create(cls, folder: Path, study: Mapping[str, Any], options: Mapping[str, Any]) -> "Store":
        """A new run; whole or not there at all.

        Raises:
            StoreError: the file cannot be made.
        """
        try:
            connection = _open(folder / FILE)
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    connection.execute(statement)
                connection.execute(
                    "INSERT INTO run (id, study, options) VALUES (0, ?, ?)",
                    (_dump(study), _dump(options)),
                )
                connection.execute(f"PRAGMA user_version = {VERSION}")
        except sqlite3.Error as error:
            raise StoreError(
                f"{folder / FILE} cannot be made: {error}: choose another --dir"
            ) from (error)
        return cls(connection)

    @classmethod
    def open(cls, folder: Path) -> "Store":
        """A run that is there.

        Raises:
            StoreError: it is not, or another version has written it.
        """
        path = folder / FILE
        if not is_begun(folder):
            mend = "name the --dir of a run; hyperband run STUDY.yaml begins one"
            raise StoreError(f"{folder} has no run: {mend}")
        try:
            connection = _open(path)
            version = connection.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.Error as error:
            mend = "choose another --dir"
            raise StoreError(f"{path} is no run of a study ({error}): {mend}") from error
        if version != VERSION:
            connection.close()
            mend = "use the hyperband that wrote it, or another --dir"
            raise StoreError(f"{path} has schema version {version}, not {VERSION}: {mend}")
        return cls(connection)

    def close(self) -> None:
        self._connection.close()

    def read(self) -> Run:
        """The study as last written.

        Raises:
            StoreError: the file is damaged, or somebody has edited it.
        """
        with _making_sense():
            row = self._connection.execute("SELECT study, options, elapsed FROM run").fetchone()
            run = Run(json.loads(row[0]), json.loads(row[1]), row[2])
            _ = run.study["metadata"]["name"], run.study["spec"]
            return run

    def write_study(self, study: Mapping[str, Any], elapsed: float) -> None:
        """Replaces the study's body."""
        with self._connection:
            self._connection.execute(
                "UPDATE run SET study = ?, elapsed = ?", (_dump(study), elapsed)
            )

    def write_options(self, options: Mapping[str, Any]) -> None:
        """Replaces how it is run."""
        with self._connection:
            self._connection.execute("UPDATE run SET options = ?", (_dump(options),))

    def bodies(self) -> list[dict[str, Any]]:
        """All trials by index, as objects of a cluster would be.

        Raises:
            StoreError: as `read`.
        """
        with _making_sense():
            rows = self._connection.execute("SELECT body FROM trials ORDER BY idx").fetchall()
            found = [json.loads(row[0]) for row in rows]
            for body in found:
                _ = body["metadata"]["name"], body["spec"]["index"], body["status"]["state"]
            return found

    def trials(self, engine: Engine) -> dict[int, TrialResource]:
        """All trials, put into the engine.

        Raises:
            StoreError: one makes no sense.
        """
        found = {}
        for body in self.bodies():
            metadata = body["metadata"]
            read = _Metadata(metadata["name"], metadata["uid"], "")
            try:
                resource = parse_trial(_Object(read, body["spec"], body["status"]), engine)
            except (KeyError, ValueError) as error:  # somebody has edited it
                mend = "put it right, or begin another run"
                raise StoreError(f"{FILE}: trial {read.name}: {error}: {mend}") from error
            found[resource.trial.index] = resource
            engine.put(resource.trial)
        return found

    def write_trial(self, study: StudyResource, resource: TrialResource) -> dict[str, Any]:
        """Writes a trial's record; returns its body."""
        body = trial_manifest(study, resource.trial)
        body["metadata"]["uid"] = resource.uid
        body["status"] = trial_status(resource)
        with self._connection:
            self._connection.execute(
                "INSERT INTO trials (idx, body) VALUES (?, ?) "
                "ON CONFLICT (idx) DO UPDATE SET body = excluded.body",
                (resource.trial.index, _dump(body)),
            )
        return body


@contextmanager
def _making_sense() -> Iterator[None]:
    """What is read within is all there, and objects where we have written objects."""
    try:
        yield
    except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
        said = f"{FILE} is damaged, or has been edited ({type(error).__name__}: {error})"
        raise StoreError(f"{said}: put it right, or begin another run") from error


def is_begun(folder: Path) -> bool:
    """Whether there is a run, or at least something else in its place.

    A file without a table is what is left where its maker was killed.
    """
    path = folder / FILE
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(path)) as connection:
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            return bool(tables)
    except sqlite3.Error:
        return True


def read_run(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The study and the trials of a run, whether it goes on or not.

    Raises:
        StoreError: there is none.
    """
    with closing(Store.open(folder)) as store:
        return store.read().study, store.bodies()


def read_study(folder: Path) -> dict[str, Any]:
    """The study alone, which is there sooner than its trials.

    Raises:
        StoreError: there is none.
    """
    with closing(Store.open(folder)) as store:
        return store.read().study


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=10.0)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # no decision is lost, nor acted on before
    return connection


def _dump(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)
