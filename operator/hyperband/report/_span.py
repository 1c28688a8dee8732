"""What the modules for training libraries share: where an attempt begins, ends, saves and reports.

Their unit is the library's own: epochs, or rounds of boosting; the study's resource counts these.
"""

from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Any

from hyperband.report import _environment as environment
from hyperband.report._checkpoints import checkpoint_dir, resource_of, resume_from
from hyperband.report._reporter import report


class Span:
    """The part of a trial's training that this process does.

    Attributes:
        total: units of a whole training, the same in all attempts: schedules of learning rates
            that are spread over it go on where they were after a promotion.
        target: where this attempt ends.
        resumed: the checkpoint to go on from, None at the beginning.
        done: units that are in it.
    """

    def __init__(self, total: int, unit: str, save_every: int) -> None:
        """Reads what the operator says, and looks for a checkpoint.

        Args:
            total: units that a run by hand trains.
            unit: the resource's name in a run by hand.
            save_every: units from one checkpoint to the next.

        Raises:
            ValueError: `total` or `save_every` is no number from 1 up.
        """
        for name, value in ((unit, total), ("save_every", save_every)):
            if value < 1:
                raise ValueError(f"{name}={value} trains or saves nothing: give 1 or more")
        self.target = ceil(environment.resource_target(total))
        self._levels = [ceil(level) for level in environment.levels()]
        self.total = self._levels[-1] if self._levels else self.target
        self._unit, self._save_every = environment.resource_name() or unit, save_every
        self.resumed: Path | None = resume_from()
        self.done = 0 if self.resumed is None else int(resource_of(self.resumed))

    @property
    def left(self) -> int:
        """Units to train, 1 or more.

        Raises:
            RuntimeError: the checkpoint of a run by hand has them all.
        """
        if self.done >= self.target:
            mend = f"delete {checkpoint_dir()} to begin anew, or train more"
            raise RuntimeError(f"all {self.target} {self._unit} are in the checkpoint: {mend}")
        return self.target - self.done

    def ends(self, done: int) -> bool:
        """Whether training ends here."""
        return done >= self.target

    def saves(self, done: int) -> bool:
        """Whether a checkpoint is due: at rungs, at the end, and every so many units."""
        return self.ends(done) or done in self._levels or done % self._save_every == 0

    def report(self, done: int, metrics: Mapping[str, Any]) -> None:
        """Reports what the library has measured after so many units; save first."""
        report(**{**metrics, self._unit: done})
