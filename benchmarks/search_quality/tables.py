"""Comparisons as Markdown tables."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from benchmarks.search_quality.comparison import Column, Comparison
from benchmarks.search_quality.scores import CHECKPOINTS, TIMES, Score

WORST = 3  # tasks a method


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are numbers."""
    lines = [head, ["---", *("--:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def summary(given: Comparison) -> str:
    """One row a column, best final regret first: quality."""
    head = ["method (workers)", *(f"regret at {p:.0%}" for p in CHECKPOINTS), "± s.e.", "area"]
    head += ["rank", "time to ASHA's final"]
    ranks, rows = given.ranks(), []
    for column in sorted(given.columns, key=given.final):
        curve, error = given.curve(column)
        at = [curve[np.searchsorted(TIMES, point)] for point in CHECKPOINTS]
        cut = sum(score.cut for score in given.of(column))
        rows.append(
            [
                f"{column}{f' †{cut}' if cut else ''}",
                *(f"{regret:.4f}" for regret in at),
                f"{error[-1]:.4f}",
                f"{given.area(column):.4f}",
                f"{ranks[column]:.1f}",
                _time_to_asha(given, column),
            ]
        )
    return markdown(head, rows)


def _time_to_asha(given: Comparison, column: Column) -> str:
    reference = given.reference(column.workers)
    if reference is None:
        return ""
    time = given.time_to(column, given.final(reference))
    return "never" if time is None else f"{time:.2f}"


def costs(given: Comparison) -> str:
    """One row a column: what was trained, and what decisions cost in real time."""
    head = ["method (workers)", "trials", "units", "on given-up trials", "utilization"]
    head += ["suggestion p50, ms", "p99, ms", "all decisions, s a run"]
    measures: list[Callable[[Score], float]] = [
        lambda s: s.trials,
        lambda s: s.units,
        lambda s: s.stopped,
        lambda s: s.utilization,
        lambda s: s.suggestions["p50"] * 1e3,
        lambda s: s.suggestions["p99"] * 1e3,
        lambda s: s.decisions["seconds"],
    ]
    styles = ("{:.0f}", "{:.0f}", "{:.0%}", "{:.1%}", "{:.2f}", "{:.2f}", "{:.2f}")
    rows = []
    for column in given.columns:
        scores = given.of(column)
        means = [float(np.mean([measure(s) for s in scores])) for measure in measures]
        rows.append([str(column), *(f.format(m) for f, m in zip(styles, means, strict=True))])
    return markdown(head, rows)


def per_task(given: Comparison) -> str:
    """Final regret of each column on each task; the best of a task in bold."""
    rows = []
    for task in given.tasks:
        finals = [given.final(column, task) for column in given.columns]
        cells = [f"{x:.3f}" if x > min(finals) else f"**{x:.3f}**" for x in finals]
        rows.append([task, *cells])
    return markdown(["task", *map(str, given.columns)], rows)


def worst(given: Comparison) -> str:
    """Where each column is furthest behind the best of its task."""
    best = {task: min(given.final(c, task) for c in given.columns) for task in given.tasks}
    rows = []
    for column in given.columns:
        behind = {task: given.final(column, task) - best[task] for task in given.tasks}
        order = sorted(behind, key=lambda task: -behind[task])[:WORST]
        rows.append([str(column), *(f"{task} +{behind[task]:.3f}" for task in order)])
    places = ("worst", "second", "third")[: min(WORST, len(given.tasks))]
    return markdown(["method (workers)", *places], rows)
