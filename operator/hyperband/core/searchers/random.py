"""Random search: every configuration is drawn from the prior, whatever the trials have shown."""

from hyperband.core.records import Suggestion
from hyperband.core.searchers.base import Searcher


class Random(Searcher):
    """Independent draws from the space, or a quasi-random sequence of them.

    A suggestion is a function of the study's seed and the index alone. Independent draws from a
    small discrete space repeat themselves: under noise a repetition is information, too.
    """

    quick = True
    learns = False

    def propose(self, index: int) -> Suggestion:
        return Suggestion(self.draw(index), origin="Random")
