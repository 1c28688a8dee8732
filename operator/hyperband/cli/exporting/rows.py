"""Trials, and values at rungs, as rows: of CSV and JSON."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hyperband.backends.kubernetes.objects import CustomObject
from hyperband.core.errors import all_printable

Row = dict[str, Any]

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


def as_csv(rows: Sequence[Row], columns: Sequence[str], parameters: Sequence[str]) -> str:
    """With a column for each parameter, empty where it is inactive."""
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
