"""`hyperband export STUDY`: all trials, or all values at rungs, as rows for other tools."""

import os
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from hyperband.api.rows import TRIAL_COLUMNS, VALUE_COLUMNS, trial_rows, value_rows
from hyperband.backends.kubernetes.archives import read_trials
from hyperband.backends.kubernetes.objects import CustomObject
from hyperband.cli.cluster import (
    DONE,
    USAGE,
    Access,
    ContextOption,
    KubeconfigOption,
    NamespaceOption,
    Session,
    StudyArgument,
    ToldError,
    ended,
    run,
)
from hyperband.cli.exporting.parquet import MissingLibraryError, as_parquet
from hyperband.cli.exporting.rows import as_csv, as_json
from hyperband.cli.local_runs import DirOption, read_locally
from hyperband.cli.output import write_file
from hyperband.core.errors import all_printable

SERVER = "MLFLOW_TRACKING_URI"  # MLflow's own variable


class Format(StrEnum):
    """How trials are written."""

    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"
    MLFLOW = "mlflow"


class Rows(StrEnum):
    """What a row is."""

    TRIALS = "trials"
    VALUES = "values"


def export(
    study: StudyArgument,
    rows: Annotated[
        Rows, typer.Option(help="A row for each trial, or for each value at a rung.")
    ] = Rows.TRIALS,
    output: Annotated[Format, typer.Option("--output", "-o", help="How it is written.")] = (
        Format.CSV
    ),
    out: Annotated[
        Path | None, typer.Option(help="Write to this file instead of standard output.")
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="URI", help=f"mlflow: of the tracking server; default: the variable {SERVER}."
        ),
    ] = None,
    experiment: Annotated[
        str | None, typer.Option(metavar="NAME", help="mlflow: default: the study's name.")
    ] = None,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    dir: DirOption = None,
) -> None:
    """Write all trials of a study, archived ones included, by index; or all values, in order.

    To MLflow, a study is a run and each of its trials a run within: parameters, the learning curve
    and the values at rungs, what became of it. Repeated, it adds what is new.
    """
    server = to or os.environ.get(SERVER)
    try:
        _check(output, out, to, experiment, server)
    except ToldError as error:
        raise ended("export", error) from error

    async def work(session: Session) -> int:
        body = await session.shown_study(study)
        place = (session.client, session.namespace, study, body["metadata"]["uid"])
        items = [item async for items in read_trials(*place) for item in items]
        items.sort(key=lambda item: int(item.spec["index"]))
        return tell(body, items)

    def tell(body: Mapping[str, Any], items: Sequence[CustomObject]) -> int:
        if output is Format.MLFLOW:
            _log(str(server), experiment or study, body, items)
        else:
            _write(out, _content(body, items, rows, output))
        return DONE

    if dir is not None:
        read_locally("export", dir, study, lambda b, t: tell(all_printable(b), as_objects(t)))
    run("export", Access(kubeconfig, context, namespace), work)


def _check(
    output: Format, out: Path | None, to: str | None, experiment: str | None, server: str | None
) -> None:
    """Before a cluster is asked for ten thousand trials."""
    if output is Format.MLFLOW:
        if not server:
            mend = f"name the tracking server, such as --to http://localhost:5000, or set {SERVER}"
            raise ToldError(f"--to is missing: {mend}", USAGE)
        if out is not None:
            raise ToldError(f"--out {out}: mlflow has no file: leave it out", USAGE)
        return
    for option, given in (("--to", to), ("--experiment", experiment)):
        if given is not None:
            raise ToldError(f"{option} {given}: only -o mlflow has it: leave it out", USAGE)
    if output is Format.PARQUET and out is None:
        raise ToldError("-o parquet is no text: name a file with --out", USAGE)


def _content(
    body: Mapping[str, Any], items: Sequence[CustomObject], rows: Rows, output: Format
) -> str | bytes:
    made = list(trial_rows(items) if rows is Rows.TRIALS else value_rows(items))
    columns = TRIAL_COLUMNS if rows is Rows.TRIALS else VALUE_COLUMNS
    if output is Format.JSON:
        return as_json(made)
    if output is Format.CSV:
        return as_csv(made, columns, [each["name"] for each in body["spec"]["parameters"]])
    try:
        return as_parquet(made, columns, body)
    except MissingLibraryError as error:
        raise ToldError(f"-o parquet: {error}", USAGE) from error


def _write(out: Path | None, content: str | bytes) -> None:
    if out is None:
        typer.echo(content, nl=False)
    else:
        write_file("--out", out, content)


def _log(
    server: str, experiment: str, body: Mapping[str, Any], items: Sequence[CustomObject]
) -> None:
    # Here, as only this form needs it.
    from hyperband.cli.exporting.tracking import TrackingError, log_study, open_client

    try:
        told = log_study(open_client(server), server, experiment, body, items)
    except TrackingError as error:
        raise ToldError(str(error)) from error
    counts = f"{told.new} runs new, {told.changed} changed, {told.same} as they were"
    typer.echo(f"{server}: experiment {told.experiment}, run {told.parent}: {counts}", err=True)


def as_objects(trials: Sequence[Mapping[str, Any]]) -> list[CustomObject]:
    """Trials of a run as a client gives those of a cluster."""
    return msgspec.convert(trials, list[CustomObject])
