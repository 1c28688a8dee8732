"""What model-based searchers learn from."""

from dataclasses import replace

from hyperband.core.records import EarlierTrial, RungValue, Suggestion, Trial, TrialState
from hyperband.core.rungs import Ladder
from hyperband.core.searchers.history import Evaluation, History
from tests.core.engines import study

STUDY = study()
LADDER = Ladder(STUDY.resource, STUDY.eta)  # 1, 3, 9
POINT = {"x": 0.5}


def trial(index: int, state: TrialState, *values: tuple[int, float, int]) -> Trial:
    """A trial with (level, value, sequence) at its rungs."""
    rungs = tuple(RungValue(k, value, s, LADDER[k]) for k, value, s in values)
    return Trial(index, Suggestion(POINT, "Random"), 2, state, 1, rungs=rungs)


def test_a_history_is_the_same_in_whatever_order_records_come() -> None:
    records = [
        trial(0, TrialState.RUNNING, (0, 0.3, 1)),
        trial(1, TrialState.PAUSED, (0, 0.2, 0), (1, 0.1, 2)),
        trial(2, TrialState.FAILED),
        trial(3, TrialState.PENDING),
    ]
    forwards, backwards, lived = (History(STUDY, LADDER) for _ in range(3))
    for record in records:
        forwards.record(None, record)
    for record in reversed(records):
        backwards.record(None, record)
    for new in records:
        young = replace(new, state=TrialState.PENDING, rungs=())
        lived.record(None, young)
        lived.record(young, new)
    for history in (forwards, backwards, lived):
        assert [(o.level, o.loss) for o in history.observations] == [(0, 0.2), (0, 0.3), (1, 0.1)]
        assert history.pending == [Evaluation(0, 1, POINT), Evaluation(3, 0, POINT)]
        assert history.failed == [Evaluation(2, 0, POINT)]
        assert [history.highest_level(enough) for enough in (1, 2, 3)] == [1, 0, None]


def test_values_of_earlier_studies_come_first_at_the_levels_that_they_reach() -> None:
    warm = replace(
        STUDY, earlier=(EarlierTrial("old", POINT, ((0.5, 9.0), (1, 0.4), (2, 0.3), (27, 0.2))),)
    )
    history = History(warm, LADDER)
    history.record(None, trial(0, TrialState.RUNNING, (0, 0.7, 0)))
    assert [(o.level, o.loss) for o in history.observations] == [(0, 0.4), (2, 0.2), (0, 0.7)]
    assert [o.sequence for o in history.observations] == [-2, -1, 0]


def test_a_record_tells_from_where_on_observations_are_others() -> None:
    history = History(STUDY, LADDER)
    young = trial(0, TrialState.PENDING)
    assert history.record(None, young) == 0
    assert history.record(young, trial(0, TrialState.PAUSED, (0, 0.3, 0))) == 0
    assert history.record(None, trial(2, TrialState.PAUSED, (0, 0.2, 3))) == 1
    assert history.record(None, trial(1, TrialState.PAUSED, (0, 0.1, 1), (1, 0.1, 4))) == 1
    assert history.record(None, trial(3, TrialState.FAILED)) == 4
    assert [o.sequence for o in history.observations] == [0, 1, 3, 4]


def test_the_trials_that_failed_last() -> None:
    history = History(STUDY, LADDER)
    for index in (5, 1, 3, 3):
        history.record(None, trial(index, TrialState.FAILED))
    assert [[e.index for e in history.last_failed(most)] for most in (0, 2, 9)] == [
        *([], [3, 5], [1, 3, 5])
    ]
    assert history.failures == 3
