"""Values by parameters: parallel coordinates and slices."""

import math
from collections.abc import Sequence

from hyperband.core.parameters import show
from hyperband.plots.figure import (
    MAX_ITEMS,
    Axis,
    Figure,
    Item,
    Mark,
    Panel,
    Series,
    number,
    plain,
    thin,
    thinned,
)
from hyperband.plots.records import Dimension, Records, Run, fitted, place

MAX_LINES = 500
MAX_PANELS = 12
MAX_CHOICES = 20  # of a categorical axis, written
INACTIVE = -0.12  # where inactive parameters are drawn, below the axes
BEST = 10  # one of so many is among the best


def parallel(records: Records) -> Figure:
    """Parallel coordinates: a line a trial, coloured by its value; the best tenth apart."""
    with_value = sorted(
        (run for run in records.runs if run.last), key=lambda run: records.loss(_value(run))
    )
    good = math.ceil(len(with_value) / BEST)
    best, rest = with_value[:good], with_value[good:]
    shown_best, shown_rest = thin(best, MAX_LINES // 5), thin(rest, MAX_LINES * 4 // 5)
    losses = [_value(run) for run in with_value]
    objective = _objective(records, losses)
    dimensions = [*(fitted(each, records.runs) for each in records.dimensions), objective]
    shades = {run.index: 1 - i / max(len(with_value) - 1, 1) for i, run in enumerate(with_value)}

    def items(runs: Sequence[Run]) -> tuple[Item, ...]:
        return tuple(_line(run, dimensions, records, shades[run.index]) for run in runs)

    series = (
        # The better ones are drawn over the others.
        Series("other trials", Mark.LINES, items(shown_rest[::-1]), True),
        Series("best tenth", Mark.LINES, items(shown_best[::-1])),
    )
    ticks = tuple((float(i), _head(each)) for i, each in enumerate(dimensions))
    texts = [text for i, each in enumerate(dimensions) for text in _texts(i, each)]
    absent = any(
        each.name not in run.parameters for run in with_value for each in records.dimensions
    )
    notes = ["values are at each trial's highest rung"]
    notes += ["below the axes: inactive parameters"] if absent else []
    names = [each.name for each in records.dimensions]
    count = len(shown_best) + len(shown_rest)
    return Figure(
        f"{records.study}: parallel coordinates",
        (
            Panel(
                Axis("", ticks=ticks),
                Axis("place on each axis", ticks=((0.0, ""), (1.0, ""))),
                series,
                tuple(texts),
            ),
        ),
        (*notes, *thinned(count, len(with_value), "trials"), *records.cautions()),
        ("trial", *map(plain, names), records.metric),
        tuple(
            (run.name, *(shown(run, name) for name in names), _value(run))
            for run in (*shown_best, *shown_rest)
        ),
        f"{records.objective}, by rank",
    )


def _value(run: Run) -> float:
    return run.last.value if run.last else math.nan


def shown(run: Run, name: str) -> str:
    """A parameter of a trial in words; empty if it is inactive."""
    return number(run.parameters[name]) if name in run.parameters else ""


def _objective(records: Records, values: Sequence[float]) -> Dimension:
    return Dimension(records.metric, min(values, default=0.0), max(values, default=1.0))


def _line(run: Run, dimensions: Sequence[Dimension], records: Records, shade: float) -> Item:
    heights = [_height(each, run.parameters.get(each.name)) for each in dimensions[:-1]]
    heights.append(_height(dimensions[-1], _value(run)))
    said = ", ".join(f"{plain(n)} {number(v)}" for n, v in list(run.parameters.items())[:6])
    name = f"{run.name}: {number(_value(run))} with {said}"
    return Item(name, tuple(map(float, range(len(heights)))), tuple(heights), shade)


def _height(dimension: Dimension, value: object) -> float:
    at = place(dimension, value)  # type: ignore[arg-type]
    if at is None:
        return INACTIVE
    if dimension.values:
        return (at + 0.5) / len(dimension.values)
    low, high = dimension.low or 0.0, dimension.high or 0.0
    if dimension.log:
        low, high, at = math.log(low), math.log(high), math.log(at)
    return min(max((at - low) / (high - low), 0.0), 1.0) if high > low else 0.5


def _head(dimension: Dimension) -> str:
    return plain(dimension.name) + (" (log)" if dimension.log else "")


def _texts(column: int, dimension: Dimension) -> list[tuple[float, float, str]]:
    """What is written at an axis: its ends, or its values."""
    if dimension.values:
        some = thin(list(enumerate(dimension.values)), MAX_CHOICES)
        count = len(dimension.values)
        return [(float(column), (i + 0.5) / count, _choice(value)) for i, value in some]
    ends = ((0.0, dimension.low), (1.0, dimension.high))
    return [(float(column), at, number(float(end or 0.0))) for at, end in ends]


def _choice(value: object) -> str:
    return plain(value if isinstance(value, str) else show(value))[:16]


def slices(records: Records) -> Figure:
    """The value against each parameter, at each trial's highest rung."""
    runs = [run for run in records.runs if run.last]
    drawn = [fitted(each, records.runs) for each in records.dimensions[:MAX_PANELS]]
    some = thin(runs, MAX_ITEMS // max(len(drawn), 1))
    best = records.best
    if best is not None and best not in some:
        some[-1] = best
    top = max((run.last.level for run in runs if run.last), default=0)
    kinds = [(run, _kind(run, best, top)) for run in some]
    panels = [_slice(records, each, kinds) for each in drawn]
    more = len(records.dimensions) - len(drawn)
    notes = ["values are at each trial's highest rung"]
    notes += [f"{more} more parameters are not drawn"] if more else []
    return Figure(
        f"{records.study}: values by parameter",
        tuple(panels),
        (*notes, *thinned(len(some), len(runs), "trials"), *records.cautions()),
        ("trial", *(plain(each.name) for each in drawn), records.metric),
        tuple((run.name, *(shown(run, each.name) for each in drawn), _value(run)) for run in some),
    )


def _kind(run: Run, best: Run | None, top: int) -> str:
    if run is best:
        return "best"
    return "at the highest rung" if run.last and run.last.level == top else "at a lower rung"


def _slice(records: Records, dimension: Dimension, runs: Sequence[tuple[Run, str]]) -> Panel:
    items: dict[str, list[Item]] = {"at a lower rung": [], "at the highest rung": [], "best": []}
    for run, kind in runs:
        at = place(dimension, run.parameters.get(dimension.name))
        if at is not None:
            said = f"{run.name}: {number(_value(run))} at {number(run.parameters[dimension.name])}"
            items[kind].append(Item(said, (at,), (_value(run),)))
    series = tuple(
        Series(kind, Mark.POINTS, tuple(found), kind == "at a lower rung")
        for kind, found in items.items()
    )
    return Panel(axis_of(dimension), records.axis(_value(run) for run, _ in runs), series)


def axis_of(dimension: Dimension) -> Axis:
    """The axis of a parameter; of a categorical one with its values."""
    ticks: list[tuple[float, str]] = []
    if dimension.values:
        places = thin(list(enumerate(dimension.values)), MAX_CHOICES)
        ticks = [(float(i), _choice(value)) for i, value in places]
    return Axis(_head(dimension), dimension.log, tuple(ticks))
