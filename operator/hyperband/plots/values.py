"""Values as they came: learning curves, the best so far, and what had been predicted."""

from collections import defaultdict
from collections.abc import Sequence
from enum import StrEnum

from hyperband.plots.figure import (
    MAX_ITEMS,
    Axis,
    Figure,
    Item,
    Mark,
    Panel,
    Series,
    finite,
    number,
    thin,
    thinned,
    time_unit,
)
from hyperband.plots.moments import Moment, gpu_hours, moments
from hyperband.plots.records import Records, Run

MAX_CURVES = 500
MAX_TICKS = 12
FAINT = ("Paused", "Stopped", "Failed")
DEVIATIONS = 0.683  # of a normal distribution, within one deviation


class Over(StrEnum):
    """What the best so far is drawn over."""

    TIME = "time"
    GPU_HOURS = "gpu-hours"
    VALUES = "values"


def curves(records: Records) -> Figure:
    """Learning curves by rung, with those of trials that do not go on faint."""
    drawn = [run for run in records.runs if run.values or run.curve]
    best = records.best
    shown = thin(drawn, MAX_CURVES)
    if best is not None and best not in shown:
        shown[-1] = best
    by_state: dict[str, list[Item]] = defaultdict(list)
    for run in shown:
        xs, ys = zip(*_points(run), strict=True)
        state = "best" if run is best else run.state or "trials"
        by_state[state].append(Item(_named(run), xs, ys))
    states = sorted(by_state, key=lambda state: (state == "best", state not in FAINT, state))
    series = tuple(Series(s.lower(), Mark.LINES, tuple(by_state[s]), s in FAINT) for s in states)
    rungs = sorted(_rungs(records).items())
    log = bool(rungs) and rungs[0][1] > 0 and rungs[-1][1] >= 9 * rungs[0][1]
    ticks = tuple((at, number(float(at))) for _, at in rungs) if len(rungs) <= MAX_TICKS else ()
    rows = [
        (run.name, run.state, v.resource, v.value)
        for run in thin(drawn, MAX_CURVES)
        for v in run.values
    ]
    return Figure(
        f"{records.study}: learning curves, a tick at each rung",
        (
            Panel(
                Axis(records.resource, log, ticks),
                records.axis(y for run in shown for _, y in _points(run)),
                series,
            ),
        ),
        (*thinned(len(shown), len(drawn), "curves"), *records.cautions()),
        ("trial", "state", records.resource, records.metric),
        tuple(rows),
    )


def _points(run: Run) -> list[tuple[float, float]]:
    return sorted({*run.curve, *((v.resource, v.value) for v in run.values)})


def _named(run: Run) -> str:
    last = run.last
    said = f": {run.state}" if run.state else ""
    return f"{run.name}{said}" + (
        f", {number(last.value)} at {number(last.resource)}" if last else ""
    )


def _rungs(records: Records) -> dict[int, float]:
    """The resource of each level: the least that was reported at it."""
    found: dict[int, float] = {}
    for run in records.runs:
        for value in run.values:
            found[value.level] = min(value.resource, found.get(value.level, value.resource))
    return found


def best(records: Records, over: Over = Over.TIME) -> Figure:
    """The best value at any rung so far, over time or over what was spent."""
    told = moments(records)
    known = [each for each in told if each.seconds is not None]
    notes = [*records.cautions()]
    if over is Over.VALUES:
        known, xs, label = told, [float(i + 1) for i in range(len(told))], "values recorded"
    else:
        known.sort(key=lambda each: (each.seconds or 0.0, each.value.sequence))
        seconds = [each.seconds or 0.0 for each in known]
        xs, label = _spent(records, over, seconds)
        notes.append("when a value came is worked out from its pod's start and end")
        if len(known) < len(told):
            notes.append(
                f"{len(told) - len(known):,} of {len(told):,} values are left out: "
                "when they came is not known, or not yet; over values recorded all are drawn"
            )
    steps = _improvements(records, known, xs)
    drawn = thin(list(zip(known, xs, strict=True)), MAX_ITEMS // 2)
    shown = [Item(_named_value(each), (x,), (each.value.value,)) for each, x in drawn]
    line = [] if not steps else [_staircase(steps, max(xs))]
    series = (
        Series("values at rungs", Mark.POINTS, tuple(shown), True),
        Series("best so far", Mark.LINES, tuple(line)),
    )
    return Figure(
        f"{records.study}: best so far",
        (Panel(Axis(label), records.axis(each.value.value for each in known), series),),
        (*notes, *thinned(len(shown), len(known), "values")),
        (label, records.metric, "trial", records.resource),
        tuple((x, m.value.value, m.run.name, m.value.resource) for m, x in steps),
    )


def _spent(records: Records, over: Over, seconds: Sequence[float]) -> tuple[list[float], str]:
    if over is Over.GPU_HOURS:
        return gpu_hours(records, seconds), "GPU-hours spent by all trials"
    size, unit = time_unit(max(seconds, default=0.0))
    return [each / size for each in seconds], f"{unit} since the first pod started"


def _named_value(each: Moment) -> str:
    return f"{each.run.name}: {number(each.value.value)} at {number(each.value.resource)}"


def _improvements(
    records: Records, known: Sequence[Moment], xs: Sequence[float]
) -> list[tuple[Moment, float]]:
    found: list[tuple[Moment, float]] = []
    for each, x in zip(known, xs, strict=True):
        loss = records.loss(each.value.value)
        if not found or loss < records.loss(found[-1][0].value.value):
            found.append((each, x))
    return found


def _staircase(steps: Sequence[tuple[Moment, float]], end: float) -> Item:
    xs, ys = [steps[0][1]], [steps[0][0].value.value]
    for moment, x in steps[1:]:
        xs += [x, x]
        ys += [ys[-1], moment.value.value]
    return Item(f"best so far: {number(ys[-1])}", (*xs, end), (*ys, ys[-1]))


def predicted(records: Records) -> Figure:
    """What a model expected of suggestions, mean and deviation, against what was observed."""
    found = [pair for run in records.runs if (pair := _expectation(run)) is not None]
    shown = thin(found, MAX_ITEMS // 2)
    points, bars = [], []
    for run, mean, deviation, value in shown:
        name = (
            f"{run.name}: {number(mean)} ± {number(deviation)} expected, {number(value)} observed"
        )
        points.append(Item(name, (mean,), (value,)))
        bars.append(Item(name, (mean - deviation, mean + deviation), (value, value)))
    series = (
        Series("one deviation", Mark.LINES, tuple(bars), True),
        *((_diagonal([each[1:] for each in shown]),) if shown else ()),
        Series("suggestions", Mark.POINTS, tuple(points)),
    )
    return Figure(
        f"{records.study}: predicted and observed",
        (Panel(Axis(f"{records.metric}, predicted"), Axis(f"{records.metric}, observed"), series),),
        (
            *_calibration(found),
            *thinned(len(shown), len(found), "suggestions"),
            *records.cautions(),
        ),
        ("trial", "predicted", "deviation", "observed"),
        tuple((run.name, mean, deviation, value) for run, mean, deviation, value in shown),
    )


def _expectation(run: Run) -> tuple[Run, float, float, float] | None:
    """Mean, deviation and the value at the level that they were of."""
    mean, deviation, level = (run.detail.get(key) for key in ("mean", "deviation", "level"))
    value = next((v.value for v in run.values if v.level == level), None)
    if mean is None or deviation is None or value is None:
        return None
    return (run, mean, deviation, value) if finite(mean) and finite(deviation) else None


def _diagonal(found: Sequence[tuple[float, float, float]]) -> Series:
    ends = [end for mean, _, value in found for end in (mean, value)]
    low, high = min(ends), max(ends)
    return Series("as predicted", Mark.LINES, (Item("as predicted", (low, high), (low, high)),))


def _calibration(found: Sequence[tuple[Run, float, float, float]]) -> tuple[str, ...]:
    if not found:
        return (
            "no trial has both a prediction and a value: the searcher GaussianProcess predicts",
        )
    inside = sum(abs(value - mean) <= deviation for _, mean, deviation, value in found)
    share = f"{inside:,} of {len(found):,} within one deviation ({inside / len(found):.0%}"
    return (f"{share}; {DEVIATIONS:.0%} if the model is right)",)
