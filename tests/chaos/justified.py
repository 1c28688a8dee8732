"""Whether each decision was justified by the values that were recorded up to then. Pure.

Ranks are counted by brute force; the order is that of the sequence numbers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hyperband.core.decisions import Reason
from hyperband.core.engine import Engine
from hyperband.core.records import RungValue, Trial


@dataclass
class Rung:
    """The values of one rung of a bracket.

    Attributes:
        quotient: of its resource and that of the next rung.
        rows: (sequence, loss, index).
    """

    quotient: float
    rows: list[tuple[int, float, int]] = field(default_factory=list)

    def rank(self, own: int, moment: int) -> tuple[int, int]:
        """The rank of that trial's value among those up to a sequence number, and their count."""
        there = sorted(row[1:] for row in self.rows if row[0] <= moment)
        return 1 + next(i for i, row in enumerate(there) if row[1] == own), len(there)

    def good_enough(self, own: int, moment: int) -> bool:
        """Within the linear-interpolation quantile."""
        rank, count = self.rank(own, moment)
        return rank - 1 <= (count - 1) * self.quotient + 1e-9


Rungs = Mapping[tuple[int, int], Rung]  # by the scheduler's group and level


def check_decisions(engine: Engine) -> None:
    """Goes through all trials of a study that is over.

    Raises:
        AssertionError: a decision is not what the values say.
    """
    check = CHECKS[engine.study.mode]
    rungs = _rungs(engine)
    for trial in engine.trials.values():
        for value in trial.rungs:
            where = f"trial {trial.index} at level {value.level}"
            if trial.reason == Reason.TARGET_REACHED and value is trial.rungs[-1]:
                assert any(target.met(value.value) for target in engine.study.targets), where
            elif value.level == engine.ladder.top:
                assert trial.state.value in ("Completed", "Failed"), where
            else:
                rung = rungs[engine.scheduler.group(trial.index, trial.bracket), value.level]
                assert check(engine, rung, trial, value), where


def _rungs(engine: Engine) -> Rungs:
    ladder = engine.ladder
    quotients = [ladder[k] / ladder[min(k + 1, ladder.top)] for k in range(len(ladder))]
    rungs: dict[tuple[int, int], Rung] = {}
    for trial in engine.trials.values():
        for value in trial.rungs:
            key = engine.scheduler.group(trial.index, trial.bracket), value.level
            rung = rungs.setdefault(key, Rung(quotients[value.level]))
            rung.rows.append(
                (value.sequence, engine.study.objective.loss(value.value), trial.index)
            )
    return rungs


def _stopped_or_not(_: Engine, rung: Rung, trial: Trial, value: RungValue) -> bool:
    """It was stopped here if and only if it was not good enough when its value came."""
    judged = value is trial.rungs[-1] and trial.reason != Reason.STUDY_ENDED
    stopped = judged and trial.state.value == "Stopped"
    return stopped is not rung.good_enough(trial.index, value.sequence)


def _promoted_for_a_reason(_: Engine, rung: Rung, trial: Trial, value: RungValue) -> bool:
    """It went on only if, at some moment before its next value, it was good enough of two."""
    if trial.target == value.level:
        return True  # it did not
    later = [v.sequence for v in trial.rungs if v.sequence > value.sequence]
    end = max(row[0] for row in rung.rows) + 1
    moments = range(value.sequence, later[0] if later else max(end, value.sequence + 1))
    return any(
        rung.rank(trial.index, m)[1] >= 2 and rung.good_enough(trial.index, m) for m in moments
    )


def _among_the_best(engine: Engine, rung: Rung, trial: Trial, value: RungValue) -> bool:
    """As many as went on from a rung, so many are the best of all its values."""
    if trial.target == value.level:
        return True
    passed = sum(engine.trials[index].target > value.level for _, _, index in rung.rows)
    return rung.rank(trial.index, max(row[0] for row in rung.rows))[0] <= passed


def _never_ended_early(_: Engine, __: Rung, trial: Trial, ___: RungValue) -> bool:
    return trial.state.value in ("Completed", "Failed") or trial.reason == Reason.STUDY_ENDED


CHECKS: Mapping[str, Callable[[Engine, Rung, Trial, RungValue], bool]] = {
    "Stopping": _stopped_or_not,
    "Promotion": _promoted_for_a_reason,
    "Synchronous": _among_the_best,
    "None": _never_ended_early,
}
