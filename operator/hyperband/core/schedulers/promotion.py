"""Asynchronous promotion: trials pause at every rung, and a free slot resumes the best of them.

ASHA of Li et al. 2020 (arXiv 1810.05934) with the quantile of `Ladder.limit`: when a slot is
free, brackets in the order of their start, rungs from the top down, the best paused trial that is
good enough among at least two values goes on to the next level.
"""

from hyperband.core.brackets import in_use
from hyperband.core.schedulers.base import PausingScheduler, Promotion


class AsynchronousPromotion(PausingScheduler):
    """Decides whenever a slot is free."""

    lone_waits = True

    def promotion(self) -> Promotion | None:
        for bracket in in_use(len(self.ladder), self.study.brackets):
            for level in range(self.ladder.top - 1, self.ladder.first(bracket) - 1, -1):
                rung = self.rungs.rung(bracket, level)
                best = rung.best_paused
                if best is None or len(rung) < 2:
                    continue
                standing = rung.standing(best, self.ladder, level)
                if standing.good_enough:
                    return Promotion(best[1], level, level + 1, standing)
        return None
