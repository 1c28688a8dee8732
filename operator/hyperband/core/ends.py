"""What ends a study before it is exhausted: a target, failures, a person, its budget."""

from collections.abc import Callable

from hyperband.core.budgets import exceeded
from hyperband.core.decisions import Closing, Finish, Reason
from hyperband.core.records import OnBudget, Spent, Study, Trial, TrialState
from hyperband.core.targets import how_met


class Ends:
    """Kept up with the records of a study's trials."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._failed: dict[int, Trial] = {}
        self._broken = 0  # of them, for another reason than a diverged training
        self._on_target: dict[int, Trial] = {}  # those that have met a target

    def record(self, trial: Trial) -> None:
        """Takes a new or changed trial record into account."""
        index = trial.index
        if old := self._failed.pop(index, None):
            self._broken -= _broken(old)
        if trial.state is TrialState.FAILED:
            self._failed[index] = trial
            self._broken += _broken(trial)
        met = trial.reason == Reason.TARGET_REACHED or how_met(self._study, trial)
        if met or index in self._on_target:
            self._on_target[index] = trial

    def closing(self, spent: Spent, no_result: Callable[[], str]) -> Closing | None:
        """Why nothing may be launched any more, whatever there is to do.

        Args:
            no_result: asked for that, in words; empty if a trial has one.
        """
        study = self._study
        if self._on_target:
            trial = self._on_target[min(self._on_target)]
            reached = trial.reason == Reason.TARGET_REACHED
            said = trial.message if reached else how_met(study, trial)
            return Closing(Finish(True, "TargetReached", f"{study.name}-{trial.index}: {said}"))
        allowed = study.failure_policy.max_failed_trials
        if self._broken > allowed:
            message = f"{self._broken} trials failed; failurePolicy.maxFailedTrials is {allowed}"
            return Closing(Finish(False, "TooManyFailedTrials", message + self.last_failure()))
        if study.stop:
            return Closing(_cut_short("Stopped", "spec.stop is true", no_result()))
        if message := exceeded(study, spent):
            patient = study.budget.on_budget is OnBudget.FINISH
            return Closing(_cut_short("BudgetReached", message, no_result()), patient)
        return None

    def last_failure(self) -> str:
        """What to add to a message where trials have failed: what the last of them says."""
        if not self._failed:
            return ""
        last = self._failed[max(self._failed)]
        return f"; {self._study.name}-{last.index}: {last.message}"


def _broken(trial: Trial) -> bool:
    return trial.reason != Reason.DIVERGED


def _cut_short(reason: str, message: str, no_result: str) -> Finish:
    return Finish(not no_result, reason, f"{message}; {no_result}" if no_result else message)
