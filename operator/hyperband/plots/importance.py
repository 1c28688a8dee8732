"""Which parameters matter: how strongly the value depends on each.

The measure is R² of the Hilbert-Schmidt independence criterion, 0 for independence to 1,
R²(x, y) = HSIC(x, y) / √(HSIC(x, x) HSIC(y, y)), HSIC(x, y) = tr(K H L H) / n²
(Da Veiga 2015, arXiv 1311.2483; for hyperparameters Novello et al. 2023, arXiv 2207.06216). It
needs no surrogate, takes categories, and sees any dependence. Two things keep it honest where n is
small: what chance alone gives, the 95 % quantile over random permutations of the values; and a
standard error, by random halves (the delete-d jackknife with d = n/2, Shao and Wu 1989).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hyperband.core.seeds import generator
from hyperband.plots.figure import Axis, Figure, Item, Mark, Panel, Series, plain, thin, thinned
from hyperband.plots.records import Dimension, Records, fitted, place

MAX_TRIALS = 300
LEAST_TRIALS = 10
PERMUTATIONS = 200
HALVES = 50
QUANTILE = 0.95
_MEASURE = "dependence (R² of HSIC)"
NEVER = 1e-12  # so little is a kernel of what was never varied

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Importance:
    """R² of a parameter, its standard error, and what chance alone would give."""

    parameter: str
    value: float
    error: float
    chance: float

    @property
    def says(self) -> str:
        """In words."""
        more = "more than" if self.value > self.chance else "no more than"
        return f"{self.value:.2f} ± {self.error:.2f}, {more} chance ({self.chance:.2f})"


def ranking(records: Records) -> list[str]:
    """The parameters by name, the most important first; none where there are too few values."""
    level, there = _most(records)
    if there < LEAST_TRIALS:
        return []
    names, kernels, values = _kernels(records, level)
    found = sorted((-_r2(kernel, values), i) for i, kernel in enumerate(kernels))
    return [names[i] for _, i in found]


def _most(records: Records) -> tuple[int, int]:
    """The level that most trials have a value at, and how many."""
    levels = Counter(value.level for run in records.runs for value in run.values)
    return max(levels.items(), key=lambda each: (each[1], -each[0]), default=(0, 0))


def importance(records: Records) -> Figure:
    """How strongly the value depends on each parameter, at the rung that most have reached."""
    level, there = _most(records)
    found, shown = _measured(records, level) if there >= LEAST_TRIALS else ([], 0)
    found.sort(key=lambda each: each.value)
    ticks = tuple((float(i), f"{e.parameter} {e.value:.2f}") for i, e in enumerate(found))
    bars, lines, chance = [], [], []
    for i, each in enumerate(found):
        said, row = f"{each.parameter}: {each.says}", float(i)
        bars.append(Item(said, (0.0, each.value), (row, row)))
        low, high = max(each.value - each.error, 0.0), each.value + each.error
        lines.append(Item(said, (low, high), (row, row)))
        chance.append(Item(said, (each.chance,), (row,)))
    series = (
        Series(_MEASURE, Mark.SPANS, tuple(bars)),
        Series("one standard error", Mark.LINES, tuple(lines)),
        Series("chance alone, 95 %", Mark.POINTS, tuple(chance)),
    )
    return Figure(
        f"{records.study}: what {records.metric} depends on",
        (Panel(Axis(f"{_MEASURE}: 0 none, 1 determined"), Axis("", ticks=ticks), series),),
        (*_notes(records, level, there), *thinned(shown, there, "trials"), *records.cautions()),
        ("parameter", _MEASURE, "standard error", "chance alone"),
        tuple((e.parameter, e.value, e.error, e.chance) for e in reversed(found)),
    )


def _notes(records: Records, level: int, there: int) -> tuple[str, ...]:
    if there < LEAST_TRIALS:
        return (f"{there} trials with a value at one rung are too few: it takes {LEAST_TRIALS}",)
    at = min(v.resource for r in records.runs for v in r.values if v.level == level)
    return (
        f"values at {records.resource} {at:g}, which {there} trials have reached",
        "what a searcher tried is no random sample: take it for a hint, not for a cause",
    )


def _measured(records: Records, level: int) -> tuple[list[Importance], int]:
    names, kernels, values = _kernels(records, level)
    count = len(values)
    random = generator(0, count, "importance")
    orders = [random.permutation(count) for _ in range(PERMUTATIONS)]
    halves = [random.permutation(count)[: count // 2] for _ in range(HALVES)]
    found = _judged(names, kernels, values, orders, halves) if names else []
    return found, count


def _kernels(records: Records, level: int) -> tuple[list[str], list[Matrix], Matrix]:
    """The parameters with the kernel of each, and that of the values at a level."""
    pairs = [(run, v.value) for run in records.runs for v in run.values if v.level == level]
    pairs = thin(pairs, MAX_TRIALS)
    values = _smooth(_ranks(np.array([value for _, value in pairs])))
    kernels = []
    for each in records.dimensions:
        dimension = fitted(each, records.runs)
        places = [place(dimension, r.parameters.get(each.name)) for r, _ in pairs]
        kernels.append(_kernel(dimension, places))
    return [plain(each.name) for each in records.dimensions], kernels, values


def _kernel(dimension: Dimension, places: Sequence[float | None]) -> Matrix:
    """Categories are equal or not, numbers near by rank; inactive is a value of its own."""
    given = np.array([np.nan if at is None else at for at in places])
    active = ~np.isnan(given)
    both = np.equal.outer(active, active)
    filled = np.where(active, given, -1.0)
    if dimension.values:
        return np.equal.outer(filled, filled).astype(float)
    kernel = np.ones((len(given), len(given)))
    if active.any():
        kernel[np.ix_(active, active)] = _smooth(_ranks(given[active]))
    return np.where(both, kernel, 0.0)


def _ranks(values: Matrix) -> Matrix:
    """In [0, 1], equal ones their mean: neither scale nor outliers count."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - counts / 2)[inverse] / len(values), dtype=float)


def _smooth(ranks: Matrix) -> Matrix:
    """A Gaussian kernel; its width is the deviation of ranks, 1/√12."""
    return np.asarray(np.exp(-6.0 * np.subtract.outer(ranks, ranks) ** 2), dtype=float)


def _judged(
    names: Sequence[str],
    kernels: Sequence[Matrix],
    values: Matrix,
    orders: Sequence[npt.NDArray[np.int64]],
    halves: Sequence[npt.NDArray[np.int64]],
) -> list[Importance]:
    """All parameters at once: each order of the values is made once for all of them."""
    y = _centred(values)
    xs = np.array([_centred(kernel).ravel() for kernel in kernels])
    scales = np.linalg.norm(xs, axis=1) * np.linalg.norm(y)
    by_chance = np.array([xs @ y[np.ix_(order, order)].ravel() for order in orders])
    made = []
    for i, (name, kernel) in enumerate(zip(names, kernels, strict=True)):
        if scales[i] <= NEVER:  # it was never varied
            made.append(Importance(name, 0.0, 0.0, 0.0))
            continue
        parts = [_r2(kernel[np.ix_(half, half)], values[np.ix_(half, half)]) for half in halves]
        value = float(xs[i] @ y.ravel()) / float(scales[i])
        chance = float(np.quantile(by_chance[:, i], QUANTILE)) / float(scales[i])
        made.append(Importance(name, value, float(np.std(parts)), chance))
    return made


def _r2(kernel: Matrix, values: Matrix) -> float:
    x, y = _centred(kernel), _centred(values)
    scale = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(np.vdot(x, y)) / scale if scale > NEVER else 0.0


def _centred(kernel: Matrix) -> Matrix:
    rows = kernel.mean(axis=0)
    return np.asarray(kernel - rows[:, None] - rows[None, :] + rows.mean(), dtype=float)
