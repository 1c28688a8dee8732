"""Values by parameters in columns, for parallel coordinates that are brushed. Pure."""

from collections.abc import Sequence
from typing import Any, Final

from hyperband.core.errors import all_printable
from hyperband.dashboard.figures import short
from hyperband.dashboard.snapshot import Snapshot
from hyperband.plots.figure import finite, thin
from hyperband.plots.records import Dimension, Records, Run, fitted

MAX_ROWS: Final = 2000
MAX_CELLS: Final = 16000
LETTERS: Final = {  # P waits at a rung, W for its pod
    "Pending": "W",
    "Running": "R",
    "Paused": "P",
    "Stopped": "S",
    "Completed": "C",
    "Failed": "F",
}


def parallel(snapshot: Snapshot) -> dict[str, Any]:
    """Trials with a value: the best ones, and an even share of the others, by index."""
    records = snapshot.records
    there = [run for run in records.runs if run.last]
    shown = _chosen(records, there, _most(records))
    dimensions = [fitted(each, records.runs) for each in records.dimensions]
    types = {each["name"]: each for each in snapshot.body["spec"]["parameters"]}
    return {
        "version": snapshot.version,
        "dimensions": [_dimension(each, types[each.name]["type"]) for each in dimensions],
        "trials": [run.index for run in shown],
        "columns": [[_cell(run, each) for run in shown] for each in dimensions],
        "value": [short(run.last.value) if run.last else None for run in shown],
        "resource": [run.last.resource if run.last else None for run in shown],
        "state": "".join(LETTERS.get(run.state, "?") for run in shown),
        "shown": len(shown),
        "of": len(there),
    }


def _most(records: Records) -> int:
    return min(MAX_ROWS, MAX_CELLS // max(len(records.dimensions), 1))


def _chosen(records: Records, runs: Sequence[Run], most: int) -> list[Run]:
    if len(runs) <= most:
        return list(runs)
    ranked = sorted(runs, key=lambda run: records.loss(run.last.value) if run.last else 0.0)
    chosen = [*ranked[: most // 2], *thin(ranked[most // 2 :], most - most // 2)]
    return sorted(chosen, key=lambda run: run.index)


def _dimension(dimension: Dimension, type_: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": all_printable(dimension.name),
        "type": type_,
        "scale": "Log" if dimension.log else "Linear",
        "min": dimension.low,
        "max": dimension.high,
    }
    if dimension.values:
        made["values"] = all_printable(list(dimension.values))
    return made


def _cell(run: Run, dimension: Dimension) -> Any:
    """The value as it is; None where it is inactive."""
    value = run.parameters.get(dimension.name)
    return short(value) if isinstance(value, float) and finite(value) else all_printable(value)
