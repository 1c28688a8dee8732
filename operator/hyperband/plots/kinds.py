"""All that can be drawn of a study, by name."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

from hyperband.plots.figure import Figure
from hyperband.plots.flow import rungs, timeline
from hyperband.plots.importance import importance
from hyperband.plots.pairs import pairs
from hyperband.plots.parameters import parallel, slices
from hyperband.plots.records import Records
from hyperband.plots.values import Over, best, curves, predicted


class Kind(StrEnum):
    """What is drawn."""

    CURVES = "curves"
    BEST = "best"
    PARALLEL = "parallel"
    IMPORTANCE = "importance"
    SLICES = "slices"
    PAIRS = "pairs"
    RUNGS = "rungs"
    TIMELINE = "timeline"
    PREDICTED = "predicted"


DRAWN: Final[Mapping[Kind, Callable[[Records], Figure]]] = {
    Kind.CURVES: curves,
    Kind.PARALLEL: parallel,
    Kind.IMPORTANCE: importance,
    Kind.SLICES: slices,
    Kind.PAIRS: pairs,
    Kind.RUNGS: rungs,
    Kind.TIMELINE: timeline,
    Kind.PREDICTED: predicted,
}


def figure_of(records: Records, kind: Kind, over: Over | None = None) -> Figure:
    """A picture of a study.

    Args:
        over: what `best` is drawn over; the others have no choice.
    """
    return best(records, over or Over.TIME) if kind is Kind.BEST else DRAWN[kind](records)
