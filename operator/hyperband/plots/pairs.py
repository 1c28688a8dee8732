"""Values by pairs of parameters: where the good ones lie when two are looked at together."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from hyperband.plots.figure import (
    MAX_ITEMS,
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
from hyperband.plots.importance import ranking
from hyperband.plots.parameters import axis_of, shown
from hyperband.plots.records import Dimension, Records, Run, fitted, place

MAX_DIMENSIONS: Final = 4  # six pairs
KINDS: Final = ("lower half", "better half", "best tenth", "best")  # drawn in this order
SPREAD: Final = 0.5  # of the room that a category has
GOLDEN: Final = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True)
class _Ranked:
    """A trial that has a value; `shade` is 0 for the worst to 1 for the best."""

    run: Run
    value: float
    shade: float
    kind: str


def pairs(records: Records) -> Figure:
    """Each pair of parameters, of many the most important ones; points coloured by value."""
    dimensions, why = _chosen(records)
    ranked = _ranked(records)
    drawn = thin(ranked, MAX_ITEMS // max(math.comb(len(dimensions), 2), 1))
    if ranked and drawn[-1] is not ranked[-1]:
        drawn[-1] = ranked[-1]
    panels = [_panel(x, y, drawn) for x, y in combinations(dimensions, 2)]
    notes = ["values are at each trial's highest rung"]
    if any(each.values for each in dimensions):
        notes.append("within a category points are spread, so that they can be seen")
    if len(dimensions) < 2:
        notes.append("it takes two parameters to make a pair")
    return Figure(
        f"{records.study}: pairs of parameters",
        tuple(panels),
        (*notes, *why, *thinned(len(drawn), len(ranked), "trials"), *records.cautions()),
        ("trial", *(plain(each.name) for each in dimensions), records.metric),
        tuple(
            (each.run.name, *(shown(each.run, d.name) for d in dimensions), each.value)
            for each in drawn
        ),
        f"{records.objective}, by rank",
    )


def _chosen(records: Records) -> tuple[list[Dimension], tuple[str, ...]]:
    """What is paired, and by what it was chosen."""
    every = [fitted(each, records.runs) for each in records.dimensions]
    if len(every) <= MAX_DIMENSIONS:
        return every, ()
    order = ranking(records)
    some = f"{MAX_DIMENSIONS} of {len(every)} parameters"
    if not order:
        return every[:MAX_DIMENSIONS], (f"the first {some}: too few values to tell what matters",)
    best = sorted(every, key=lambda each: order.index(plain(each.name)))[:MAX_DIMENSIONS]
    return best, (f"the {some} on which the value depends most (plot importance)",)


def _ranked(records: Records) -> list[_Ranked]:
    """The worst first, so that the better ones are drawn over the others."""
    found = [(records.loss(run.last.value), run.index, run) for run in records.runs if run.last]
    found.sort(key=lambda each: each[:2], reverse=True)
    last = max(len(found) - 1, 1)
    return [
        _Ranked(run, records.loss(loss), i / last, _kind(len(found) - 1 - i, len(found)))
        for i, (loss, _, run) in enumerate(found)
    ]


def _kind(before: int, count: int) -> str:
    """By how many others are better."""
    if before == 0:
        return "best"
    if before < count / 10:
        return "best tenth"
    return "better half" if before < count / 2 else "lower half"


def _panel(x: Dimension, y: Dimension, ranked: Sequence[_Ranked]) -> Panel:
    items: dict[str, list[Item]] = {kind: [] for kind in KINDS}
    for each in ranked:
        given = each.run.parameters
        across, up = place(x, given.get(x.name)), place(y, given.get(y.name))
        if across is None or up is None:
            continue
        said = f"{each.run.name}: {number(each.value)} at {plain(x.name)} {number(given[x.name])}"
        said += f", {plain(y.name)} {number(given[y.name])}"
        # Two steps that no multiple brings together, so that no line of points comes about.
        across += _spread(x, each.run.index * GOLDEN)
        up += _spread(y, each.run.index * math.sqrt(2))
        items[each.kind].append(Item(said, (across,), (up,), each.shade))
    series = tuple(
        Series(kind, Mark.POINTS, tuple(found), kind == "lower half")
        for kind, found in items.items()
    )
    return Panel(axis_of(x), axis_of(y), series)


def _spread(dimension: Dimension, at: float) -> float:
    return SPREAD * (at % 1 - 0.5) if dimension.values else 0.0
