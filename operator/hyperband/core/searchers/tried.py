"""Which configurations have been tried, so that none is suggested a second time without need."""

from collections.abc import Iterable, Mapping

from hyperband.core import seeds
from hyperband.core.parameters import Value, identity
from hyperband.core.records import Study
from hyperband.core.searchers.base import Searcher

DRAWS = 100  # from the prior, before a configuration may come again


class Tried:
    """The configurations of a study's trials, and those of earlier studies that have values."""

    def __init__(self, study: Study) -> None:
        self._known = {_key(trial.parameters) for trial in study.earlier if trial.values}

    def add(self, parameters: Mapping[str, Value]) -> None:
        self._known.add(_key(parameters))

    def __contains__(self, parameters: Mapping[str, Value]) -> bool:
        return _key(parameters) in self._known

    def first_new(
        self, configurations: Iterable[Mapping[str, Value]]
    ) -> Mapping[str, Value] | None:
        """The first that has not been tried, or None."""
        return next((each for each in configurations if each not in self), None)


def _key(parameters: Mapping[str, Value]) -> frozenset[tuple[str, tuple[bool, Value]]]:
    return frozenset((name, identity(value)) for name, value in parameters.items())


def draw_new(searcher: Searcher, tried: Tried, index: int) -> Mapping[str, Value]:
    """What the prior gives this index; if that has been tried, another draw that has not been.

    A space in which hardly anything is left gives the first draw, after a bounded search.
    """
    first = searcher.draw(index)
    if first not in tried:
        return first
    space = searcher.study.space
    random = seeds.generator(searcher.study.seed, index, "parameters again")
    again = (space.sample(random.random(len(space.parameters))) for _ in range(DRAWS))
    return tried.first_new(again) or first
