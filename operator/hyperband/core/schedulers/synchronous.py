"""Synchronous Hyperband: each rung fills, then passes on its best, bracket after bracket.

Li et al. 2018 (arXiv 1603.06560) as in design.md, section 6. A trial's index alone tells which
instance of which bracket it belongs to; trials are ranked inside their instance. A free slot goes
to the first instance that has work for it: a promotion, else its next configuration. Only if there
is none does the next instance open, so that slots stay busy while a rung waits for its last value.

An instance that maxTrials cuts short is a smaller one: n is how many trials it may have. If
maxTrials is raised later, its rungs open again for the trials that are added; those that went on
before keep the places that they have taken.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import heappop, heappush

from hyperband.core.brackets import Instances, rung_sizes
from hyperband.core.records import Study, Trial
from hyperband.core.rungs import Ladder, Standing
from hyperband.core.schedulers.base import PausingScheduler, Promotion


@dataclass(frozen=True, slots=True)
class _Rung:
    """How a rung below r_max of one instance stands."""

    level: int
    places: int  # how many of its trials it passes on
    awaited: int  # trials that are to have a value here, or may yet come here; 0: it is complete
    due: int  # trials that may still go on from here


class SynchronousHyperband(PausingScheduler):
    """Decides when the last value of a rung is there, or will never be.

    What it remembers is counted by (instance, level). `_changed` holds, as a heap, the instances
    that something has happened in since they were last found to have nothing to pass on: none but
    these can have a promotion, so that none of the others is looked at.
    """

    def __init__(self, study: Study, ladder: Ladder) -> None:
        super().__init__(study, ladder)
        self._instances = Instances(study, len(ladder))
        self._active: Counter[tuple[int, int]] = Counter()  # trials on their way to a level
        self._passed: Counter[tuple[int, int]] = Counter()  # trials that a level has passed on
        self._changed: list[int] = []

    def group(self, index: int, bracket: int) -> int:
        return self._instances.number(index)

    def bracket(self, index: int) -> int:
        return self._instances.bracket(self._instances.number(index))

    def company(self, index: int, bracket: int) -> str:
        trials = self._trials(self._instances.number(index))
        last = max(index, trials.stop - 1)
        return f" in bracket {bracket} with trials {trials.start} to {last}"

    def record(self, old: Trial | None, new: Trial) -> None:
        super().record(old, new)
        number = self._instances.number(new.index)
        if old and old.state.active:
            self._active[number, old.target] -= 1
        if new.state.active:
            self._active[number, new.target] += 1
        for level in range(old.target if old else self.ladder.first(new.bracket), new.target):
            self._passed[number, level] += 1
        heappush(self._changed, number)

    def pass_over(self, begin: int) -> None:
        if begin > self.next_index:
            heappush(self._changed, self._instances.number(self.next_index))
        super().pass_over(begin)

    def standing(self, trial: Trial, level: int, value: float) -> Standing:
        standing = super().standing(trial, level, value)
        for rung in self._rungs(self._instances.number(trial.index)):
            if rung.level == level:  # the trial itself is awaited there until it has its value
                awaited = max(0, rung.awaited - 1)
                return replace(standing, limit=rung.places, awaited=awaited)
        return standing

    def promotion(self) -> Promotion | None:
        """The best trial of the first instance, of its lowest rung that has one to pass on."""
        while self._changed:
            number = self._changed[0]
            for rung in self._rungs(number):
                if rung.due and not rung.awaited:
                    return self._promote(number, rung)
            while self._changed and self._changed[0] == number:
                heappop(self._changed)
        return None

    def _promote(self, number: int, rung: _Rung) -> Promotion:
        values = self.rungs.rung(number, rung.level)
        best = values.best_paused
        assert best is not None  # a rung without awaited trials has no others due
        standing = replace(values.standing(best, self.ladder, rung.level), limit=rung.places)
        return Promotion(best[1], rung.level, rung.level + 1, standing)

    def _rungs(self, number: int) -> Iterator[_Rung]:
        """The rungs of an instance below r_max, lowest first."""
        trials, bracket = self._trials(number), self._instances.bracket(number)
        sizes = rung_sizes(len(trials), bracket + 1, self.study.eta)
        coming = len(range(max(trials.start, self.next_index), trials.stop))
        for level, places in enumerate(sizes[1:], self.ladder.first(bracket)):
            awaited = coming + self._active[number, level]
            waiting = self.rungs.rung(number, level).paused + awaited
            coming = max(0, min(places - self._passed[number, level], waiting))
            yield _Rung(level, places, awaited, coming)

    def _trials(self, number: int) -> range:
        """The indices of an instance's trials, as far as they exist or may start."""
        trials = self._instances.trials(number)
        end = max(self.study.max_trials, self.next_index)
        return range(trials.start, max(trials.start, min(trials.stop, end)))
