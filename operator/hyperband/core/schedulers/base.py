"""What a scheduler is: the rules that stop, pause and promote trials."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from hyperband.core.brackets import draw_bracket
from hyperband.core.decisions import Action, Reason
from hyperband.core.records import Study, Trial
from hyperband.core.rungs import RungTable, Standing


@dataclass(frozen=True, slots=True)
class Judgement:
    """What becomes of a trial whose value at a level has just been recorded."""

    action: Action  # CONTINUE, PAUSE, STOP or COMPLETE
    reason: Reason


@dataclass(frozen=True, slots=True)
class Promotion:
    """A paused trial that may go on."""

    index: int
    level: int  # where it waits
    target: int  # the level to go to
    standing: Standing


class Scheduler(ABC):
    """The rules of one method over the rungs of a study.

    A scheduler reads the shared rung table; what more it remembers it must be able to rebuild
    from the trial records given to `record`, in any order.
    """

    def __init__(self, study: Study, rungs: RungTable) -> None:
        self.study = study
        self.rungs = rungs
        self.ladder = rungs.ladder

    def record(self, old: Trial | None, new: Trial) -> None:  # noqa: B027 - optional hook
        """Takes a new or changed trial record into account, after the rung table has."""

    def bracket(self, index: int) -> int | None:
        """The bracket of a new trial, or None if none may start now."""
        study = self.study
        return draw_bracket(len(self.ladder), study.brackets, study.eta, study.seed, index)

    @abstractmethod
    def first_target(self, bracket: int) -> int:
        """The level at which a new trial's first attempt ends."""

    @abstractmethod
    def judge(self, trial: Trial, level: int, standing: Standing) -> Judgement:
        """What becomes of a trial with this standing at `level`, at most its target."""

    def promotion(self) -> Promotion | None:
        """The paused trial to go on with when a slot is free, if there is one."""
        return None
