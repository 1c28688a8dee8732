"""How values stood in their rung when they were recorded, from the records of all trials.

Sequence numbers tell in which order a study's values came, so that the standing that a decision
was made from can be told long afterwards, as `Rung.standing` gave it then.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hyperband.core.rungs import Standing

Limit = Callable[[int], int]  # the worst rank that is good enough among n values


@dataclass(frozen=True, slots=True, order=True)
class Recorded:
    """A value at one rung, of a group of trials that are ranked against each other."""

    sequence: int
    loss: float
    index: int  # of its trial; breaks ties


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


def values_needed(rank: int, count: int, limit: Limit, most: int) -> int | None:
    """The smallest number of values from `count` on at which `rank` is good enough; None above."""
    return next((n for n in range(count, most + 1) if rank <= limit(n)), None)
