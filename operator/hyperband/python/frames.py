"""A study's trials, values and learning curves as pandas DataFrames."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hyperband.api.rows import TRIAL_COLUMNS, VALUE_COLUMNS, Row, trial_rows, value_rows
from hyperband.backends.kubernetes.objects import CustomObject
from hyperband.core.errors import printable
from hyperband.python.problems import MissingPackageError

if TYPE_CHECKING:
    from pandas import DataFrame

CURVE_COLUMNS = ("index", "trial", "bracket", "resource", "value")


def trials(spec: Mapping[str, Any], items: Sequence[CustomObject]) -> "DataFrame":
    """A row for each trial, by its index."""
    return _frame(spec, TRIAL_COLUMNS, list(trial_rows(items)))


def values(spec: Mapping[str, Any], items: Sequence[CustomObject]) -> "DataFrame":
    """A row for each value at a rung, in the order in which they were recorded."""
    return _frame(spec, VALUE_COLUMNS, list(value_rows(items)))


def curves(spec: Mapping[str, Any], items: Sequence[CustomObject]) -> "DataFrame":
    """A row for each point of the learning curves that trials have kept."""
    return _frame(spec, CURVE_COLUMNS, list(_points(items)))


def _points(items: Sequence[CustomObject]) -> Iterator[Row]:
    for item in items:
        for point in item.status.get("curve") or ():
            yield {
                "index": item.spec["index"],
                "trial": printable(item.metadata.name),
                "bracket": item.spec["bracket"],
                "resource": point["resource"],
                "value": point.get("value"),
                "parameters": item.spec["parameters"],
            }


def _frame(spec: Mapping[str, Any], columns: Sequence[str], rows: Sequence[Row]) -> "DataFrame":
    """With a column for each parameter, after the others; missing where it is inactive."""
    try:
        import pandas
    except ImportError as error:
        mend = "pip install '.[pandas]' in this repository, or pip install pandas"
        raise MissingPackageError(f"pandas is not installed: {mend}") from error
    data = {column: [row[column] for row in rows] for column in columns}
    for name in (str(each["name"]) for each in spec["parameters"]):
        data[f"parameters.{name}"] = [row["parameters"].get(name) for row in rows]
    return pandas.DataFrame(data)
