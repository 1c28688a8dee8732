"""What a searcher does: given the trials so far, it suggests the next configuration."""

from abc import ABC, abstractmethod

from hyperband.core.records import Study, Suggestion, Trial


class Searcher(ABC):
    """Suggests configurations for one study.

    A searcher that was told all trial records, in any order, suggests what one that has lived
    through them would: what it keeps beside them is an optimization. Where the order of values
    matters, their sequence numbers give it.
    """

    def __init__(self, study: Study) -> None:
        self.study = study

    def record(self, trial: Trial) -> None:  # noqa: B027  # a searcher may well learn nothing
        """Takes note of a new or changed trial record."""

    @abstractmethod
    def suggest(self, index: int) -> Suggestion:
        """The configuration of the trial with this index."""
