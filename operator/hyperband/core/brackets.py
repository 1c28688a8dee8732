"""Hyperband's brackets: how large each is, and which one a new trial is given.

Bracket s = K-1 … 0 has s + 1 levels and starts at level K-1-s; a study uses the B brackets that
start lowest.
"""

from bisect import bisect_right
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate
from math import ceil, floor

from hyperband.core.exact import exact
from hyperband.core.records import Sizes, Study
from hyperband.core.seeds import uniform


@lru_cache(maxsize=256)
def start_size(levels: int, bracket: int, eta: float, sizes: Sizes = Sizes.FLOOR) -> int:
    """n_s, the configurations that bracket s of Hyperband starts with.

    ⌊⌊K/(s+1)⌋·η^s⌋, or ⌈K/(s+1)·η^s⌉ as in the paper (Li et al. 2018, arXiv 1603.06560).
    """
    power = exact(eta) ** bracket
    if sizes is Sizes.PAPER:
        return ceil(Fraction(levels, bracket + 1) * power)
    return floor(levels // (bracket + 1) * power)


@lru_cache(maxsize=256)
def rung_sizes(start: int, rungs: int, eta: float) -> tuple[int, ...]:
    """n at each rung of successive halving: each passes on its best ⌊n/η⌋, at least one."""
    sizes = [start]
    while len(sizes) < rungs:
        sizes.append(max(1, floor(sizes[-1] / exact(eta))))
    return tuple(sizes)


def in_use(levels: int, brackets: int) -> range:
    """The B brackets that start lowest, in the order of their start: K-1 … K-B."""
    return range(levels - 1, levels - 1 - brackets, -1)


def draw_bracket(study: Study, levels: int, index: int) -> int:
    """The bracket of trial `index`: probabilities proportional to n_s, a hash of (seed, index)."""
    used = in_use(levels, study.brackets)
    sizes = [start_size(levels, s, study.eta, study.sizes) for s in used]
    remaining = uniform(study.seed, index, "bracket") * sum(sizes)
    for bracket, size in zip(used, sizes, strict=True):
        remaining -= size
        if remaining < 0:
            return bracket
    return used[-1]  # only if rounding left nothing over


class Instances:
    """Brackets one after the other, over and over: which trials make up which instance of one.

    Instances are numbered from 0 in the order of their opening; their brackets are K-1 … K-B, then
    K-1 again. Each is as many trials in a row as its bracket starts with.
    """

    def __init__(self, study: Study, levels: int) -> None:
        self._brackets = in_use(levels, study.brackets)
        self._sizes = [start_size(levels, s, study.eta, study.sizes) for s in self._brackets]
        self._starts = list(accumulate(self._sizes, initial=0))  # in a round; the last one: its end

    def number(self, index: int) -> int:
        """The instance that trial `index` belongs to."""
        rounds, place = divmod(index, self._starts[-1])
        return rounds * len(self._brackets) + bisect_right(self._starts, place) - 1

    def bracket(self, number: int) -> int:
        """s, the bracket of which it is an instance."""
        return self._brackets[number % len(self._brackets)]

    def trials(self, number: int) -> range:
        """The indices of its trials, if all of them may start."""
        rounds, place = divmod(number, len(self._brackets))
        first = rounds * self._starts[-1] + self._starts[place]
        return range(first, first + self._sizes[place])
