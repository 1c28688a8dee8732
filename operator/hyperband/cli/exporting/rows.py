"""Rows of trials, or of values at rungs, as CSV and JSON."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from hyperband.api.rows import Row


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
