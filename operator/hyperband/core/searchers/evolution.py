"""Regularized evolution (Real et al. 2019, arXiv 1802.01548), asynchronous, with early stopping.

The population is the P configurations that were evaluated last: whoever is older has died, however
good. The best of a tournament, S members drawn at random, is mutated. The first few configurations
come from the prior, and the population grows to its size. A member is evaluated anew with each
value at a higher level.

With early stopping, members have come to different levels: the one that has come further is better,
and at the same level the one with the smaller loss. As brackets begin at different levels, that is
a member's place among those of its own bracket; and members are compared by this place.
"""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hyperband.core import seeds
from hyperband.core.records import Study, Suggestion, Trial, TrialState
from hyperband.core.rungs import Ladder
from hyperband.core.searchers.base import Searcher
from hyperband.core.searchers.history import History
from hyperband.core.searchers.mutation import changeable, mutate, mutations
from hyperband.core.searchers.tried import Tried, draw_new
from hyperband.core.space import Value

POPULATION = 40  # at most, unless the study says so
START = 10  # configurations from the prior, or P where that is less
MORE_MUTATIONS = 20  # of a child that is not new

EARLIER = -1  # stands for the bracket of members from earlier studies


@dataclass(frozen=True, slots=True, order=True)
class _Member:
    """A configuration that has a value. The order is that of age, the oldest first."""

    sequence: int  # of its last value
    trial: int
    bracket: int
    level: int
    loss: float
    parameters: Mapping[str, Value]


class Evolution(Searcher):
    """A failed trial is no member: where all fail, it goes on as random search."""

    quick = True

    def __init__(self, study: Study, ladder: Ladder) -> None:
        super().__init__(study, ladder)
        self._size = population_size(study)
        self._tournament = tournament_size(study, self._size)
        self._tried = Tried(study)
        self._members: list[_Member] = []  # all that live or have died, by age
        self._known: dict[int, _Member] = {}  # by trial
        for o in History(study, ladder).observations:
            self._replace(_Member(o.sequence, o.trial, EARLIER, o.level, o.loss, o.parameters))
        self._earlier = len(self._known)

    def record(self, old: Trial | None, new: Trial) -> None:
        if old is None:
            self._tried.add(new.parameters)
        if new.state is TrialState.FAILED:
            self._remove(new.index)
        elif new.rungs and (old is None or len(new.rungs) > len(old.rungs)):
            last = new.rungs[-1]
            loss = self.study.objective.loss(last.value)
            self._replace(
                _Member(last.sequence, new.index, new.bracket, last.level, loss, new.parameters)
            )

    def propose(self, index: int) -> Suggestion:
        population = self._members[-self._size :]
        if not population or index + self._earlier < min(START, self._size):
            return Suggestion(draw_new(self, self._tried, index), "Random")
        random = seeds.generator(self.study.seed, index, "evolution")
        size = min(self._tournament, len(population))
        drawn = random.choice(len(population), size, replace=False)
        places = _places(population)
        parent = population[min(drawn.tolist(), key=lambda k: (places[k], population[k].trial))]
        child, first = parent.parameters, None
        enough = mutations(len(changeable(self.study.space, child)), random)
        for count in range(1, enough + MORE_MUTATIONS):
            mutation = mutate(self.study.space, child, random)
            if mutation is None:
                break
            child, first = mutation.parameters, first or mutation
            if count >= enough and child not in self._tried:
                detail = {
                    "parent": parent.trial,
                    "parentValue": self.study.objective.loss(parent.loss),  # its own inverse
                    "parentLevel": parent.level,
                    "population": len(population),
                    "tournament": size,
                    "parameter": first.parameter,
                    "mutations": count,
                }
                return Suggestion(child, "Evolution", {k: float(v) for k, v in detail.items()})
        return Suggestion(draw_new(self, self._tried, index), "Random")

    def _replace(self, member: _Member) -> None:
        self._remove(member.trial)
        self._known[member.trial] = member
        insort(self._members, member)

    def _remove(self, trial: int) -> None:
        member = self._known.pop(trial, None)
        if member:
            del self._members[bisect_left(self._members, member)]


def _places(population: Sequence[_Member]) -> list[float]:
    """The place of each member among those of its bracket, in (0, 1), the best first."""
    brackets: defaultdict[int, list[int]] = defaultdict(list)
    for k, member in enumerate(population):
        brackets[member.bracket].append(k)
    places = [0.0] * len(population)
    for own in brackets.values():
        own.sort(key=lambda k: (-population[k].level, population[k].loss, population[k].trial))
        for rank, k in enumerate(own):
            places[k] = (rank + 0.5) / len(own)
    return places


def population_size(study: Study) -> int:
    """P: as the study says, or a quarter of its trials, at most `POPULATION`."""
    if study.options.population is not None:
        return study.options.population
    return min(POPULATION, max(2, study.max_trials // 4))


def tournament_size(study: Study, population: int) -> int:
    """S: as the study says, or a quarter of P, at least 2."""
    if study.options.tournament is not None:
        return min(study.options.tournament, population)
    return max(2, population // 4)
