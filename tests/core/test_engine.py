"""The engine: every decision it takes, and what it says about it."""

import math
from dataclasses import replace

import pytest

from hyperband.core.decisions import Action, Finish, Outcome, Reason
from hyperband.core.engine import Engine
from hyperband.core.records import FailurePolicy, Goal, Objective, Report, Resource, Trial
from hyperband.core.records import TrialState as State
from tests.core.engines import fail, pause_at_first, put, reports, start, study

# -- free slots ------------------------------------------------------------------------------


def test_start_gives_the_next_index_and_the_searchers_configuration() -> None:
    engine = Engine(study())
    first, second = (put(engine, engine.launch(), Action.START) for _ in range(2))
    assert (first.trial.index, second.trial.index) == (0, 1)
    assert first.trial.state is State.PENDING
    assert first.trial.parameters != second.trial.parameters
    assert first.trial.suggestion == engine.searcher.suggest(0)
    assert first.message == "a new configuration (Random), to epochs 1"
    assert (first.trial.reason, first.trial.message) == ("NewConfiguration", first.message)


def test_deciding_changes_nothing() -> None:
    engine = Engine(study())
    assert engine.launch() == engine.launch()
    assert not engine.trials
    start(engine)
    assert engine.observe(0, reports(e1=0.5)) == engine.observe(0, reports(e1=0.5))
    assert engine.trials[0].rungs == ()


def test_parallelism_counts_active_and_lingering() -> None:
    engine = Engine(study(parallelism=2))
    assert engine.launch(lingering=2) is None
    start(engine)
    assert engine.launch(lingering=1) is None
    start(engine)
    assert engine.launch() is None
    put(engine, engine.observe(0, reports(e1=0.5)), Action.PAUSE)
    assert engine.launch(lingering=1) is None
    assert engine.launch() is not None


def test_parallelism_may_be_changed() -> None:
    engine = Engine(study(parallelism=3))
    start(engine, 3)
    records = list(engine.trials.values())
    lowered = Engine(study(parallelism=2), records)
    assert len(list(lowered.active)) == 3  # what runs is left alone
    put(lowered, lowered.observe(0, reports(e1=0.5)), Action.PAUSE)
    assert lowered.launch() is None
    put(lowered, lowered.observe(1, reports(e1=0.6)), Action.PAUSE)
    put(lowered, lowered.launch(), Action.PROMOTE)
    raised = Engine(study(parallelism=5), records)
    start(raised, 2)
    assert raised.launch() is None


def test_promotion_comes_before_a_new_configuration() -> None:
    engine = Engine(study())
    pause_at_first(engine, 0.5)
    pause_at_first(engine, 0.25)
    decision = put(engine, engine.launch(), Action.PROMOTE)
    trial = decision.trial
    assert (trial.index, trial.state, trial.target, trial.attempt) == (1, State.PENDING, 1, 1)
    assert decision.reason is Reason.PROMOTED
    assert decision.message == (
        "loss 0.25 at epochs 1: rank 1 of 2; the best 1 may go on; goes on to epochs 3"
    )
    assert dict(decision.evidence) == {
        "level": 0, "value": 0.25, "rank": 1, "values": 2, "limit": 1,
    }  # fmt: skip
    put(engine, engine.launch(), Action.START)


# -- reports ---------------------------------------------------------------------------------


def test_seen_running_is_decided_once() -> None:
    engine = Engine(study())
    put(engine, engine.launch(), Action.START)
    decision = put(engine, engine.seen_running(0), Action.RUN)
    assert decision.trial.state is State.RUNNING
    assert decision.message == "attempt 0 runs up to epochs 1 (Random)"
    assert engine.seen_running(0) is None


def test_reports_below_the_level_decide_nothing() -> None:
    engine = Engine(study(brackets=1, resource=replace(study().resource, min=3)))
    start(engine)
    assert engine.observe(0, []) is None
    assert engine.observe(0, reports(e1=0.5, e2=0.4)) is None


def test_pause_says_what_was_recorded() -> None:
    engine = Engine(study())
    start(engine)
    decision = put(engine, engine.observe(0, reports(e1=0.123456789)), Action.PAUSE)
    assert decision.reason is Reason.RUNG_REACHED
    assert decision.message == (
        "loss 0.123457 at epochs 1: rank 1 of 1 when it came; waits for others to be compared with"
    )
    assert decision.trial.rungs[0].value == 0.123456789
    assert decision.trial.state is State.PAUSED


def test_a_levels_value_is_the_first_report_at_or_above_it() -> None:
    engine = Engine(study(mode="Stopping"))
    start(engine)
    decision = put(engine, engine.observe(0, reports(e2=0.5, e3=0.4, e4=0.3)), Action.CONTINUE)
    assert [(v.level, v.value, v.resource) for v in decision.trial.rungs] == [
        (0, 0.5, 2.0),
        (1, 0.4, 3.0),
    ]


def test_one_report_may_reach_several_levels() -> None:
    engine = Engine(study(mode="Stopping"))
    start(engine)
    decision = put(engine, engine.observe(0, reports(e5=0.5)), Action.CONTINUE)
    assert [(v.level, v.sequence) for v in decision.trial.rungs] == [(0, 0), (1, 1)]
    decision = put(engine, engine.observe(0, reports(e5=0.5, e20=0.1)), Action.COMPLETE)
    assert [(v.level, v.sequence, v.resource) for v in decision.trial.rungs][2] == (2, 2, 9)
    assert decision.message == "loss 0.1 at epochs 9: rank 1 of 1 when it came"


def test_levels_skipped_at_once_stop_at_the_first_that_is_not_good_enough() -> None:
    engine = Engine(study(mode="Stopping"))
    start(engine, 2)
    put(engine, engine.observe(0, reports(e1=0.1)), Action.CONTINUE)
    decision = put(engine, engine.observe(1, reports(e9=0.2)), Action.STOP)
    assert [v.level for v in decision.trial.rungs] == [0]
    assert decision.reason is Reason.NOT_GOOD_ENOUGH
    assert decision.message == (
        "loss 0.2 at epochs 1: rank 2 of 2 when it came; the best 1 of 2 may go on"
    )


def test_the_same_reports_again_decide_nothing() -> None:
    engine = Engine(study(mode="Stopping"))
    start(engine)
    put(engine, engine.observe(0, reports(e1=0.5, e3=0.4)), Action.CONTINUE)
    assert engine.observe(0, reports(e1=0.5, e3=0.4)) is None
    assert engine.observe(0, reports(e1=0.1, e3=0.1, e4=0.1)) is None


def test_reports_out_of_order_count_in_the_order_given() -> None:
    engine = Engine(study(mode="Stopping"))
    start(engine)
    decision = put(engine, engine.observe(0, reports(e3=0.4, e1=0.5, e2=0.6)), Action.CONTINUE)
    assert [(v.level, v.value, v.resource) for v in decision.trial.rungs] == [
        (0, 0.4, 3.0),
        (1, 0.4, 3.0),
    ]


def test_sequence_numbers_are_study_wide() -> None:
    engine = Engine(study())
    pause_at_first(engine, 0.5, 0.4)
    put(engine, engine.launch(), Action.PROMOTE)
    put(engine, engine.observe(1, reports(e3=0.3)), Action.PAUSE)
    assert [[v.sequence for v in t.rungs] for t in engine.trials.values()] == [[0], [1, 2]]
    rebuilt = Engine(study(), engine.trials.values())
    start(rebuilt)
    decision = put(rebuilt, rebuilt.observe(2, reports(e1=0.9)), Action.PAUSE)
    assert decision.trial.rungs[0].sequence == 3


def test_reports_of_inactive_trials_decide_nothing() -> None:
    engine = Engine(study())
    pause_at_first(engine, 0.5)
    assert engine.observe(0, reports(e1=0.5, e3=0.1)) is None
    assert engine.seen_running(0) is None
    assert engine.attempt_ended(0, Outcome.SUCCEEDED) is None
    assert engine.attempt_ended(0, Outcome.FAILED) is None
    assert engine.suspended(0, "the study is suspended") is None


def test_reports_may_come_before_the_attempt_was_seen_running() -> None:
    engine = Engine(study(mode="Stopping"))
    put(engine, engine.launch(), Action.START)
    decision = put(engine, engine.observe(0, reports(e1=0.5)), Action.CONTINUE)
    assert decision.trial.state is State.RUNNING


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_divergence_fails_the_trial_without_retries(value: float) -> None:
    engine = Engine(study(mode="Stopping", failure_policy=FailurePolicy(3, 0)))
    start(engine)
    diverged = [*reports(e1=0.5), Report(2, value), *reports(e3=0.1)]
    decision = put(engine, engine.observe(0, diverged), Action.FAIL)
    assert decision.reason is Reason.DIVERGED
    assert decision.message == f"loss was {value} at epochs 2; not repeated"
    assert [v.level for v in decision.trial.rungs] == [0]  # what was healthy is kept
    assert decision.trial.failures == 0
    assert engine.finish() is None  # a diverged training is a result, not a broken study
    assert engine.launch() is not None


def test_divergence_after_the_end_of_the_attempt_does_not_count() -> None:
    engine = Engine(study())
    start(engine)
    put(engine, engine.observe(0, [*reports(e1=0.5), Report(2, math.nan)]), Action.PAUSE)


def test_best_follows_the_goal_then_the_resource_then_the_index() -> None:
    engine = Engine(study())
    pause_at_first(engine, 0.5, 0.5, 0.6)
    assert engine.best is not None
    assert (engine.best[0], engine.best[2]) == (0.5, 0)
    put(engine, engine.launch(), Action.PROMOTE)
    put(engine, engine.observe(0, reports(e3=0.5)), Action.PAUSE)
    assert engine.best == (0.5, -3.0, 0)
    maximize = Engine(study(objective=Objective("accuracy", Goal.MAXIMIZE)))
    pause_at_first(maximize, 0.5, 0.7, 0.6)
    assert maximize.best == (-0.7, -1.0, 1)


# -- ends of attempts ------------------------------------------------------------------------


def test_a_disruption_is_repeated_and_uses_up_no_retry() -> None:
    engine = Engine(study(failure_policy=FailurePolicy(retries=0)))
    start(engine)
    for times in range(1, 6):
        decision = put(
            engine, engine.attempt_ended(0, Outcome.DISRUPTED, "preempted"), Action.REPEAT
        )
        trial = decision.trial
        assert decision.reason is Reason.DISRUPTED
        assert decision.message == f"attempt {times - 1}: preempted"
        assert (trial.state, trial.attempt) == (State.PENDING, times)
        assert (trial.failures, trial.disruptions) == (0, times)
    assert [t.index for t in engine.active] == [0]


def test_failures_are_retried_then_given_up() -> None:
    engine = Engine(study(failure_policy=FailurePolicy(retries=2)))
    start(engine)
    decision = fail(engine, 0)
    assert (decision.action, decision.reason) == (Action.REPEAT, Reason.ATTEMPT_FAILED)
    assert decision.message == "attempt 0: exit code 1"
    assert (decision.trial.attempt, decision.trial.failures) == (1, 1)
    fail(engine, 0)
    decision = fail(engine, 0)
    assert (decision.action, decision.reason) == (Action.FAIL, Reason.RETRIES_EXHAUSTED)
    assert decision.message == "3 failed attempts; the last one: exit code 1"
    assert (decision.trial.state, decision.trial.failures) == (State.FAILED, 3)
    assert decision.trial.attempt == 2  # the last attempt that there was
    assert not list(engine.active)


def test_exit_without_the_final_report_uses_up_a_retry() -> None:
    engine = Engine(study(failure_policy=FailurePolicy(retries=1)))
    start(engine)
    decision = put(engine, engine.attempt_ended(0, Outcome.SUCCEEDED), Action.REPEAT)
    assert decision.reason is Reason.NO_FINAL_REPORT
    assert decision.message == "attempt 0: exited with 0 without reporting loss at epochs 1"
    decision = put(engine, engine.attempt_ended(0, Outcome.SUCCEEDED, "log tail"), Action.FAIL)
    assert decision.message == (
        "2 failed attempts; the last one: exited with 0 without reporting loss at epochs 1;"
        " log tail"
    )


def test_a_repeated_attempt_keeps_its_levels() -> None:
    engine = Engine(study(mode="Stopping"))
    start(engine)
    put(engine, engine.observe(0, reports(e1=0.5)), Action.CONTINUE)
    put(engine, engine.attempt_ended(0, Outcome.DISRUPTED, "drained"), Action.REPEAT)
    assert engine.observe(0, reports(e1=0.4)) is None  # repeated epochs overwrite nothing
    decision = put(engine, engine.observe(0, reports(e1=0.4, e3=0.3)), Action.CONTINUE)
    assert [v.value for v in decision.trial.rungs] == [0.5, 0.3]


def test_suspension_counts_as_neither() -> None:
    engine = Engine(study(failure_policy=FailurePolicy(retries=0)))
    start(engine)
    decision = put(engine, engine.suspended(0, "the study is suspended"), Action.REPEAT)
    assert decision.reason is Reason.SUSPENDED
    assert decision.message == "attempt 0: the study is suspended"
    trial = decision.trial
    assert (trial.attempt, trial.failures, trial.disruptions) == (1, 0, 0)


# -- the end of the study --------------------------------------------------------------------


def test_finish_when_all_is_decided() -> None:
    engine = Engine(study(max_trials=2))
    pause_at_first(engine, 0.5, 0.4)
    assert engine.finish() is None  # trial 1 can be promoted
    put(engine, engine.launch(), Action.PROMOTE)
    assert engine.finish() is None  # trial 1 is active
    put(engine, engine.observe(1, reports(e3=0.3)), Action.PAUSE)
    finish = engine.finish()
    assert finish is not None
    assert (finish.succeeded, finish.reason) == (True, "Exhausted")
    assert finish.message == "all 2 trials are decided"
    assert engine.launch() is None


def test_more_trials_reopen_an_exhausted_study() -> None:
    engine = Engine(study(max_trials=2))
    pause_at_first(engine, 0.5, 0.4)
    put(engine, engine.launch(), Action.PROMOTE)
    put(engine, engine.observe(1, reports(e3=0.3)), Action.PAUSE)
    assert engine.finish() is not None
    raised = Engine(study(max_trials=3), engine.trials.values())
    assert raised.finish() is None
    assert put(raised, raised.launch(), Action.START).trial.index == 2


def test_fewer_trials_than_there_are_end_it() -> None:
    engine = Engine(study())
    pause_at_first(engine, 0.5)
    start(engine, 2)
    lowered = Engine(study(max_trials=1), engine.trials.values())
    assert lowered.finish() is None  # two still run
    assert lowered.launch() is None
    put(lowered, lowered.observe(1, reports(e1=0.6)), Action.PAUSE)
    put(lowered, lowered.observe(2, reports(e1=0.7)), Action.PAUSE)
    assert put(lowered, lowered.launch(), Action.PROMOTE).trial.index == 0


def test_too_many_failed_trials_end_the_study_at_once() -> None:
    engine = Engine(study(failure_policy=FailurePolicy(retries=0, max_failed_trials=1)))
    start(engine, 3)
    fail(engine, 0)
    assert engine.finish() is None
    fail(engine, 1)
    finish = engine.finish()
    assert finish is not None
    assert (finish.succeeded, finish.reason) == (False, "TooManyFailedTrials")
    assert finish.message == (
        "2 trials failed; failurePolicy.maxFailedTrials is 1; "
        "test-1: its attempt failed: exit code 1"
    )
    decisions = list(engine.wind_down())
    assert [d.trial.index for d in decisions] == [2]
    decision = put(engine, decisions[0], Action.STOP)
    assert (decision.reason, decision.trial.state) == (Reason.STUDY_ENDED, State.STOPPED)
    assert not list(engine.active)


def test_a_study_without_any_result_has_failed() -> None:
    engine = Engine(study(max_trials=1))
    start(engine)
    put(engine, engine.observe(0, [Report(1, math.nan)]), Action.FAIL)
    finish = engine.finish()
    assert finish is not None
    assert (finish.succeeded, finish.reason) == (False, "NoResult")
    assert finish.message.startswith("none of 1 trials has a result; test-0: ")


# -- records ---------------------------------------------------------------------------------


def test_putting_a_record_twice_changes_nothing() -> None:
    engine = Engine(study(failure_policy=FailurePolicy(retries=0, max_failed_trials=1)))
    start(engine)
    pause_at_first(engine, 0.5, 0.4)
    fail(engine, 0)
    before = (engine.launch(), engine.states.copy(), len(engine.rungs.rung(2, 0)))
    engine.put(engine.trials[1])
    engine.put(engine.trials[0])
    assert (engine.launch(), engine.states, len(engine.rungs.rung(2, 0))) == before
    assert engine.finish() is None  # one failed trial is still one


def test_states_are_counted() -> None:
    engine = Engine(study(failure_policy=FailurePolicy(retries=0)))
    pause_at_first(engine, 0.5)
    start(engine)
    fail(engine, 1)
    put(engine, engine.launch(), Action.START)
    counted = {state: n for state, n in engine.states.items() if n}
    assert counted == {State.PAUSED: 1, State.FAILED: 1, State.PENDING: 1}


def test_a_rebuilt_engine_does_not_depend_on_the_order_of_records() -> None:
    wide = study(parallelism=5)
    engine = Engine(wide)
    pause_at_first(engine, 0.5, 0.4, 0.6, 0.3, 0.2)
    records: list[Trial] = list(engine.trials.values())
    forwards, backwards = Engine(wide, records), Engine(wide, reversed(records))
    assert forwards.launch() == backwards.launch() == engine.launch()
    assert list(backwards.trials) == [0, 1, 2, 3, 4]


def test_it_says_beforehand_whether_a_new_configuration_starts() -> None:
    engine = Engine(study(parallelism=2, max_trials=4))
    assert engine.starts()
    assert not engine.starts(lingering=2), "no slot is free"
    pause_at_first(engine, 0.5, 0.4)
    assert not engine.starts(), "a promotion comes first"
    put(engine, engine.launch(), Action.PROMOTE)
    assert engine.starts()
    pause_at_first(engine, 0.6)
    pause_at_first(engine, 0.7)
    assert len(engine.trials) == 4
    assert not engine.starts(), "there may be no more trials"


def test_what_early_stopping_spares_is_what_is_left_to_r_max() -> None:
    engine = Engine(study(parallelism=3))
    pause_at_first(engine, 0.5, 0.4)
    assert engine.spared == 2 * (9 - 1)
    put(engine, engine.launch(), Action.PROMOTE)
    assert engine.spared == 9 - 1, "what is promoted is trained after all"
    engine.put(engine.trials[0])
    rebuilt = Engine(engine.study, engine.trials.values())
    assert engine.spared == rebuilt.spared == 9 - 1
    for decision in list(engine.wind_down(given_up=Finish(True, "Stopped", "by a person"))):
        engine.put(decision.trial)
    assert engine.spared == 9 - 1, "a study's end spares nothing by early stopping"


def test_a_trial_that_was_stopped_spares_the_rest() -> None:
    engine = Engine(study(mode="Stopping"))
    start(engine, 2)
    put(engine, engine.observe(0, reports(e1=0.1)), Action.CONTINUE)
    assert engine.spared == 0
    put(engine, engine.observe(1, reports(e1=0.9)), Action.STOP)
    assert engine.spared == 9 - 1


def test_trials_that_are_missing_are_started_before_others() -> None:
    engine = Engine(study(parallelism=30))
    start(engine, 6)
    there = [trial for index, trial in engine.trials.items() if index not in (1, 3, 4)]
    rebuilt = Engine(engine.study, there)
    rebuilt.start_missing(2)  # the trial of index 1 has been there, and was deleted
    assert rebuilt.all_started_below == 3
    started = [put(rebuilt, rebuilt.launch(), Action.START).trial for _ in range(3)]
    assert [trial.index for trial in started] == [3, 4, 6]
    assert started[0].parameters == engine.trials[3].parameters
    assert rebuilt.all_started_below == 7


@pytest.mark.parametrize("mode", ["Promotion", "Synchronous"])
def test_the_index_of_a_trial_that_was_deleted_is_not_given_again(mode: str) -> None:
    engine = Engine(study(parallelism=30, mode=mode))
    start(engine, 5)
    rebuilt = Engine(engine.study, [engine.trials[index] for index in range(3)])
    rebuilt.start_missing(5)
    assert rebuilt.all_started_below == 5
    assert put(rebuilt, rebuilt.launch(), Action.START).trial.index == 5


def test_a_missing_trial_beyond_the_most_holds_up_no_promotion() -> None:
    engine = Engine(study())
    pause_at_first(engine, 0.3, 0.2, 0.1, 0.4)
    there = [trial for index, trial in engine.trials.items() if index != 2]
    rebuilt = Engine(study(max_trials=2), there)
    rebuilt.start_missing(0)
    put(rebuilt, rebuilt.launch(), Action.PROMOTE)


def test_a_synchronous_rung_waits_for_a_missing_trial() -> None:
    engine = Engine(study(mode="Synchronous", resource=Resource("epochs", 1, 3)))
    pause_at_first(engine, 0.3, 0.2, 0.1)
    there = [trial for index, trial in engine.trials.items() if index != 1]
    rebuilt = Engine(engine.study, there)
    rebuilt.start_missing(0)
    assert put(rebuilt, rebuilt.launch(), Action.START).trial.index == 1
    decision = rebuilt.launch()
    assert decision is None or decision.action is not Action.PROMOTE


def test_what_is_presumed_counts_as_written_but_not_as_started() -> None:
    engine = Engine(study())
    first = engine.launch()
    assert first is not None
    engine.presume(first.trial)
    second = engine.launch()
    assert second is not None and second.trial.index == 1
    engine.put(second.trial)
    assert engine.presumes
    assert engine.all_started_below == 0
    engine.put(first.trial)
    assert not engine.presumes
    assert engine.all_started_below == 2
