"""What model-based searchers learn from: values at rungs, evaluations that are pending, failures.

Values are in the order of their recording (sequence number), those of earlier studies before all
others, so that a history rebuilt from trial records in any order is the same.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from hyperband.core.records import Study, Trial, TrialState
from hyperband.core.rungs import Ladder
from hyperband.core.space import Value


@dataclass(frozen=True, slots=True, order=True)
class Observation:
    """A value at a level of the ladder. The order is that of recording."""

    sequence: int  # negative: of an earlier study
    trial: int = field(compare=False)  # its index; negative, one for each: of an earlier study
    level: int = field(compare=False)
    loss: float = field(compare=False)  # smaller is better
    parameters: Mapping[str, Value] = field(compare=False)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A trial's next value, not there yet; or one that will never come, as the trial failed."""

    index: int
    level: int
    parameters: Mapping[str, Value]


class History:
    """All that is known of a study's configurations, kept in step with its trial records."""

    def __init__(self, study: Study, ladder: Ladder) -> None:
        self._objective, self._ladder = study.objective, ladder
        self.observations: list[Observation] = list(_earlier(study, ladder))
        self._counts = [0] * len(ladder)
        for observation in self.observations:
            self._counts[observation.level] += 1
        self._pending: dict[int, Evaluation] = {}
        self._failed: dict[int, Evaluation] = {}
        self._failed_order: list[int] = []  # its keys

    def record(self, old: Trial | None, new: Trial) -> int:
        """Takes a new or changed trial record into account.

        Returns:
            From which position on `observations` are others, or there are more.
        """
        first = len(self.observations)
        for value in new.rungs[len(old.rungs) if old else 0 :]:
            loss = self._objective.loss(value.value)
            made = Observation(value.sequence, new.index, value.level, loss, new.parameters)
            at = bisect_left(self.observations, made)
            self.observations.insert(at, made)
            self._counts[value.level] += 1
            first = min(first, at)
        self._pending.pop(new.index, None)
        if new.state.active:
            self._pending[new.index] = self._next(new)
        elif new.state is TrialState.FAILED:
            if new.index not in self._failed:
                insort(self._failed_order, new.index)
            self._failed[new.index] = self._next(new)
        return first

    @property
    def pending(self) -> list[Evaluation]:
        """The next evaluations of all active trials, by index."""
        return [self._pending[index] for index in sorted(self._pending)]

    @property
    def failed(self) -> list[Evaluation]:
        """The evaluations at which trials failed, by index."""
        return self.last_failed(len(self._failed))

    def last_failed(self, most: int) -> list[Evaluation]:
        """Those of the newest trials that failed, at most so many, by index."""
        first = max(0, len(self._failed_order) - most)
        return [self._failed[index] for index in self._failed_order[first:]]

    @property
    def failures(self) -> int:
        """How many trials have failed."""
        return len(self._failed)

    def highest_level(self, enough: int) -> int | None:
        """The highest level with at least so many values, if there is one."""
        levels = reversed(range(len(self._counts)))
        return next((k for k in levels if self._counts[k] >= enough), None)

    def _next(self, trial: Trial) -> Evaluation:
        first = self._ladder.first(trial.bracket)
        level = first if trial.level is None else min(trial.level + 1, self._ladder.top)
        return Evaluation(trial.index, level, trial.parameters)


def _earlier(study: Study, ladder: Ladder) -> Iterator[Observation]:
    """The values of earlier studies, at the levels of this one's ladder.

    A level's value is the first one at or above it and below the next.
    """
    found: list[tuple[int, int, float, Mapping[str, Value]]] = []
    for index, trial in enumerate(study.earlier, -len(study.earlier)):
        levels: dict[int, float] = {}
        for resource, value in trial.values:
            reached = [k for k in range(len(ladder)) if ladder[k] <= resource]
            if reached:
                levels.setdefault(reached[-1], study.objective.loss(value))
        found += [(index, level, loss, trial.parameters) for level, loss in levels.items()]
    for sequence, values in enumerate(found, -len(found)):
        yield Observation(sequence, *values)
