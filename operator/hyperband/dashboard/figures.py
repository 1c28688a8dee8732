"""Figures as plain data, small enough to be sent at each change. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from hyperband.dashboard.snapshot import Snapshot
from hyperband.plots.figure import Axis, Figure, Item, Panel, Series, thin
from hyperband.plots.flow import rungs, timeline
from hyperband.plots.importance import importance
from hyperband.plots.pairs import pairs
from hyperband.plots.parameters import slices
from hyperband.plots.records import Records
from hyperband.plots.values import Over, best, curves, predicted

MAX_POINTS: Final = 8000  # of all lines of a figure
DIGITS: Final = 6

KINDS: Final[Mapping[str, Callable[[Records], Figure]]] = {
    "curves": curves,
    "best": best,
    "rungs": rungs,
    "importance": importance,
    "slices": slices,
    "pairs": pairs,
    "predicted": predicted,
    "timeline": timeline,
}
# Why there is nothing to draw, where no note of the figure says it.
WHY: Final[Mapping[str, str]] = {
    "curves": "no trial has reported a value yet",
    "best": "no trial has a value at a rung yet",
    "rungs": "no trial has started yet",
    "slices": "no trial has a value at a rung yet",
    "pairs": "it takes two parameters, and a trial with a value at a rung",
    "timeline": "no pod has started yet",
}


def figure(snapshot: Snapshot, kind: str, over: Over = Over.TIME) -> dict[str, Any]:
    """A figure of that kind; its data as a table is left out, as its items have names."""
    records = snapshot.records
    drawn = best(records, over) if kind == "best" else KINDS[kind](records)
    empty = WHY.get(kind, "nothing to draw yet") if drawn.empty else None
    return {"version": snapshot.version, "empty": empty, **as_data(drawn)}


def as_data(drawn: Figure) -> dict[str, Any]:
    """The figure, lines thinned where they have more points than a screen shows."""
    lines = [i for p in drawn.panels for s in p.series for i in s.items]
    most = MAX_POINTS if sum(len(item.xs) for item in lines) > MAX_POINTS else None
    share = None if most is None else max(most // len(lines), 2)
    return {
        "title": drawn.title,
        "notes": list(drawn.notes),
        "shades": drawn.shades,
        "panels": [_panel(panel, share) for panel in drawn.panels],
    }


def _panel(panel: Panel, share: int | None) -> dict[str, Any]:
    return {
        "x": _axis(panel.x),
        "y": _axis(panel.y),
        "series": [_series(each, share) for each in panel.series],
        "texts": [[short(x), short(y), text] for x, y, text in panel.texts],
    }


def _axis(axis: Axis) -> dict[str, Any]:
    return {
        "label": axis.label,
        "log": axis.log,
        "ticks": [[short(at), text] for at, text in axis.ticks],
    }


def _series(series: Series, share: int | None) -> dict[str, Any]:
    return {
        "name": series.name,
        "mark": series.mark.value,
        "faint": series.faint,
        "items": [_item(item, share) for item in series.items],
    }


def _item(item: Item, share: int | None) -> dict[str, Any]:
    points = list(zip(item.xs, item.ys, strict=True))
    if share is not None:
        points = thin(points, share)
    made: dict[str, Any] = {
        "name": item.name,
        "xs": [short(x) for x, _ in points],
        "ys": [short(y) for _, y in points],
    }
    if item.shade is not None:
        made["shade"] = short(item.shade)
    return made


def short(value: float) -> float:
    """With as many digits as a picture shows."""
    return float(f"{value:.{DIGITS}g}")
