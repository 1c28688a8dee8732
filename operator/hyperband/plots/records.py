"""What is drawn of a study and its trials: read from their objects, or from exported rows.

Objects and files are others' work: what is missing or is no number is left out, and counted. Texts
go through `plain`, here or, of parameters, where they are drawn.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hyperband.api.times import timestamp
from hyperband.core.parameters import Value
from hyperband.plots.figure import Axis, finite, plain

Body = Mapping[str, Any]
WIDE = 1000.0  # positive numbers that span so much are drawn on a log axis


@dataclass(frozen=True, slots=True)
class RungValue:
    """A value at a rung."""

    level: int
    resource: float
    value: float
    sequence: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """A pod of a trial; times are seconds since the epoch."""

    pod: str
    node: str
    start: float | None
    training: float | None
    end: float | None
    outcome: str
    resource: float | None
    gpu_seconds: float


@dataclass(frozen=True, slots=True)
class Run:
    """A trial."""

    index: int
    name: str
    bracket: int
    state: str  # empty if it is not known
    parameters: Mapping[str, Value]
    values: tuple[RungValue, ...] = ()  # ascending level
    curve: tuple[tuple[float, float], ...] = ()  # resource, value
    attempts: tuple[Attempt, ...] = ()
    gpu_seconds: float = 0.0
    detail: Mapping[str, float] = field(default_factory=dict)  # what its searcher expected

    @property
    def last(self) -> RungValue | None:
        """The value at its highest rung."""
        return self.values[-1] if self.values else None


@dataclass(frozen=True, slots=True)
class Dimension:
    """A parameter: numbers have bounds, others have values."""

    name: str
    low: float | None = None
    high: float | None = None
    log: bool = False
    values: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Records:
    """A study, as far as it is drawn."""

    study: str
    metric: str
    goal: str
    resource: str
    dimensions: tuple[Dimension, ...]  # constants left out
    runs: tuple[Run, ...]  # by index
    anew: bool = False  # whether promoted trials begin from scratch
    left_out: int = 0  # values that are no finite numbers
    notes: tuple[str, ...] = ()

    @property
    def objective(self) -> str:
        """The label of an axis of values."""
        better = "lower" if self.goal == "Minimize" else "higher"
        return f"{self.metric} ({self.goal}: {better} is better)"

    def axis(self, values: Iterable[float]) -> Axis:
        """The axis of these values: logarithmic where a few that diverged would hide the others."""
        found = list(values)
        low, high = min(found, default=0.0), max(found, default=0.0)
        log = low > 0 and high >= WIDE * low
        return Axis(self.objective + (", log" if log else ""), log)

    def loss(self, value: float) -> float:
        """The value with its sign set so that smaller is better."""
        return value if self.goal == "Minimize" else -value

    @property
    def best(self) -> Run | None:
        """The trial of the best value at any rung, the earliest of equal ones."""
        found = [
            (self.loss(v.value), v.sequence, run.index) for run in self.runs for v in run.values
        ]
        index = min(found)[2] if found else None
        return next((run for run in self.runs if run.index == index), None)

    def cautions(self) -> tuple[str, ...]:
        """What is to be said under every picture."""
        lost = f"{self.left_out} values that are no numbers, or too large, are left out"
        return (*self.notes, *((lost,) if self.left_out else ()))


# -- objects -----------------------------------------------------------------------------------


def of_objects(body: Body, trials: Iterable[Body]) -> Records:
    """Of a study's object and those of its trials, archived or not."""
    return of_runs(body, map(read_run, trials))


def of_runs(body: Body, read: Iterable[tuple[Run, int]]) -> Records:
    """Of a study's object and its trials as `read_run` has read them."""
    spec = body["spec"]
    objective = spec["objective"]
    read = list(read)
    runs = tuple(sorted((run for run, _ in read), key=lambda run: run.index))
    return Records(
        plain(body["metadata"]["name"]),
        plain(objective["metric"]),
        plain(objective.get("goal", "Minimize")),
        plain(spec["resource"]["name"]),
        tuple(_dimension(each) for each in spec["parameters"] if each["type"] != "Constant"),
        runs,
        not spec.get("resume", True),
        sum(lost for _, lost in read),
    )


def read_run(trial: Body) -> tuple[Run, int]:
    """A trial's object, and how many of its values are no finite numbers."""
    spec, status = trial["spec"], trial.get("status") or {}
    given = status.get("rungs") or []
    rungs = [each for each in given if finite(each.get("value"))]
    curve = [each for each in status.get("curve") or [] if finite(each.get("value"))]
    run = Run(
        int(spec["index"]),
        plain(trial["metadata"]["name"]),
        int(spec["bracket"]),
        plain(status.get("state", "Pending")),
        spec["parameters"],
        tuple(_value(each) for each in rungs),
        tuple((float(each["resource"]), float(each["value"])) for each in curve),
        tuple(_attempt(each) for each in status.get("attempts") or []),
        float(status.get("gpuSeconds", 0.0)),
        (spec.get("suggestion") or {}).get("detail") or {},
    )
    return run, len(given) - len(rungs) + len(status.get("curve") or []) - len(curve)


def _value(given: Body) -> RungValue:
    return RungValue(
        int(given["level"]), float(given["resource"]), float(given["value"]), int(given["sequence"])
    )


def _attempt(given: Body) -> Attempt:
    return Attempt(
        plain(given.get("pod", "")),
        plain(given.get("node", "")),
        timestamp(given.get("startTime")),
        timestamp(given.get("trainingTime")),
        timestamp(given.get("endTime")),
        plain(given.get("outcome", "")),
        given.get("resource"),
        float(given.get("gpuSeconds", 0.0)),
    )


def _dimension(given: Body) -> Dimension:
    log = given.get("scale") == "Log" or given.get("distribution") == "LogNormal"
    values = tuple(given.get("values") or ())
    return Dimension(given["name"], given.get("min"), given.get("max"), log, values)


# -- exported rows -----------------------------------------------------------------------------


def of_rows(rows: Sequence[Body], name: str, goal: str) -> Records:
    """Of what `hyperband export -o json` has written: a row a trial, or a row a value.

    Raises:
        KeyError, TypeError, ValueError: it has not written these.
    """
    by_trial: dict[int, list[Body]] = defaultdict(list)
    for row in rows:
        by_trial[int(row["index"])].append(row)
    runs = tuple(_exported(by_trial[index]) for index in sorted(by_trial))
    lost = sum(row["value"] is not None and not finite(row["value"]) for row in rows)
    note = "axes are logarithmic where numbers span three decades: the file has no scales"
    dimensions = _dimensions(runs)
    notes = (note,) if any(each.log for each in dimensions) else ()
    return Records(name, "value", goal, "resource", dimensions, runs, False, lost, notes)


def _exported(rows: Sequence[Body]) -> Run:
    first = rows[0]
    values = [
        RungValue(
            int(row.get("level", 0)),
            float(row["resource"]),
            float(row["value"]),
            int(row.get("sequence", first["index"])),
        )
        for row in rows
        if finite(row["value"]) and finite(row["resource"])
    ]
    return Run(
        int(first["index"]),
        plain(first["trial"]),
        int(first["bracket"]),
        plain(first.get("state", "")),
        dict(first["parameters"]),
        tuple(sorted(values, key=lambda each: each.level)),
        gpu_seconds=float(first.get("gpuSeconds", 0.0)),
    )


def _dimensions(runs: Sequence[Run]) -> tuple[Dimension, ...]:
    names = dict.fromkeys(name for run in runs for name in run.parameters)
    return tuple(
        _observed(name, [r.parameters[name] for r in runs if name in r.parameters])
        for name in names
    )


def _observed(name: str, values: Sequence[Value]) -> Dimension:
    numbers = [float(value) for value in values if finite(value)]
    if len(numbers) < len(values):
        return Dimension(name, values=tuple(dict.fromkeys(values)))
    low, high = min(numbers), max(numbers)
    return Dimension(name, low, high, low > 0 and high >= WIDE * low)


# -- places on an axis -------------------------------------------------------------------------


def fitted(dimension: Dimension, runs: Sequence[Run]) -> Dimension:
    """With bounds: the declared ones, or where these are left out, those of what was tried."""
    if dimension.values:
        return dimension
    found = [run.parameters.get(dimension.name) for run in runs]
    seen = [float(value) for value in found if finite(value)]
    low = min([*seen, *([dimension.low] if dimension.low is not None else [])], default=0.0)
    high = max([*seen, *([dimension.high] if dimension.high is not None else [])], default=1.0)
    return replace(dimension, low=low, high=high, log=dimension.log and low > 0)


def place(dimension: Dimension, value: Value | None) -> float | None:
    """Where a value is drawn on the parameter's own axis; None if it is inactive, or unknown."""
    if value is None:
        return None
    if dimension.values:
        known = [(isinstance(v, bool), v) for v in dimension.values]
        given = (isinstance(value, bool), value)
        return float(known.index(given)) if given in known else None
    return float(value) if finite(value) and (not dimension.log or value > 0) else None
