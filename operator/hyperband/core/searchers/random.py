"""Random search: every configuration is drawn from the prior, whatever the trials have shown."""

from hyperband.core import seeds
from hyperband.core.records import Suggestion
from hyperband.core.searchers.base import Searcher


class Random(Searcher):
    """Independent draws from the space.

    A suggestion is a function of the study's seed and the index alone. Draws are independent, so a
    small discrete space repeats itself: under noise a repetition is information, too.
    """

    def suggest(self, index: int) -> Suggestion:
        space = self.study.space
        generator = seeds.generator(self.study.seed, index, "parameters")
        return Suggestion(space.sample(generator.random(len(space.parameters))), origin="Random")
