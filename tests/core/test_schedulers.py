"""Schedulers: what the asynchronous ones decide on hand-made rungs, and all of them on ladders."""

import pytest

from hyperband.core.decisions import Action, Reason
from hyperband.core.engine import Engine
from hyperband.core.errors import InvalidStudyError
from hyperband.core.records import (
    Goal,
    Objective,
    Report,
    Resource,
    RungValue,
    Suggestion,
    Trial,
    TrialState,
)
from hyperband.core.rungs import Ladder
from hyperband.core.schedulers import SCHEDULERS, make_scheduler
from hyperband.core.schedulers.base import Promotion
from tests.core.engines import pause_at_first, put, reports, start, study


def paused(index: int, bracket: int, *values: float) -> Trial:
    """A trial of `study()` with values from its bracket's first level on, waiting at the last."""
    first = 2 - bracket
    rungs = tuple(
        RungValue(first + i, value, 10 * index + i, 3.0 ** (first + i))
        for i, value in enumerate(values)
    )
    target = first + len(values) - 1
    return Trial(index, Suggestion({}, "test"), bracket, TrialState.PAUSED, target, rungs=rungs)


def promotion(engine: Engine) -> tuple[int, int] | None:
    """(trial, target) of the next promotion."""
    found: Promotion | None = engine.scheduler.promotion()
    return (found.index, found.target) if found else None


def test_unknown_mode_names_the_field_and_the_choices() -> None:
    unknown = study(mode="Sometimes")
    with pytest.raises(InvalidStudyError, match=r"spec.hyperband.mode: 'Sometimes'.*Promotion"):
        make_scheduler(unknown, Ladder.of(unknown))


def test_a_single_value_is_not_promoted() -> None:
    assert promotion(Engine(study(), [paused(0, 2, 0.5)])) is None


def test_the_best_of_two_is_promoted_and_the_second_of_three_is_not() -> None:
    engine = Engine(study(), [paused(0, 2, 0.5), paused(1, 2, 0.4)])
    assert promotion(engine) == (1, 1)
    engine.put(paused(2, 2, 0.3))
    assert promotion(engine) == (2, 1)
    put(engine, engine.launch(), Action.PROMOTE)
    assert promotion(engine) is None  # rank 2 of 3, good enough up to 1
    engine.put(paused(3, 2, 0.9))
    assert promotion(engine) == (1, 1)  # rank 2 of 4, good enough up to 2


def test_a_promoted_trial_keeps_its_rank() -> None:
    """The best of three went on; the second is not let through in its stead."""
    best_promoted = paused(0, 2, 0.1, 0.1)
    engine = Engine(study(), [best_promoted, paused(1, 2, 0.2), paused(2, 2, 0.3)])
    assert promotion(engine) is None


def test_rungs_from_the_top_down() -> None:
    trials = [paused(0, 2, 0.1, 0.2), paused(1, 2, 0.2, 0.3)]
    trials += [paused(i, 2, 0.01) for i in range(2, 8)]
    engine = Engine(study(), trials)
    assert promotion(engine) == (0, 2)


def test_brackets_in_the_order_of_their_start() -> None:
    """Bracket 1 has a promotable rung nearer to the top, but bracket 2 starts lower."""
    trials = [paused(0, 1, 0.1), paused(1, 1, 0.2), paused(2, 2, 0.5), paused(3, 2, 0.6)]
    engine = Engine(study(brackets=2), trials)
    assert promotion(engine) == (2, 1)
    put(engine, engine.launch(), Action.PROMOTE)
    assert promotion(engine) == (0, 2)


def test_brackets_are_ranked_apart() -> None:
    """Two trials of different brackets at one level are no two values of one rung."""
    engine = Engine(study(brackets=2), [paused(0, 1, 0.1), paused(1, 2, 0.1, 0.2)])
    assert promotion(engine) is None


def test_ties_go_to_the_lower_index() -> None:
    engine = Engine(study(), [paused(i, 2, 0.5) for i in (3, 1, 2, 0)])
    promoted = [put(engine, engine.launch(), Action.PROMOTE).trial.index for _ in range(2)]
    assert promoted == [0, 1]
    assert promotion(engine) is None


def test_promotion_maximizes_when_told_to() -> None:
    maximize = study(objective=Objective("accuracy", Goal.MAXIMIZE))
    engine = Engine(maximize, [paused(0, 2, 0.5), paused(1, 2, 0.4)])
    assert promotion(engine) == (0, 1)


def test_promotion_runs_to_the_next_level_only() -> None:
    engine = Engine(study())
    start(engine)
    assert engine.trials[0].target == 0
    decision = engine.observe(0, reports(e1=0.5, e3=0.4))
    assert decision is not None
    assert decision.action is Action.PAUSE
    assert [v.level for v in decision.trial.rungs] == [0]


def test_promotion_completes_at_r_max() -> None:
    engine = Engine(study(), [paused(0, 2, 0.1, 0.2), paused(1, 2, 0.2, 0.3)])
    put(engine, engine.launch(), Action.PROMOTE)
    decision = put(engine, engine.observe(0, reports(e9=0.1)), Action.COMPLETE)
    assert decision.reason is Reason.RESOURCE_REACHED
    assert decision.trial.state is TrialState.COMPLETED


def test_stopping_runs_to_r_max_from_the_start() -> None:
    engine = Engine(study(mode="Stopping"))
    start(engine)
    assert engine.trials[0].target == 2
    assert promotion(engine) is None


def test_stopping_lets_a_single_value_go_on() -> None:
    engine = Engine(study(mode="Stopping"))
    start(engine)
    decision = put(engine, engine.observe(0, reports(e1=99.0)), Action.CONTINUE)
    assert decision.reason is Reason.GOOD_ENOUGH


def test_stopping_by_rank_own_value_included() -> None:
    engine = Engine(study(mode="Stopping"))
    start(engine, 4)
    put(engine, engine.observe(0, reports(e1=0.5)), Action.CONTINUE)
    put(engine, engine.observe(1, reports(e1=0.6)), Action.STOP)  # rank 2 of 2, limit 1
    put(engine, engine.observe(2, reports(e1=0.4)), Action.CONTINUE)  # rank 1 of 3
    decision = put(engine, engine.observe(3, reports(e1=0.45)), Action.CONTINUE)  # 2 of 4, limit 2
    assert dict(decision.evidence) == {
        "level": 0, "value": 0.45, "rank": 2, "values": 4, "limit": 2,
    }  # fmt: skip


def test_stopping_breaks_ties_by_index() -> None:
    engine = Engine(study(mode="Stopping"))
    start(engine, 2)
    put(engine, engine.observe(1, reports(e1=0.5)), Action.CONTINUE)
    put(engine, engine.observe(0, reports(e1=0.5)), Action.CONTINUE)  # rank 1: the lower index
    engine = Engine(study(mode="Stopping"))
    start(engine, 2)
    put(engine, engine.observe(0, reports(e1=0.5)), Action.CONTINUE)
    put(engine, engine.observe(1, reports(e1=0.5)), Action.STOP)


def test_stopping_completes_at_r_max_however_bad() -> None:
    engine = Engine(study(mode="Stopping"))
    start(engine, 2)
    put(engine, engine.observe(0, reports(e1=0.5, e3=0.4, e9=0.1)), Action.COMPLETE)
    put(engine, engine.observe(1, reports(e1=0.1, e3=0.1, e9=7.0)), Action.COMPLETE)


def test_brackets_drawn_for_new_trials_are_the_ones_in_use() -> None:
    engine = Engine(study(brackets=3, max_trials=200, parallelism=200))
    for _ in range(200):
        put(engine, engine.launch(), Action.START)
    assert {t.bracket for t in engine.trials.values()} == {0, 1, 2}
    assert all(t.target == 2 - t.bracket for t in engine.trials.values())


def test_pausing_helper_reaches_the_first_level() -> None:
    engine = Engine(study())
    pause_at_first(engine, 0.5, 0.4)
    assert promotion(engine) == (1, 1)


# -- no early stopping ---------------------------------------------------------------------------


def test_without_early_stopping_only_r_max_counts() -> None:
    engine = Engine(study(mode="None", max_trials=2))
    start(engine, 2)
    assert engine.trials[0].message == "attempt 0 runs up to epochs 9 (Random)"
    assert engine.observe(0, reports(e1=0.5, e3=9.0)) is None
    decision = put(engine, engine.observe(0, reports(e1=0.5, e9=0.4)), Action.COMPLETE)
    assert decision.message == "loss 0.4 at epochs 9: rank 1 of 1 when it came"
    assert [v.resource for v in decision.trial.rungs] == [9]
    put(engine, engine.observe(1, reports(e9=0.9)), Action.COMPLETE)
    finish = engine.finish()
    assert finish is not None
    assert finish.reason == "Exhausted"


# -- every mode on every kind of ladder ----------------------------------------------------------


@pytest.mark.parametrize("mode", SCHEDULERS)
@pytest.mark.parametrize(
    ("resource", "eta"),
    [
        (Resource("epochs", 1, 81), 3.0),
        (Resource("epochs", 1, 50), 3.0),  # no power of 3
        (Resource("epochs", 2, 100), 2.5),
        (Resource("share", 0.1, 1.0, integer=False), 3.0),
        (Resource("share", 0.05, 2.0, integer=False), 4.5),
    ],
)
def test_every_mode_uses_all_levels(mode: str, resource: Resource, eta: float) -> None:
    """With a loss that falls from trial to trial, each mode trains some up to r_max."""
    plan = study(mode=mode, resource=resource, eta=eta, max_trials=60)
    engine, goals = Engine(plan), set()
    while decision := engine.launch():
        engine.put(decision.trial)
        trial = decision.trial
        goals.add(engine.ladder[trial.target])
        coming = [Report(level, 1.0 / (1 + trial.index)) for level in engine.ladder.levels]
        while engine.trials[trial.index].state.active:
            decision = engine.observe(trial.index, coming)
            assert decision is not None
            engine.put(decision.trial)
    assert engine.finish() is not None
    bracket = engine.ladder.top
    counts = [engine.rungs.total(bracket, level).values for level in range(len(engine.ladder))]
    assert counts[0] == 60
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == engine.states[TrialState.COMPLETED] > 0
    ends_at_each = mode in ("Promotion", "Synchronous")
    assert goals == (set(engine.ladder.levels) if ends_at_each else {resource.max})
    if mode == "None":
        assert counts == [60]
