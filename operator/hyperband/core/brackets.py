"""Hyperband's brackets: how large each is, and which one a new trial is given.

Bracket s = K-1 … 0 has s + 1 levels and starts at level K-1-s; a study uses the B brackets that
start lowest.
"""

from math import floor

from hyperband.core.exact import exact
from hyperband.core.rungs import Ladder
from hyperband.core.seeds import uniform


def start_size(levels: int, bracket: int, eta: float) -> int:
    """n_s = ⌊⌊K/(s+1)⌋·η^s⌋, the configurations that bracket s of Hyperband starts with."""
    return floor(levels // (bracket + 1) * exact(eta) ** bracket)


def successive_halving(ladder: Ladder, bracket: int, eta: float) -> list[tuple[int, float]]:
    """(configurations, resource) at each rung of synchronous Hyperband's bracket s.

    Each rung passes on its best ⌊n/η⌋, at least one (Li et al. 2018, arXiv 1603.06560, with the
    start sizes of `start_size`).
    """
    count = start_size(len(ladder), bracket, eta)
    rows = []
    for level in range(ladder.first(bracket), len(ladder)):
        rows.append((count, ladder[level]))
        count = max(1, floor(count / exact(eta)))
    return rows


def in_use(levels: int, brackets: int) -> range:
    """The B brackets that start lowest, in the order of their start: K-1 … K-B."""
    return range(levels - 1, levels - 1 - brackets, -1)


def draw_bracket(levels: int, brackets: int, eta: float, seed: int, index: int) -> int:
    """The bracket of trial `index`: probabilities proportional to n_s, a hash of (seed, index)."""
    used = in_use(levels, brackets)
    sizes = [start_size(levels, s, eta) for s in used]
    remaining = uniform(seed, index, "bracket") * sum(sizes)
    for bracket, size in zip(used, sizes, strict=True):
        remaining -= size
        if remaining < 0:
            return bracket
    return used[-1]  # only if rounding left nothing over
