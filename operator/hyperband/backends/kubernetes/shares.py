"""How processes that work in the same namespaces share them: each decides for itself.

Nobody rules over it. Each process sees all Leases anyway, as it waits for those of others; who has
too few asks, and who has too many gives. A hand-over needs a difference of two, so each one makes
the sum of squares of what they have smaller, and it comes to rest where nobody has two more than
another. What is seen may be old: then a Lease changes hands that need not have, and no more.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from hyperband.backends.kubernetes.lease import Place, Terms

ENOUGH = 2  # so many more somebody has than who gets one of them
LONGEST_PAUSE = 1 / 3  # of a Lease's duration

Parties = Mapping[Place, str]  # who has each of them; "" for nobody


def wish(me: str, parties: Parties, wanters: Mapping[Place, str]) -> Place | None:
    """Which Lease to ask for, of whoever has the most; none if there is nothing to ask for.

    Args:
        wanters: who has asked for which; one process asks for one at a time.
    """
    counts = Counter(filter(None, parties.values()))
    if not counts or me in wanters.values():
        return None
    richest = min(counts, key=lambda each: (-counts[each], each))
    if counts[richest] < counts[me] + ENOUGH:
        return None
    theirs = (place for place, party in parties.items() if party == richest)
    return min((place for place in theirs if not wanters.get(place)), key=str, default=None)


def is_given(me: str, wanter: str, parties: Parties) -> bool:
    """Whether who has asked for one of ours gets it; nobody's word is taken for what he has."""
    counts = Counter(parties.values())
    return counts[me] >= counts[wanter] + ENOUGH


def pause(held: int, terms: Terms) -> float:
    """For how many seconds a free Lease is left to processes that have fewer."""
    return min(held * terms.retry / 2, terms.duration * LONGEST_PAUSE)


class Candidate(Protocol):
    """What is to be known of each Lease."""

    @property
    def place(self) -> Place: ...

    @property
    def party(self) -> str:
        """Who has it, or will in a moment; "" for nobody."""

    @property
    def wanter(self) -> str:
        """Who has asked for it."""


class Shares:
    """All candidates of a process, each of which asks here what the others know.

    Attributes:
        identity: the process's name in Leases.
    """

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self._candidates: list[Candidate] = []

    def join(self, candidate: Candidate) -> None:
        """To be called once by each."""
        self._candidates.append(candidate)

    def pause(self, terms: Terms) -> float:
        """For how many seconds a free Lease is left to others."""
        return pause(list(self._parties().values()).count(self.identity), terms)

    def asks_for(self, place: Place) -> bool:
        """Whether to ask the holder of this one for it."""
        wanters = {each.place: each.wanter for each in self._candidates}
        return wish(self.identity, self._parties(), wanters) == place

    def gives_to(self, wanter: str) -> bool:
        """Whether to give one of our own to who has asked for it."""
        return is_given(self.identity, wanter, self._parties())

    def _parties(self) -> dict[Place, str]:
        return {each.place: each.party for each in self._candidates}
