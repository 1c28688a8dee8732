"""How values stood in their rung when they were recorded, from the records of all trials.

Sequence numbers tell in which order a study's values came, so that the standing that a decision
was made from can be told long afterwards, as `Rung.standing` gave it then.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

import numpy as np
import numpy.typing as npt

from hyperband.core.rungs import Standing

Limit = Callable[[int], int]  # the worst rank that is good enough among n values


@dataclass(frozen=True, slots=True, order=True)
class Recorded:
    """A value at one rung, of a group of trials that are ranked against each other."""

    sequence: int
    loss: float
    index: int  # of its trial; breaks ties


_ORDER: Final = attrgetter("sequence", "loss", "index")


def standing_at(values: Sequence[Recorded], own: Recorded, moment: int, limit: Limit) -> Standing:
    """How a value stood once that of sequence `moment` was recorded.

    Args:
        values: all of the rung, in any order, `own` among them.
    """
    there = [each for each in values if each.sequence <= moment]
    better = sum((each.loss, each.index) < (own.loss, own.index) for each in there)
    return Standing(better + 1, len(there), limit(len(there)))


def first_good(
    values: Sequence[Recorded], own: Recorded, before: int, limit: Limit, least: int = 1
) -> tuple[int, Standing] | None:
    """The first moment from its recording on at which a value was good enough, and how it stood.

    Args:
        before: the sequence number at which moments end.
        least: how many values there must be.
    """
    rank = 1
    for count, each in enumerate(sorted(values), 1):
        if each.sequence >= before:
            break
        rank += (each.loss, each.index) < (own.loss, own.index)
        if each.sequence >= own.sequence and count >= least and rank <= limit(count):
            return each.sequence, Standing(rank, count, limit(count))
    return None


class History:
    """All values of a rung, for those who ask how many of them stood: the same answers, sooner."""

    def __init__(self, values: Sequence[Recorded]) -> None:
        there = sorted(values, key=_ORDER)  # as without it, in a fifth of the time
        self._sequences = np.array([each.sequence for each in there])
        self._losses = np.array([each.loss for each in there])
        self._indices = np.array([each.index for each in there])

    def _better(self, own: Recorded) -> npt.NDArray[np.bool_]:
        ties = (self._losses == own.loss) & (self._indices < own.index)
        better: npt.NDArray[np.bool_] = (self._losses < own.loss) | ties
        return better

    def standing_at(self, own: Recorded, moment: int, limit: Limit) -> Standing:
        """As the function of that name."""
        count = int(np.searchsorted(self._sequences, moment, "right"))
        return Standing(int(self._better(own)[:count].sum()) + 1, count, limit(count))

    def first_good(
        self, own: Recorded, limits: npt.NDArray[np.int64], least: int = 1
    ) -> tuple[int, Standing] | None:
        """As the function of that name, with no end of moments.

        Args:
            limits: of 1, 2, … values; at least as many as there are.
        """
        ranks = 1 + np.cumsum(self._better(own))
        counts = np.arange(1, len(ranks) + 1)
        good = (self._sequences >= own.sequence) & (counts >= least)
        found = np.flatnonzero(good & (ranks <= limits[: len(ranks)]))
        if not found.size:
            return None
        at = int(found[0])
        return int(self._sequences[at]), Standing(int(ranks[at]), at + 1, int(limits[at]))

    def __len__(self) -> int:
        return len(self._sequences)


def values_needed(rank: int, count: int, limit: Limit, most: int) -> int | None:
    """The smallest number of values from `count` on at which `rank` is good enough; None above."""
    return next((n for n in range(count, most + 1) if rank <= limit(n)), None)
