"""Rung levels, and ranking among the values of one rung.

Notation: the ladder has K levels L[0] < … < L[K-1] = r_max. A rung is a level inside one bracket;
only trials of the same bracket are ranked against each other.
"""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from hyperband.core.errors import InvalidStudyError
from hyperband.core.exact import exact
from hyperband.core.records import Objective, Resource, Trial, TrialState


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

    def __init__(self, resource: Resource, eta: float) -> None:
        self.levels = geometric_levels(resource, eta)
        below, above = self.levels[:-1], self.levels[1:]
        self._quotients = [exact(a) / exact(b) for a, b in zip(below, above, strict=True)]

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

    @property
    def good_enough(self) -> bool:
        return self.rank <= self.limit


class Rung:
    """The values recorded at one level of one bracket, in order of rank.

    Keys are (loss, trial index): ties are broken by index. Adding is a binary search and a move
    of pointers, which stays below microseconds for a hundred thousand values.
    """

    def __init__(self) -> None:
        self._keys: list[tuple[float, int]] = []
        self._paused: list[tuple[float, int]] = []

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, loss: float, index: int) -> None:
        insort(self._keys, (loss, index))

    def pause(self, loss: float, index: int) -> None:
        insort(self._paused, (loss, index))

    def resume(self, loss: float, index: int) -> None:
        del self._paused[bisect_left(self._paused, (loss, index))]

    @property
    def best(self) -> tuple[float, int] | None:
        """(loss, trial index) of the best value."""
        return self._keys[0] if self._keys else None

    @property
    def best_paused(self) -> tuple[float, int] | None:
        """(loss, trial index) of the best trial that waits here."""
        return self._paused[0] if self._paused else None

    @property
    def paused(self) -> int:
        return len(self._paused)

    def standing(self, key: tuple[float, int], ladder: Ladder, level: int) -> Standing:
        """How `key` stands here, whether it has been added or is about to be."""
        position = bisect_left(self._keys, key)
        added = position < len(self._keys) and self._keys[position] == key
        values = len(self._keys) + (not added)
        return Standing(position + 1, values, ladder.limit(level, values))


class RungTable:
    """All rungs of a study, kept in step with its trial records."""

    def __init__(self, objective: Objective, ladder: Ladder) -> None:
        self.objective = objective
        self.ladder = ladder
        self._rungs: defaultdict[tuple[int, int], Rung] = defaultdict(Rung)

    def rung(self, bracket: int, level: int) -> Rung:
        return self._rungs[bracket, level]

    def levels(self, bracket: int) -> Iterator[int]:
        """The levels of a bracket, lowest first."""
        yield from range(self.ladder.first(bracket), len(self.ladder))

    def record(self, old: Trial | None, new: Trial) -> None:
        """Takes a new or changed trial record into account."""
        known = len(old.rungs) if old else 0
        for value in new.rungs[known:]:
            self.rung(new.bracket, value.level).add(self.objective.loss(value.value), new.index)
        if old and old.state is TrialState.PAUSED:
            self._waiting_rung(old).resume(*self._key(old))
        if new.state is TrialState.PAUSED:
            self._waiting_rung(new).pause(*self._key(new))

    def standing(self, trial: Trial, level: int, value: float) -> Standing:
        """How a trial's value stands, or would stand, at a level."""
        key = (self.objective.loss(value), trial.index)
        return self.rung(trial.bracket, level).standing(key, self.ladder, level)

    def _key(self, trial: Trial) -> tuple[float, int]:
        return self.objective.loss(trial.rungs[-1].value), trial.index

    def _waiting_rung(self, trial: Trial) -> Rung:
        return self.rung(trial.bracket, trial.rungs[-1].level)
