"""What a scheduler is: the rules that stop, pause and promote trials."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from hyperband.core.brackets import draw_bracket
from hyperband.core.decisions import Action, Reason
from hyperband.core.records import Study, Trial
from hyperband.core.rungs import Ladder, RungTable, Standing


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

    What a scheduler remembers it must be able to rebuild from the trial records given to
    `record`, in any order.

    Attributes:
        next_index: of the next new trial; lower ones that are missing are lost, or started before.
        pauses: whether trials end at each rung, until they are promoted to the next.
        lone_waits: whether the only value at a rung has to wait for another to be compared with.
    """

    pauses = False
    lone_waits = False

    def __init__(self, study: Study, ladder: Ladder) -> None:
        self.study = study
        self.ladder = ladder
        self.rungs = RungTable(study.objective, ladder, self.group)
        self.next_index = 0

    def group(self, index: int, bracket: int) -> int:
        """The number of the group of trials that one is ranked in."""
        return bracket

    def record(self, old: Trial | None, new: Trial) -> None:
        """Takes a new or changed trial record into account."""
        self.rungs.record(old, new)
        self.pass_over(new.index + 1)

    def pass_over(self, begin: int) -> None:
        """Takes note that no trial with a lower index comes next."""
        self.next_index = max(self.next_index, begin)

    def bracket(self, index: int) -> int:
        """The bracket of a new trial."""
        return draw_bracket(self.study, len(self.ladder), index)

    def company(self, index: int, bracket: int) -> str:
        """In words, among which trials a new one is ranked; empty if that is among all."""
        return f" in bracket {bracket}" if self.study.brackets > 1 else ""

    def standing(self, trial: Trial, level: int, value: float) -> Standing:
        """How the value stands that a trial is about to have at a level."""
        return self.rungs.standing(trial, level, value)

    @abstractmethod
    def first_target(self, bracket: int) -> int:
        """The level at which a new trial's first attempt ends."""

    @abstractmethod
    def judge(self, level: int, standing: Standing) -> Judgement:
        """What becomes of a trial with this standing at `level`, at most its target."""

    def promotion(self) -> Promotion | None:
        """The paused trial to go on with when a slot is free, if there is one."""
        return None


class PausingScheduler(Scheduler):
    """A scheduler whose trials pause at every rung, until they are promoted to the next."""

    pauses = True

    def first_target(self, bracket: int) -> int:
        return self.ladder.first(bracket)

    def judge(self, level: int, standing: Standing) -> Judgement:
        if level == self.ladder.top:
            return Judgement(Action.COMPLETE, Reason.RESOURCE_REACHED)
        return Judgement(Action.PAUSE, Reason.RUNG_REACHED)
