"""Regret over time as SVG: means with bands of one standard error."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.figures import figure, save
from benchmarks.search_quality.comparison import Column, Comparison
from benchmarks.search_quality.scores import TIMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Which methods share a picture; more lines than these nobody can tell apart.
PICTURES: Mapping[str, Sequence[str]] = {
    "early-stopping": (
        "random",
        "halving",
        "hyperband",
        "asha-stopping",
        "asha-stopping-all",
        "asha-promotion",
        "asha-promotion-all",
        "peer-random",
        "peer-hyperband",
        "peer-asha-stopping",
        "peer-asha-promotion",
    ),
    "model-based": (
        "random",
        "asha-promotion",
        "evolution",
        "bo",
        "bohb-synchronous",
        "bohb-stopping",
        "bohb-promotion",
        "a-bohb-stopping",
        "a-bohb-promotion",
    ),
    "a-bohb": (
        "asha-promotion",
        "a-bohb-stopping",
        "a-bohb-stopping-all",
        "a-bohb-promotion",
        "a-bohb-promotion-all",
        "peer-bohb",
        "peer-bo",
        "peer-mobster-stopping-fast",
        "peer-mobster-stopping",
        "peer-mobster-promotion",
    ),
}
WORKERS = {1: "dotted", 2: "dotted", 8: "dashdot"}  # lines by their number; else by whose it is
THIN = 4  # one of so many points is drawn
ROW = 4  # small pictures


def draw(given: Comparison, folder: Path, name: str) -> list[Path]:
    """One picture of all tasks' mean, and one of each task, for each group that has lines.

    Raises:
        MissingDataError: matplotlib is not installed.
    """
    paths = []
    for group, names in PICTURES.items():
        columns = [c for method in names for c in given.columns if c.method == method]
        if len(columns) > 1:
            paths.append(_mean(given, columns, folder / f"{name}-{group}.svg"))
            if len(given.tasks) > 1:
                paths.append(_each(given, columns, folder / f"{name}-{group}-tasks.svg"))
    return paths


def _mean(given: Comparison, columns: Sequence[Column], path: Path) -> Path:
    drawn = figure(8, 5)
    axes = drawn.subplots()
    _lines(axes, given, columns, None)
    axes.set_xlabel("time, fraction of the budget")
    axes.set_ylabel("normalized regret, mean ± s.e.")
    axes.legend(fontsize="small", ncols=2)
    return save(drawn, path)


def _each(given: Comparison, columns: Sequence[Column], path: Path) -> Path:
    rows = -(-len(given.tasks) // ROW)
    drawn = figure(3.2 * ROW, 2.4 * rows + 0.8)
    grid: Any = drawn.subplots(rows, ROW, squeeze=False, sharex=True)
    for axes in grid.flat[len(given.tasks) :]:
        axes.set_axis_off()
    for axes, task in zip(grid.flat, given.tasks, strict=False):
        _lines(axes, given, columns, task)
        axes.set_title(task, fontsize="small")
    handles, labels = grid.flat[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=4, fontsize="small")
    return save(drawn, path)


def _lines(axes: "Axes", given: Comparison, columns: Sequence[Column], task: str | None) -> None:
    """A method of the peer has the color of ours of that name, and is dashed."""
    names = list(dict.fromkeys(_base(column) for column in columns))
    for column in columns:
        mean, error = (row[::THIN] for row in given.curve(column, task))
        color = f"C{names.index(_base(column)) % 10}"
        style = WORKERS.get(column.workers, "dashed" if column.method != _base(column) else "solid")
        axes.plot(TIMES[::THIN], mean, ls=style, color=color, label=str(column), lw=1.2)
        low = np.maximum(mean - error, 1e-4)
        axes.fill_between(TIMES[::THIN], low, mean + error, color=color, alpha=0.12, linewidth=0)
    axes.set_yscale("log")
    for axis in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        axis("{x:g}")
    axes.tick_params(labelsize="small", which="both")
    axes.grid(alpha=0.3)


def _base(column: Column) -> str:
    return column.method.removeprefix("peer-")
