"""Runs of a study logged to an MLflow tracking server, or to a folder: once, however often.

Runs are found again by their tags. MLflow appends values and never replaces them: of a run that
has changed, what is there is read first. A digest is the last thing that is written of a run, so
that one which an interruption has left in part is completed the next time.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from hyperband.backends.kubernetes.objects import CustomObject
from hyperband.cli.exporting.runs import (
    LOGGED,
    NAME,
    STUDY,
    TRIAL,
    Run,
    study_run,
    trial_run,
)

PAGE: Final = 1000  # runs in an answer
MAX_METRICS, MAX_PARAMETERS = 800, 100  # of 1,000 in all that a request may hold
THREADS = 8  # requests to a server at a time


MEND: Final = "name a tracking server, such as --to http://localhost:5000"


class TrackingError(Exception):
    """The library is missing, or the server refuses; the message has the mend."""


@dataclass(frozen=True, slots=True)
class Told:
    """What has come of it: how many runs were new, changed, and as they were."""

    experiment: str
    parent: str
    new: int
    changed: int
    same: int


def open_client(uri: str) -> Any:
    """MLflow's client.

    Raises:
        TrackingError: it is not installed, or the URI is none.
    """
    # Before it is loaded: a person waits, and nobody has agreed to be counted.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        mend = "pip install '.[mlflow]' in this repository"
        raise TrackingError(f"MLflow is not installed: {mend}") from error
    try:
        return MlflowClient(uri)
    except MlflowException as error:
        raise TrackingError(f"--to {uri}: {error.message}: {MEND}") from error


def log_study(
    client: Any, uri: str, experiment: str, body: Mapping[str, Any], trials: Sequence[CustomObject]
) -> Told:
    """Logs a study as a run, and each trial as a run within.

    Raises:
        TrackingError: the server refuses it, or cannot be reached.
    """
    from mlflow.exceptions import MlflowException

    try:
        return _log_study(client, uri, experiment, body, trials)
    except MlflowException as error:
        raise TrackingError(f"{uri}: {error.message}: {MEND}") from error


def _log_study(
    client: Any, uri: str, experiment: str, body: Mapping[str, Any], trials: Sequence[CustomObject]
) -> Told:
    place = _experiment(client, experiment)
    known = _known(client, place, str(body["metadata"]["uid"]))
    study = study_run(body, trials)
    logger = _Logger(client, place, known)
    parent = logger.log(study)
    runs = (trial_run(body, trial, parent) for trial in trials)
    if uri.startswith("http"):
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(logger.log, runs))
    else:
        for run in runs:
            logger.log(run)
    logger.close(study, parent)
    count = logger.count
    return Told(experiment, parent, count.count("new"), count.count("changed"), count.count("same"))


def _experiment(client: Any, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        return str(client.create_experiment(name))
    if found.lifecycle_stage != "active":
        raise TrackingError(f"--experiment {name} is deleted: restore it, or name another one")
    return str(found.experiment_id)


def _known(client: Any, experiment: str, uid: str) -> dict[str | None, Any]:
    """Runs that are there already, by the trial's index as it stands in their tags."""
    found, token = {}, None
    while True:
        query = f"tags.`{STUDY}` = '{uid}'"
        page = client.search_runs([experiment], query, max_results=PAGE, page_token=token)
        found.update({run.data.tags.get(TRIAL): run for run in page})
        token = page.token
        if not token:
            return found


class _Logger:
    def __init__(self, client: Any, experiment: str, known: Mapping[str | None, Any]) -> None:
        self._client, self._experiment, self._known = client, experiment, known
        self.count: list[str] = []

    def log(self, run: Run) -> str:
        """Logs what is new of it; gives its id."""
        there = self._known.get(None if run.trial is None else str(run.trial))
        if there is not None and there.data.tags.get(LOGGED) == run.digest:
            self.count.append("same")
            return str(there.info.run_id)
        self.count.append("new" if there is None else "changed")
        if there is None:
            tags = {**run.tags, NAME: run.name}
            there = self._client.create_run(self._experiment, run.start, tags, run.name)
        id_ = str(there.info.run_id)
        logged = self._logged(id_, there.data.metrics)
        points = [each for each in run.points if (each.key, each.step) not in logged]
        tags = {k: v for k, v in run.tags.items() if there.data.tags.get(k) != v}
        parameters = {k: v for k, v in run.parameters.items() if k not in there.data.params}
        for batch in _batches(parameters, tags, points):
            self._client.log_batch(id_, *batch)
        if run.trial is not None:
            self.close(run, id_)
        return id_

    def _logged(self, id_: str, keys: Iterable[str]) -> set[tuple[str, int]]:
        """The values that are there, by name and step."""
        return {
            (each.key, each.step)
            for key in keys
            for each in self._client.get_metric_history(id_, key)
        }

    def close(self, run: Run, id_: str) -> None:
        """Writes how the run has ended, or stands, and last its digest."""
        there = self._known.get(None if run.trial is None else str(run.trial))
        if there is not None and there.data.tags.get(LOGGED) == run.digest:
            return
        if run.over:
            self._client.set_terminated(id_, run.status, run.end)
        else:
            self._client.update_run(id_, run.status)
        self._client.set_tag(id_, LOGGED, run.digest)


def _batches(
    parameters: Mapping[str, str], tags: Mapping[str, str], points: Sequence[Any]
) -> Iterator[tuple[Any, ...]]:
    """What requests may hold: metrics, parameters and tags."""
    from mlflow.entities import Metric, Param, RunTag

    metrics = [Metric(each.key, each.value, each.time, each.step) for each in points]
    given = [Param(*each) for each in parameters.items()]
    marks = [RunTag(*each) for each in tags.items()]
    while metrics or given or marks:
        yield metrics[:MAX_METRICS], given[:MAX_PARAMETERS], marks
        metrics, given, marks = metrics[MAX_METRICS:], given[MAX_PARAMETERS:], []
