"""Synchronous Hyperband: its table, its order, and what failures and changed studies do to it."""

import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from hyperband.core.decisions import Action, Decision, Outcome, Reason
from hyperband.core.engine import Engine
from hyperband.core.records import FailurePolicy, Report, Resource, Sizes, Study
from hyperband.core.records import TrialState as State
from tests.core.engines import fail, pause_at_first, put, reports, start, study


def synchronous(**changes: object) -> Study:
    """Levels 1, 3, 9: instances of 9 trials with one bracket, of 9, 3, 3 trials with three."""
    return study(mode="Synchronous", **changes)


def loss_of(index: int) -> float:
    """A loss that differs from trial to trial, and does not follow the index."""
    return random.Random(index).random()


def play(engine: Engine, seed: int = 0, failing: float = 0.0) -> list[Decision]:
    """Plays a study to its end: slots are filled at once, trials are done in a random order."""
    dice, decisions = random.Random(seed), []
    for _ in range(100_000):
        decision = engine.launch()
        if decision is None:
            active = [trial.index for trial in engine.active]
            if not active:
                assert engine.finish() is not None
                return decisions
            index = dice.choice(active)
            if dice.random() < failing:
                decision = engine.attempt_ended(index, Outcome.FAILED, "exit code 1")
            else:
                level = engine.ladder[engine.trials[index].target]
                decision = engine.observe(index, [Report(level, loss_of(index))])
        assert decision is not None
        engine.put(decision.trial)
        decisions.append(decision)
    raise AssertionError("the study does not end")


def values(engine: Engine, first: int, last: int) -> list[int]:
    """How many of the trials first … last have a value at each level, those without left out."""
    counts = Counter(
        value.level for index in range(first, last + 1) for value in engine.trials[index].rungs
    )
    return [counts[level] for level in sorted(counts)]


# -- the table -------------------------------------------------------------------------------

GOLDEN_81 = {81: [81, 27, 9, 3, 1], 27: [27, 9, 3, 1], 9: [9, 3, 1], 6: [6, 2], 5: [5]}
GOLDEN_PAPER = {81: [81, 27, 9, 3, 1], 34: [34, 11, 3, 1], 15: [15, 5, 1], 8: [8, 2], 5: [5]}


@pytest.mark.parametrize(
    ("sizes", "golden"), [(Sizes.FLOOR, GOLDEN_81), (Sizes.PAPER, GOLDEN_PAPER)]
)
@pytest.mark.parametrize("parallelism", [1, 7, 500])
def test_two_rounds_of_all_brackets(
    sizes: Sizes, golden: dict[int, list[int]], parallelism: int
) -> None:
    plan = synchronous(
        resource=Resource("epochs", 1, 81),
        brackets=5,
        sizes=sizes,
        max_trials=2 * sum(golden),
        parallelism=parallelism,
    )
    engine = Engine(plan)
    play(engine)
    first = 0
    for size, counts in [*golden.items()] * 2:
        assert values(engine, first, first + size - 1) == counts
        assert len({engine.trials[i].bracket for i in range(first, first + size)}) == 1
        first += size
    assert [engine.rungs.total(4, level).values for level in range(5)] == [162, 54, 18, 6, 2]


@pytest.mark.parametrize(
    ("resource", "eta", "counts"),
    [
        (Resource("epochs", 1, 27), 4.0, [64, 16, 4, 1]),  # 27 is no power of 4
        (Resource("epochs", 1, 20), 2.5, [39, 15, 6, 2, 1]),
        (Resource("share", 0.1, 1.0, integer=False), 3.0, [27, 9, 3, 1]),
        (Resource("share", 0.05, 2.0, integer=False), 4.5, [91, 20, 4, 1]),
    ],
)
def test_tables_of_other_ladders(resource: Resource, eta: float, counts: list[int]) -> None:
    engine = Engine(synchronous(resource=resource, eta=eta, max_trials=counts[0]))
    play(engine)
    assert values(engine, 0, counts[0] - 1) == counts
    assert engine.states[State.COMPLETED] == 1


def test_the_best_of_each_rung_go_on() -> None:
    engine = Engine(synchronous(max_trials=9))
    play(engine)
    ranked = sorted(range(9), key=loss_of)
    went_on = {i for i, trial in engine.trials.items() if trial.target > 0}
    assert went_on == set(ranked[:3])
    assert engine.trials[ranked[0]].state is State.COMPLETED


# -- order -----------------------------------------------------------------------------------


def test_a_rung_waits_for_its_last_value_while_the_next_instance_opens() -> None:
    engine = Engine(synchronous(parallelism=10))
    start(engine, 9)
    for index in range(8):
        put(engine, engine.observe(index, reports(e1=0.1 * index)), Action.PAUSE)
    opened = put(engine, engine.launch(), Action.START)
    assert opened.trial.index == 9
    put(engine, engine.observe(8, reports(e1=0.05)), Action.PAUSE)
    promoted = [put(engine, engine.launch(), Action.PROMOTE).trial.index for _ in range(3)]
    assert promoted == [0, 8, 1]
    assert put(engine, engine.launch(), Action.START).trial.index == 10


def test_earlier_instances_first() -> None:
    """The second instance is ready to pass on; a value later, the first is served before it."""
    engine = Engine(synchronous(brackets=3, parallelism=30, max_trials=15))
    start(engine, 15)
    for index in (*range(8), 9, 10, 11):
        level = engine.ladder[engine.trials[index].target]
        put(engine, engine.observe(index, [Report(level, loss_of(index))]), Action.PAUSE)
    promotion = engine.scheduler.promotion()
    assert promotion is not None
    assert promotion.index in (9, 10, 11)
    put(engine, engine.observe(8, reports(e1=0.0)), Action.PAUSE)
    promotion = engine.scheduler.promotion()
    assert promotion is not None
    assert promotion.index == 8


def test_upper_rungs_wait_for_all_that_are_passed_on() -> None:
    engine = Engine(synchronous(parallelism=9, max_trials=9))
    pause_at_first(engine, *(0.1 * i for i in range(9)))
    put(engine, engine.launch(), Action.PROMOTE)
    decision = put(engine, engine.observe(0, reports(e3=0.5)), Action.PAUSE)
    assert decision.message == (
        "loss 0.5 at epochs 3: rank 1 of 1 when it came; the best 1 of 3 may go on"
    )
    for index in (1, 2):
        put(engine, engine.launch(), Action.PROMOTE)
        put(engine, engine.observe(index, reports(e3=0.5 + index)), Action.PAUSE)
    decision = put(engine, engine.launch(), Action.PROMOTE)
    assert (decision.trial.index, decision.trial.target) == (0, 2)
    put(engine, engine.observe(0, reports(e9=0.4)), Action.COMPLETE)
    finish = engine.finish()
    assert finish is not None
    assert (finish.reason, engine.states[State.PAUSED]) == ("Exhausted", 8)


# -- what it says ----------------------------------------------------------------------------


def test_it_says_whom_a_trial_competes_with() -> None:
    engine = Engine(synchronous(brackets=2, parallelism=30, max_trials=14))
    started = [put(engine, engine.launch(), Action.START) for _ in range(14)]
    new = "a new configuration (Random), to"
    assert started[0].message == f"{new} epochs 1 in bracket 2 with trials 0 to 8"
    assert started[9].message == f"{new} epochs 3 in bracket 1 with trials 9 to 11"
    # The last instance is cut short by maxTrials.
    assert started[13].message.endswith("epochs 1 in bracket 2 with trials 12 to 13")


def test_it_says_what_a_rung_waits_for() -> None:
    engine = Engine(synchronous(parallelism=9, failure_policy=FailurePolicy(retries=0)))
    start(engine, 4)
    decision = put(engine, engine.observe(1, reports(e1=0.5)), Action.PAUSE)
    assert decision.reason is Reason.RUNG_REACHED
    assert decision.message == (
        "loss 0.5 at epochs 1: rank 1 of 1 when it came; the best 3 of 9 may go on"
    )
    assert dict(decision.evidence) == {
        "level": 0, "value": 0.5, "rank": 1, "values": 1, "limit": 3, "awaited": 8,
    }  # fmt: skip
    fail(engine, 0)
    start(engine, 5)
    for index in range(2, 8):
        put(engine, engine.observe(index, reports(e1=0.1 * index)), Action.PAUSE)
    decision = put(engine, engine.observe(8, reports(e1=0.25)), Action.PAUSE)
    assert decision.message == (  # one has failed
        "loss 0.25 at epochs 1: rank 2 of 8 when it came; the best 3 of 8 may go on"
    )
    assert "awaited" not in decision.evidence
    decision = put(engine, engine.launch(), Action.PROMOTE)
    assert decision.message == (
        "loss 0.2 at epochs 1: rank 1 of 8; the best 3 may go on; goes on to epochs 3"
    )


# -- failures --------------------------------------------------------------------------------


def test_failed_trials_hold_nothing_up_and_give_no_place_away() -> None:
    """Five of nine fail; the rung still passes on three, from the four that have a value."""
    engine = Engine(
        synchronous(parallelism=9, max_trials=9, failure_policy=FailurePolicy(retries=0))
    )
    start(engine, 9)
    for index in range(5):
        fail(engine, index)
    for index in range(5, 9):
        assert engine.scheduler.promotion() is None
        put(engine, engine.observe(index, reports(e1=0.1 * index)), Action.PAUSE)
    promoted = [put(engine, engine.launch(), Action.PROMOTE).trial.index for _ in range(3)]
    assert promoted == [5, 6, 7]
    assert engine.launch() is None


def test_fewer_values_than_places_all_go_on() -> None:
    engine = Engine(
        synchronous(parallelism=9, max_trials=9, failure_policy=FailurePolicy(retries=0))
    )
    start(engine, 9)
    for index in range(7):
        fail(engine, index)
    for index in (7, 8):
        put(engine, engine.observe(index, reports(e1=0.1 * index)), Action.PAUSE)
    promoted = [put(engine, engine.launch(), Action.PROMOTE).trial.index for _ in range(2)]
    assert promoted == [7, 8]
    put(engine, engine.observe(7, reports(e3=0.5)), Action.PAUSE)
    assert engine.launch() is None
    fail(engine, 8)  # was passed on, and is missed by nobody
    assert put(engine, engine.launch(), Action.PROMOTE).trial.index == 7


def test_a_disrupted_trial_is_waited_for() -> None:
    engine = Engine(synchronous(parallelism=9, max_trials=9))
    start(engine, 9)
    for index in range(8):
        put(engine, engine.observe(index, reports(e1=0.1)), Action.PAUSE)
    put(engine, engine.attempt_ended(8, Outcome.DISRUPTED, "drained"), Action.REPEAT)
    assert engine.launch() is None
    put(engine, engine.observe(8, reports(e1=0.05)), Action.PAUSE)
    assert put(engine, engine.launch(), Action.PROMOTE).trial.index == 8


def test_all_trials_failing_end_the_study() -> None:
    lenient = FailurePolicy(retries=0, max_failed_trials=100)
    engine = Engine(synchronous(brackets=3, max_trials=40, failure_policy=lenient))
    play(engine, failing=1.0)
    finish = engine.finish()
    assert finish is not None
    assert (finish.reason, engine.states[State.FAILED]) == ("NoResult", 40)


@pytest.mark.parametrize("survivor", [0, 8, 9, 14, 20])
def test_one_survivor_reaches_r_max(survivor: int) -> None:
    lenient = FailurePolicy(retries=0, max_failed_trials=100)
    engine = Engine(synchronous(brackets=3, max_trials=21, failure_policy=lenient))
    while (decision := engine.launch()) is not None or list(engine.active):
        if decision is not None:
            engine.put(decision.trial)
            continue
        trial = max(engine.active, key=lambda t: t.index)
        if trial.index == survivor:
            decision = engine.observe(survivor, [Report(engine.ladder[trial.target], 0.5)])
            assert decision is not None
            engine.put(decision.trial)
        else:
            fail(engine, trial.index)
    assert engine.trials[survivor].state is State.COMPLETED
    finish = engine.finish()
    assert finish is not None
    assert finish.succeeded


def test_a_trial_whose_record_was_deleted_is_not_waited_for() -> None:
    engine = Engine(synchronous(parallelism=9, max_trials=12))
    start(engine, 9)
    for index in range(8):
        put(engine, engine.observe(index, reports(e1=0.1 * index)), Action.PAUSE)
    put(engine, engine.launch(), Action.START)  # trial 9, of the next instance
    records = [trial for index, trial in engine.trials.items() if index != 8]
    without = Engine(engine.study, records)
    assert put(without, without.launch(), Action.PROMOTE).trial.index == 0
    backwards = Engine(engine.study)
    for trial in reversed(records):
        backwards.put(trial)
    assert put(backwards, backwards.launch(), Action.PROMOTE).trial.index == 0
    asked = Engine(engine.study, records[:8])
    assert asked.scheduler.promotion() is None  # trial 8 may yet start
    asked.put(records[8])
    promotion = asked.scheduler.promotion()
    assert promotion is not None
    assert promotion.index == 0


# -- maxTrials -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trials", "counts"),
    [(1, [1, 1, 1]), (2, [2, 1, 1]), (5, [5, 1, 1]), (6, [6, 2, 1]), (8, [8, 2, 1])],
)
def test_an_instance_cut_short_goes_on_with_what_it_has(trials: int, counts: list[int]) -> None:
    engine = Engine(synchronous(max_trials=trials))
    play(engine)
    assert values(engine, 0, trials - 1) == counts
    assert engine.states[State.COMPLETED] == 1


def test_raising_lets_an_instance_go_on_where_it_was_cut() -> None:
    """Five of nine have passed on one; with the other four there, two more follow it."""
    engine = Engine(synchronous(max_trials=5))
    play(engine)
    assert values(engine, 0, 4) == [5, 1, 1]
    best_of_five = min(range(5), key=loss_of)
    raised = Engine(synchronous(max_trials=9), engine.trials.values())
    decisions = play(raised)
    assert [d.trial.index for d in decisions if d.action is Action.START] == [5, 6, 7, 8]
    assert values(raised, 0, 8)[:2] == [9, 3]
    assert raised.trials[best_of_five].state is State.COMPLETED
    others = sorted((i for i in range(9) if i != best_of_five), key=loss_of)
    went_on = {i for i, trial in raised.trials.items() if trial.target > 0}
    assert went_on == {best_of_five, *others[:2]}


def test_what_was_passed_on_goes_on_while_its_rung_is_open_again() -> None:
    engine = Engine(synchronous(parallelism=9, max_trials=6))
    pause_at_first(engine, *(0.1 * i for i in range(6)))
    put(engine, engine.launch(), Action.PROMOTE)
    raised = Engine(replace(engine.study, max_trials=9), engine.trials.values())
    start(raised, 3)  # not the second promotion: there are values to wait for
    put(raised, raised.observe(0, reports(e3=0.5)), Action.PAUSE)
    for index in (6, 7, 8):
        put(raised, raised.observe(index, reports(e1=0.01 * index)), Action.PAUSE)
    promoted = [put(raised, raised.launch(), Action.PROMOTE).trial.index for _ in range(2)]
    assert promoted == [6, 7]
    assert raised.scheduler.promotion() is None


def test_lowering_closes_an_instance() -> None:
    engine = Engine(synchronous(parallelism=9))
    pause_at_first(engine, *(0.1 * i for i in range(7)))
    start(engine, 1)
    lowered = Engine(replace(engine.study, max_trials=2), engine.trials.values())
    assert lowered.launch() is None
    put(lowered, lowered.observe(7, reports(e1=0.9)), Action.PAUSE)
    promoted = [put(lowered, lowered.launch(), Action.PROMOTE).trial.index for _ in range(2)]
    assert promoted == [0, 1]  # of eight, as eight there are
    assert lowered.launch() is None
    # The message of a trial that is read back beyond maxTrials names it, too.
    read = Engine(lowered.study).new_trial(7, 2, engine.trials[7].suggestion)
    assert read.message.endswith("with trials 0 to 7")


@pytest.mark.parametrize("seed", range(30))
def test_nothing_is_stuck_whatever_max_trials_does(seed: int) -> None:
    """Each change comes with an engine rebuilt from shuffled records; then it plays to its end."""
    dice = random.Random(seed)
    engine = Engine(synchronous(brackets=dice.randint(1, 3), parallelism=dice.randint(1, 12)))
    for _ in range(300):
        decision = engine.launch()
        active = [trial.index for trial in engine.active]
        if decision is None and active:
            index = dice.choice(active)
            level = engine.ladder[engine.trials[index].target]
            if dice.random() < 0.2:
                decision = engine.attempt_ended(index, Outcome.FAILED, "exit code 1")
            else:
                decision = engine.observe(index, [Report(level, dice.random())])
        if decision is not None:
            engine.put(decision.trial)
        if decision is None or dice.random() < 0.05:
            study = replace(engine.study, max_trials=dice.randint(1, 60))
            records = list(engine.trials.values())
            dice.shuffle(records)
            engine = Engine(study)
            for record in records:
                engine.put(record)
    lenient = FailurePolicy(max_failed_trials=1000)
    ended = Engine(replace(engine.study, failure_policy=lenient), engine.trials.values())
    play(ended)
    rungs = [ended.rungs.total(2, level).values for level in range(3)]
    assert rungs[2] > 0
    assert all(above <= below for below, above in pairwise(rungs))
