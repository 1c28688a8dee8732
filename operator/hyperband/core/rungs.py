"""Rung levels, and ranking among the values of one rung.

Notation: the ladder has K levels L[0] < … < L[K-1] = r_max. A rung is a level inside one group of
trials that are ranked against each other: those of one bracket, or of one instance of a bracket.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from hyperband.core.errors import InvalidStudyError
from hyperband.core.exact import exact
from hyperband.core.ordered import Ordered
from hyperband.core.records import Objective, Resource, Study, Trial, TrialState


def geometric_levels(resource: Resource, eta: float) -> tuple[float, ...]:
    """r_min·η^k below r_max, then r_max: integers rounded to nearest, duplicates dropped.

    Computed in fractions, so that 1000/10^3 and 3^5 come out exactly.

    Raises:
        InvalidStudyError: there would be no end of levels.
    """
    if eta <= 1 or resource.min <= 0:
        raise InvalidStudyError(
            "spec.hyperband.eta" if eta <= 1 else "spec.resource.min",
            f"levels r_min·eta^k do not grow with eta {eta:g} and min {resource.min:g}: "
            "give an eta of at least 2 and a min above 0",
        )
    r_max, level, factor = exact(resource.max), exact(resource.min), exact(eta)
    levels: list[Fraction] = []
    while level < r_max:
        rounded = Fraction(round(level)) if resource.integer else level
        if rounded < r_max and (not levels or rounded > levels[-1]):
            levels.append(rounded)
        level *= factor
    levels.append(r_max)
    return tuple(int(x) if resource.integer else float(x) for x in levels)


class Ladder:
    """The K levels of a study and the quotients between them."""

    def __init__(self, resource: Resource, eta: float, stops_early: bool = True) -> None:
        self.levels = geometric_levels(resource, eta) if stops_early else (resource.max,)
        below, above = self.levels[:-1], self.levels[1:]
        self._quotients = [exact(a) / exact(b) for a, b in zip(below, above, strict=True)]

    @classmethod
    def of(cls, study: Study) -> "Ladder":
        """The ladder of a study: r_max alone if it never stops a trial early.

        Raises:
            InvalidStudyError: there would be no end of levels.
        """
        return cls(study.resource, study.eta, study.stops_early)

    def __len__(self) -> int:
        return len(self.levels)

    def __getitem__(self, level: int) -> float:
        return self.levels[level]

    @property
    def top(self) -> int:
        """K - 1, the level of r_max."""
        return len(self.levels) - 1

    def first(self, bracket: int) -> int:
        """The level at which bracket s starts: K - 1 - s."""
        return self.top - bracket

    def limit(self, level: int, values: int) -> int:
        """The worst rank that is good enough among `values` (n) at `level`: ⌊1 + (n-1)·q⌋.

        q = L[k]/L[k+1] is 1/η except perhaps next to r_max. This is the linear-interpolation
        quantile of the paper's authors (arXiv 2003.10865); it lets the best of a short rung
        through, so that a finite study reaches r_max. At r_max there is nothing to be good
        enough for: every rank is.
        """
        if level == self.top:
            return values
        quotient = self._quotients[level]
        return 1 + (values - 1) * quotient.numerator // quotient.denominator


@dataclass(frozen=True, slots=True)
class Standing:
    """How a value stands in its rung."""

    rank: int  # from 1, the best
    values: int  # n, its own included
    limit: int  # the worst rank that is good enough
    awaited: int = 0  # values that the rung waits for before it passes any trial on

    @property
    def good_enough(self) -> bool:
        return self.rank <= self.limit


class Rung:
    """The values recorded at one level of one bracket, in order of rank.

    Keys are (loss, trial index): ties are broken by index.
    """

    def __init__(self) -> None:
        self._keys, self._paused = Ordered(), Ordered()

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, loss: float, index: int) -> None:
        self._keys.add((loss, index))

    def pause(self, loss: float, index: int) -> None:
        self._paused.add((loss, index))

    def resume(self, loss: float, index: int) -> None:
        self._paused.remove((loss, index))

    @property
    def best_paused(self) -> tuple[float, int] | None:
        """(loss, trial index) of the best trial that waits here."""
        return self._paused.first

    @property
    def paused(self) -> int:
        return len(self._paused)

    def standing(self, key: tuple[float, int], ladder: Ladder, level: int) -> Standing:
        """How `key` stands here, whether it has been added or is about to be."""
        position, added = self._keys.find(key)
        values = len(self._keys) + (not added)
        return Standing(position + 1, values, ladder.limit(level, values))


@dataclass(slots=True)
class Total:
    """What the rungs of one level hold in all groups of a bracket."""

    values: int = 0
    paused: int = 0
    best: float | None = None  # loss


class RungTable:
    """All rungs of a study, kept in step with its trial records.

    Args:
        group: numbers the groups within which trials are ranked, by their index and bracket.
    """

    def __init__(
        self, objective: Objective, ladder: Ladder, group: Callable[[int, int], int]
    ) -> None:
        self.objective = objective
        self.ladder = ladder
        self._group = group
        self._rungs: defaultdict[tuple[int, int], Rung] = defaultdict(Rung)
        self._totals: defaultdict[tuple[int, int], Total] = defaultdict(Total)

    def rung(self, group: int, level: int) -> Rung:
        return self._rungs[group, level]

    def _of(self, trial: Trial) -> int:
        return self._group(trial.index, trial.bracket)

    def total(self, bracket: int, level: int) -> Total:
        return self._totals[bracket, level]

    def levels(self, bracket: int) -> Iterator[int]:
        """The levels of a bracket, lowest first."""
        yield from range(self.ladder.first(bracket), len(self.ladder))

    def record(self, old: Trial | None, new: Trial) -> None:
        """Takes a new or changed trial record into account."""
        known = len(old.rungs) if old else 0
        for value in new.rungs[known:]:
            loss, total = self.objective.loss(value.value), self.total(new.bracket, value.level)
            self.rung(self._of(new), value.level).add(loss, new.index)
            total.values += 1
            total.best = loss if total.best is None else min(total.best, loss)
        if old and old.state is TrialState.PAUSED:
            self._waiting_rung(old).resume(*self._key(old))
            self.total(old.bracket, old.rungs[-1].level).paused -= 1
        if new.state is TrialState.PAUSED:
            self._waiting_rung(new).pause(*self._key(new))
            self.total(new.bracket, new.rungs[-1].level).paused += 1

    def standing(self, trial: Trial, level: int, value: float) -> Standing:
        """How a trial's value stands, or would stand, at a level."""
        key = (self.objective.loss(value), trial.index)
        return self.rung(self._of(trial), level).standing(key, self.ladder, level)

    def _key(self, trial: Trial) -> tuple[float, int]:
        return self.objective.loss(trial.rungs[-1].value), trial.index

    def _waiting_rung(self, trial: Trial) -> Rung:
        return self.rung(self._of(trial), trial.rungs[-1].level)
