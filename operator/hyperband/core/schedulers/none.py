"""No early stopping: every trial trains to r_max, the only level of its study's ladder."""

from hyperband.core.decisions import Action, Reason
from hyperband.core.rungs import Standing
from hyperband.core.schedulers.base import Judgement, Scheduler


class NoEarlyStopping(Scheduler):
    """Decides nothing but that a trial is done."""

    def first_target(self, bracket: int) -> int:
        return self.ladder.top

    def judge(self, level: int, standing: Standing) -> Judgement:
        return Judgement(Action.COMPLETE, Reason.RESOURCE_REACHED)
