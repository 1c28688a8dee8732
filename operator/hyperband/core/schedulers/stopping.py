"""Asynchronous stopping: a trial runs on to r_max unless a rung stops it.

The stopping rule of ASHA in arXiv 2003.10865, section 3: at each level a trial goes on if and
only if it is good enough among the values recorded there so far; a single value always is.
"""

from hyperband.core.decisions import Action, Reason
from hyperband.core.rungs import Standing
from hyperband.core.schedulers.base import Judgement, Scheduler


class AsynchronousStopping(Scheduler):
    """Decides once, when a value arrives."""

    def first_target(self, bracket: int) -> int:
        return self.ladder.top

    def judge(self, level: int, standing: Standing) -> Judgement:
        if level == self.ladder.top:
            return Judgement(Action.COMPLETE, Reason.RESOURCE_REACHED)
        if standing.good_enough:
            return Judgement(Action.CONTINUE, Reason.GOOD_ENOUGH)
        return Judgement(Action.STOP, Reason.NOT_GOOD_ENOUGH)
