"""Rows as a Parquet file: a column a parameter, each of the type that the study gives it."""

import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hyperband.api.rows import Row
from hyperband.core.parameters import show

# Columns that hold no text, in rows of either kind.
INTEGERS: Final = (
    *("index", "bracket", "values", "attempts", "failures", "disruptions"),
    *("sequence", "level"),
)
NUMBERS: Final = ("value", "resource", "gpuSeconds")
PLAIN: Final[Mapping[type, str]] = {bool: "bool_", int: "int64", float: "float64"}


class MissingLibraryError(Exception):
    """pyarrow is not installed; the message says how to get it."""


def as_parquet(rows: Sequence[Row], columns: Sequence[str], body: Mapping[str, Any]) -> bytes:
    """The file; a parameter is a column `parameters.NAME`, null where it is inactive.

    Its metadata has the study's name, metric and goal, under `hyperband.…`.

    Args:
        body: the study.

    Raises:
        MissingLibraryError: pyarrow is not installed.
    """
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError as error:
        mend = "pip install '.[parquet]' in this repository, or use -o csv or json"
        raise MissingLibraryError(f"pyarrow is not installed: {mend}") from error
    fields, cells = [], []
    for name in columns:
        fields.append(arrow.field(name, getattr(arrow, _type(name))()))
        cells.append([row[name] for row in rows])
    for each in body["spec"]["parameters"]:
        name, type_ = each["name"], parameter_type(each)
        fields.append(arrow.field(f"parameters.{name}", getattr(arrow, type_)()))
        cells.append([_cell(row["parameters"].get(name), type_) for row in rows])
    objective = body["spec"]["objective"]
    metadata = {
        "hyperband.study": str(body["metadata"]["name"]),
        "hyperband.metric": str(objective["metric"]),
        "hyperband.goal": str(objective.get("goal", "Minimize")),
    }
    table = arrow.table(cells, schema=arrow.schema(fields, metadata=metadata))
    file = io.BytesIO()
    parquet.write_table(table, file)
    return file.getvalue()


def _type(column: str) -> str:
    if column in INTEGERS:
        return "int64"
    return "float64" if column in NUMBERS else "string"


def parameter_type(given: Mapping[str, Any]) -> str:
    """The type of a parameter's column; where its values differ in type, it holds text."""
    if given["type"] in ("Integer", "Float"):
        return "int64" if given["type"] == "Integer" else "float64"
    values = given["values"] if "values" in given else [given.get("value")]
    kinds = {type(value) for value in values}
    if kinds == {int, float}:
        return "float64"
    return PLAIN.get(kinds.pop(), "string") if len(kinds) == 1 else "string"


def _cell(value: Any, type_: str) -> Any:
    if value is None or type_ == "bool_":
        return value
    if type_ == "string":
        return value if isinstance(value, str) else show(value)
    return int(value) if type_ == "int64" else float(value)
