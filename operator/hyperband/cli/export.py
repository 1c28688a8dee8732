"""`hyperband export STUDY`: all trials, or all values at rungs, as rows for other tools."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

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
    run,
)
from hyperband.cli.local_runs import DirOption, read_locally
from hyperband.core.errors import all_printable

Row = dict[str, Any]


class Format(StrEnum):
    """How rows are written."""

    CSV = "csv"
    JSON = "json"


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
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    dir: DirOption = None,
) -> None:
    """Write all trials of a study, archived ones included, by index; or all values, in order."""

    async def work(session: Session) -> int:
        body = await session.shown_study(study)
        place = (session.client, session.namespace, study, body["metadata"]["uid"])
        items = [item async for items in read_trials(*place) for item in items]
        items.sort(key=lambda item: int(item.spec["index"]))
        return tell(body, items)

    def tell(body: Mapping[str, Any], items: Sequence[CustomObject]) -> int:
        made = list(trial_rows(items) if rows is Rows.TRIALS else value_rows(items))
        names = [each["name"] for each in body["spec"]["parameters"]]
        text = as_csv(made, rows, names) if output is Format.CSV else as_json(made)
        if out is None:
            typer.echo(text, nl=False)
            return DONE
        try:
            out.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ToldError(f"--out {out}: {error.strerror}: name a file", USAGE) from error
        return DONE

    if dir is not None:
        read_locally("export", dir, study, lambda b, t: tell(all_printable(b), as_objects(t)))
    run("export", Access(kubeconfig, context, namespace), work)


def as_objects(trials: Sequence[Mapping[str, Any]]) -> list[CustomObject]:
    """Trials of a run as a client gives those of a cluster."""
    return msgspec.convert(trials, list[CustomObject])


TRIAL_COLUMNS = (
    *("index", "trial", "bracket", "state", "origin", "value", "resource", "values"),
    *("attempts", "failures", "disruptions", "gpuSeconds", "reason", "message"),
)
VALUE_COLUMNS = ("sequence", "index", "trial", "bracket", "level", "resource", "value")


def trial_rows(items: Sequence[CustomObject]) -> Iterator[Row]:
    """One for each trial; its value is that at its highest rung, absent if it has none."""
    for item in items:
        status, spec = item.status, item.spec
        rungs = status.get("rungs") or []
        last = rungs[-1] if rungs else {}
        row = {
            "index": spec["index"],
            "trial": item.metadata.name,
            "bracket": spec["bracket"],
            "state": status.get("state", "Pending"),
            "origin": spec["suggestion"]["origin"],
            "value": last.get("value"),
            "resource": last.get("resource"),
            "values": len(rungs),
            "attempts": int(status.get("attempt", -1)) + 1,
            "failures": status.get("failures", 0),
            "disruptions": status.get("disruptions", 0),
            "gpuSeconds": status.get("gpuSeconds", 0.0),
            "reason": status.get("reason"),
            "message": status.get("message"),
            "parameters": spec["parameters"],
        }
        yield all_printable(row)


def value_rows(items: Sequence[CustomObject]) -> Iterator[Row]:
    """One for each value at a rung, in the order in which they were recorded."""
    found = [
        (rung["sequence"], item, rung) for item in items for rung in item.status.get("rungs", ())
    ]
    for sequence, item, rung in sorted(found, key=lambda each: int(each[0])):
        row = {
            "sequence": sequence,
            "index": item.spec["index"],
            "trial": item.metadata.name,
            "bracket": item.spec["bracket"],
            "level": rung["level"],
            "resource": rung["resource"],
            "value": rung["value"],
            "parameters": item.spec["parameters"],
        }
        yield all_printable(row)


def as_csv(rows: Sequence[Row], kind: Rows, parameters: Sequence[str]) -> str:
    """With a column for each parameter, empty where it is inactive."""
    columns = TRIAL_COLUMNS if kind is Rows.TRIALS else VALUE_COLUMNS
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, *(f"parameters.{name}" for name in parameters)])
    for row in rows:
        given = row["parameters"]
        writer.writerow([*(row[c] for c in columns), *(_cell(given, name) for name in parameters)])
    return text.getvalue()


def _cell(given: Mapping[str, Any], name: str) -> Any:
    value = given.get(name)
    return json.dumps(value) if isinstance(value, bool) else value


def as_json(rows: Sequence[Row]) -> str:
    """A list with one row a line."""
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    return "[\n" + ",\n".join(lines) + "\n]\n" if lines else "[]\n"
