"""Scores put side by side, like with like: the same tasks and seeds for all that is compared."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.search_quality.scores import TIMES, Array, Score

Cell = tuple[str, int]  # task, seed


@dataclass(frozen=True, slots=True, order=True)
class Column:
    """A method with a number of workers."""

    method: str
    workers: int

    def __str__(self) -> str:
        return f"{self.method} ({self.workers})"


Scores = Mapping[Column, Mapping[Cell, Score]]


@dataclass(frozen=True)
class Comparison:
    """Columns that all have the same cells."""

    scores: Scores
    cells: frozenset[Cell]

    @property
    def columns(self) -> list[Column]:
        return list(self.scores)

    @property
    def tasks(self) -> list[str]:
        return sorted({task for task, _ in self.cells})

    def of(self, column: Column, task: str | None = None) -> list[Score]:
        """The scores of a column, of one task or all."""
        own = self.scores[column]
        return [own[cell] for cell in sorted(self.cells) if task in (None, cell[0])]

    def curve(self, column: Column, task: str | None = None) -> tuple[Array, Array]:
        """Mean regret at TIMES, and its standard error from the seeds alone.

        Seeds are averaged within a task, then tasks: the tasks are given, not drawn.
        """
        means, squares = [], []
        for name in [task] if task else self.tasks:
            curves = np.array([each.curve for each in self.of(column, name)])
            means.append(curves.mean(axis=0))
            spread = curves.var(axis=0, ddof=1) if len(curves) > 1 else np.zeros(len(TIMES))
            squares.append(spread / len(curves))
        return np.mean(means, axis=0), np.sqrt(np.sum(squares, axis=0)) / len(means)

    def final(self, column: Column, task: str | None = None) -> float:
        return float(self.curve(column, task)[0][-1])

    def area(self, column: Column, task: str | None = None) -> float:
        """Mean area under the regret curve: over the seeds of a task, then over tasks."""
        names = [task] if task else self.tasks
        return float(np.mean([np.mean([s.area for s in self.of(column, n)]) for n in names]))

    def ranks(self) -> dict[Column, float]:
        """Mean rank over tasks by mean final regret, from 1; ties share their mean rank."""
        finals = np.array([[self.final(c, task) for task in self.tasks] for c in self.columns])
        better = (finals[None] < finals[:, None]).sum(axis=1)
        equal = (finals[None] == finals[:, None]).sum(axis=1)
        return dict(zip(self.columns, (better + (equal + 1) / 2).mean(axis=1), strict=True))

    def reference(self, workers: int) -> Column | None:
        """ASHA with so many workers, ours or the peer's: the one with the lowest final regret."""
        asha = [c for c in self.columns if _is_asha(c) and c.workers == workers]
        return min(asha, key=self.final, default=None)

    def time_to(self, column: Column, target: float) -> float | None:
        """The fraction of the budget after which the mean regret is at most so much, or None."""
        reached = np.flatnonzero(self.curve(column)[0] <= target)
        return float(TIMES[reached[0]]) if len(reached) else None


def _is_asha(column: Column) -> bool:
    return column.method.removeprefix("peer-") in ("asha-stopping", "asha-promotion")


def comparisons(scores: Scores, wanted: Iterable[Cell]) -> list[Comparison]:
    """First what has all cells, then for each smaller set of cells what has all of those.

    A column without any run is left out.
    """
    everything = frozenset(wanted)
    own = {column: frozenset(cells) & everything for column, cells in scores.items()}
    sets = {cells for cells in own.values() if cells}
    ordered = sorted(sets, key=lambda cells: (-len(cells), sorted(cells)))
    return [
        Comparison({c: scores[c] for c in scores if cells <= own[c]}, cells) for cells in ordered
    ]
