"""Why a study ends before all its trials are decided: targets, budgets, a person's word."""

from dataclasses import replace
from typing import Any

import pytest

from hyperband.core.decisions import Action, Reason
from hyperband.core.engine import Engine
from hyperband.core.records import Budget, Goal, OnBudget, Report, Spent, Target
from hyperband.core.records import TrialState as State
from tests.core.engines import pause_at_first, put, reports, start, study

ACCURATE = Target("accuracy", Goal.MAXIMIZE, 0.9)


def report(epoch: float, loss: float, accuracy: float) -> Report:
    return Report(epoch, loss, {"accuracy": accuracy})


def test_a_target_is_met_by_any_metric_at_any_report() -> None:
    engine = Engine(study(targets=(ACCURATE,)))
    start(engine, 3)
    assert engine.observe(0, [report(0.4, 2.0, 0.89)]) is None
    decision = engine.observe(0, [report(0.4, 2.0, 0.89), report(0.5, 2.0, 0.9)])
    put(engine, decision, Action.STOP)
    assert decision is not None
    assert decision.reason is Reason.TARGET_REACHED
    assert decision.message == (
        "accuracy 0.9 at epochs 0.5 reaches the target 0.9 (spec.earlyStopping)"
    )
    finish = engine.finish()
    assert finish is not None
    assert (finish.succeeded, finish.reason) == (True, "TargetReached")
    assert finish.message.startswith("test-0: accuracy 0.9 at epochs 0.5")
    stopped = [put(engine, d, Action.STOP).trial.index for d in list(engine.wind_down())]
    assert stopped == [1, 2]
    assert Engine(engine.study, engine.trials.values()).finish() == finish


def test_the_values_at_rungs_count_beside_a_target() -> None:
    target = Target("loss", Goal.MINIMIZE, 0.5)
    engine = Engine(study(mode="Stopping", targets=(target,)))
    start(engine)
    decision = engine.observe(0, reports(e1=0.9, e3=0.7, e9=0.5))
    trial = put(engine, decision, Action.COMPLETE).trial
    assert (trial.state, trial.reason) == (State.COMPLETED, Reason.TARGET_REACHED)
    assert [value.value for value in trial.rungs] == [0.9, 0.7, 0.5]


@pytest.mark.parametrize("accuracy", [float("nan"), float("inf"), 0.8])
def test_what_meets_no_target(accuracy: float) -> None:
    engine = Engine(study(targets=(ACCURATE,)))
    start(engine)
    put(engine, engine.observe(0, [report(1, 2.0, accuracy)]), Action.PAUSE)
    assert engine.closing() is None


BUDGETS: dict[str, tuple[dict[str, Any], Spent, Spent, str]] = {
    "GPU-hours": (
        {"gpu_seconds": 5400.0},
        Spent(gpu_seconds=5399),
        Spent(gpu_seconds=5400),
        "1.5 GPU-hours are used; budget.gpuHours is 1.5",
    ),
    "duration": (
        {"seconds": 60.0},
        Spent(seconds=59.9),
        Spent(seconds=61),
        "it has gone on for 61 s; budget.duration is 60 s",
    ),
    "resource": (
        {"resource_units": 10.0},
        Spent(resource_units=9),
        Spent(resource_units=12),
        "12 epochs are trained; budget.resourceUnits is 10",
    ),
}


@pytest.mark.parametrize("name", BUDGETS)
@pytest.mark.parametrize("on_budget", OnBudget)
def test_a_budget(name: str, on_budget: OnBudget) -> None:
    bounds, before, after, message = BUDGETS[name]
    engine = Engine(study(budget=Budget(**bounds, on_budget=on_budget)))
    pause_at_first(engine, 0.5)
    start(engine)
    put(engine, engine.launch(), Action.START)  # its pod does not run yet
    assert engine.closing(before) is None
    assert list(engine.wind_down(before)) == []
    stopped = [put(engine, d, Action.STOP).trial.index for d in list(engine.wind_down(after))]
    if on_budget is OnBudget.FINISH:
        assert stopped == [2]
        assert engine.finish(after) is None  # trial 1 may go on
        put(engine, engine.observe(1, reports(e1=0.4)), Action.PAUSE)
    else:
        assert stopped == [1, 2]
    finish = engine.finish(after)
    assert finish is not None
    assert (finish.succeeded, finish.reason, finish.message) == (True, "BudgetReached", message)


def test_a_budget_that_was_reached_once_is() -> None:
    engine = Engine(study(budget=Budget(gpu_seconds=10)))
    assert engine.closing(Spent(gpu_seconds=9)) is None
    closing = engine.closing(Spent(gpu_seconds=9, reached="it was"))
    assert closing is not None
    assert closing.finish.message == "it was; none of 0 trials has a result"


def test_a_person_stops_it() -> None:
    engine = Engine(study())
    pause_at_first(engine, 0.5)
    start(engine)
    stopped = Engine(replace(engine.study, stop=True), engine.trials.values())
    finish = stopped.finish()
    assert finish is not None
    assert (finish.succeeded, finish.reason) == (True, "Stopped")
    assert [d.trial.index for d in stopped.wind_down()] == [1]


def test_without_any_result_it_has_failed_but_says_why_it_ended() -> None:
    finish = Engine(study(stop=True)).finish()
    assert finish is not None
    assert (finish.succeeded, finish.reason) == (False, "Stopped")
    assert "none of 0 trials has a result" in finish.message


def test_resource_units_of_trials_that_resume_and_of_those_that_begin_anew() -> None:
    for resume, at_rung, further in ((True, 3.0, 5.0), (False, 1.0 + 3.0, 1.0 + 3.0 + 5.0)):
        engine = Engine(study(max_trials=2, resume=resume))
        pause_at_first(engine, 0.5, 0.4)
        put(engine, engine.launch(), Action.PROMOTE)
        put(engine, engine.observe(1, reports(e3=0.3)), Action.PAUSE)
        trial = engine.trials[1]
        assert engine.resource_units(trial, 3.0) == at_rung
        assert engine.resource_units(trial, 5.0) == further  # on its way to 9
    engine = Engine(study(mode="Stopping", resume=False))
    start(engine)
    put(engine, engine.observe(0, reports(e1=0.5, e3=0.4)), Action.CONTINUE)
    assert engine.resource_units(engine.trials[0], 4.0) == 4.0  # one attempt passes all rungs
    assert engine.resource_units(engine.trials[0], 40.0) == 9.0


def test_a_target_that_is_set_later_is_met_by_a_recorded_value() -> None:
    engine = Engine(study())
    start(engine, 3)
    for index, loss in enumerate((0.5, 0.3)):
        put(engine, engine.observe(index, reports(e1=loss)), Action.PAUSE)
    targets = (ACCURATE, Target("loss", Goal.MINIMIZE, 0.4))
    later = Engine(replace(engine.study, targets=targets), engine.trials.values())
    finish = later.finish()
    assert finish is not None
    assert (finish.succeeded, finish.reason) == (True, "TargetReached")
    assert finish.message.startswith("test-1: loss 0.3 at epochs 1 reaches the target 0.4")
    assert [d.trial.index for d in later.wind_down()] == [2]
