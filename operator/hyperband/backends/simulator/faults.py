"""Injected faults and delays: what befalls each attempt, as a function of the seed alone.

Because an attempt's fate depends on nothing but (seed, trial, attempt), a simulation that crashes
and goes on meets the same faults as one that does not.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from hyperband.core.seeds import generator


class Fate(StrEnum):
    """The one thing that goes wrong in an attempt, if any."""

    NONE = "None"
    FAIL = "Fail"  # exits with an error
    DISRUPT = "Disrupt"  # taken away; what was trained since the last checkpoint is repeated
    SILENT = "Silent"  # exits with 0, reporting nothing more
    DIVERGE = "Diverge"  # reports NaN from here on


@dataclass(frozen=True, slots=True)
class Faults:
    """How often things go wrong, and how long the cluster takes. All off by default.

    Times are means in simulated seconds; each draw lies between half and one and a half times
    the mean.
    """

    fail: float = 0.0  # probability per attempt, as are the next three
    disrupt: float = 0.0
    silent: float = 0.0
    diverge: float = 0.0
    late: float = 0.0  # probability per report: it arrives `late_seconds` after it was made
    merged: float = 0.0  # per report: it never arrives, the next one has to do
    repeated: float = 0.0  # per report: it arrives a second time, `late_seconds` later
    late_seconds: float = 0.0
    start_seconds: float = 0.0  # from the launch of an attempt to its first training step
    stop_seconds: float = 0.0  # from the end of an attempt to its slot being free
    checkpoint_every: int = 1  # training steps

    def strike(self, seed: int, trial: int, attempt: int) -> "Plan":
        """What befalls one attempt."""
        return Plan(self, generator(seed, trial, f"faults/{attempt}"))


class Plan:
    """What befalls one attempt. Reports are asked for in order, each once."""

    def __init__(self, faults: Faults, random: np.random.Generator) -> None:
        self._faults = faults
        self._random = random
        odds = (faults.fail, faults.disrupt, faults.silent, faults.diverge)
        self.fate = Fate.NONE
        chance = random.random()
        for fate, probability in zip(
            (Fate.FAIL, Fate.DISRUPT, Fate.SILENT, Fate.DIVERGE), odds, strict=True
        ):
            if 0 <= chance < probability:
                self.fate = fate
            chance -= probability
        self.at = float(random.random())  # when, as a fraction of the attempt's training steps
        self.start_seconds = self._around(faults.start_seconds)
        self.stop_seconds = self._around(faults.stop_seconds)

    def delays(self, last: bool) -> tuple[float, ...]:
        """When the next report arrives, in seconds from now: never, once or twice.

        The last report of an attempt is never merged into a later one.
        """
        faults = self._faults
        if not (faults.late or faults.merged or faults.repeated):
            return (0.0,)
        late, merged, repeated = self._random.random(3)
        if merged < faults.merged and not last:
            return ()
        first = self._around(faults.late_seconds) if late < faults.late else 0.0
        if repeated < faults.repeated:
            return (first, first + self._around(faults.late_seconds))
        return (first,)

    def _around(self, mean: float) -> float:
        return mean * (0.5 + float(self._random.random())) if mean else 0.0
