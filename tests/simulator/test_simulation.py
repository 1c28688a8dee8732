"""The simulator itself: curves that cannot be, time, checkpoints, and the figures of a result."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hyperband.backends.simulator.curves import (
    AnalyticCurves,
    BenchmarkError,
    Curve,
    report_resources,
    training,
)
from hyperband.backends.simulator.faults import Faults
from hyperband.backends.simulator.simulation import Observer, Simulation
from hyperband.core.decisions import Action, Reason
from hyperband.core.records import Budget, Goal, Objective, OnBudget, Resource, Study, Target
from hyperband.core.space import Float, Space, Value

OBJECTIVE, RESOURCE = Objective("loss"), Resource("epochs", 1, 9)
STUDY = Study(
    name="test",
    objective=OBJECTIVE,
    resource=RESOURCE,
    space=Space(parameters=(Float("x", 0.0, 1.0),)),
    max_trials=1,
    seed=3,
    mode="Stopping",
)


class Even:
    """Ten seconds an epoch; the loss is x + 1/epoch. A benchmark as a stranger would write it."""

    def curve(self, parameters: dict[str, Value], seed: int) -> Curve:
        epochs = np.arange(1, 13)
        x = float(parameters["x"])
        return {"resource": epochs, "seconds": 10.0 * epochs, "metrics": {"loss": x + 1 / epochs}}


def test_one_trial_to_the_end() -> None:
    result = Simulation(STUDY, Even()).run()
    x = float(result.trials[0].parameters["x"])
    assert (result.seconds, result.resource_units, result.utilization) == (90.0, 9.0, 1.0)
    assert result.incumbent == [(10.0 * e, x + 1 / e) for e in range(1, 10)]
    actions = [(d.seconds, d.decision.action) for d in result.decisions]
    assert actions == [
        (0.0, Action.START),
        (0.0, Action.RUN),
        (10.0, Action.CONTINUE),
        (30.0, Action.CONTINUE),
        (90.0, Action.COMPLETE),
    ]
    assert result.finish is not None
    assert result.finish.reason == "Exhausted"


@pytest.mark.parametrize(
    ("budget", "end", "state"),
    [
        (Budget(seconds=45, on_budget=OnBudget.STOP), 45.0, "Stopped"),
        (Budget(seconds=45), 90.0, "Completed"),  # what runs may finish
        (Budget(resource_units=3, on_budget=OnBudget.STOP), 30.0, "Stopped"),
        (Budget(gpu_seconds=60, on_budget=OnBudget.STOP), 30.0, "Stopped"),  # of two GPUs
    ],
    ids=["duration", "finish", "resource", "GPU-hours"],
)
def test_budgets(budget: Budget, end: float, state: str) -> None:
    study = replace(STUDY, budget=budget, max_trials=9)
    result = Simulation(study, Even(), gpus=2).run()
    assert result.finish is not None
    assert (result.finish.reason, result.seconds) == ("BudgetReached", end)
    assert [trial.state.value for trial in result.trials] == [state]


def test_a_target_ends_all_trials() -> None:
    target = Target("loss", Goal.MINIMIZE, 10.0)
    study = replace(STUDY, targets=(target,), max_trials=9, parallelism=3)
    result = Simulation(study, Even()).run()
    assert result.finish is not None
    assert (result.finish.reason, result.seconds) == ("TargetReached", 10.0)
    assert [trial.state.value for trial in result.trials] == ["Stopped"] * 3


@pytest.mark.parametrize(("resume", "units"), [(True, 1 + 3), (False, 1 + 1 + 3)])
def test_without_resume_promotions_train_from_scratch(resume: bool, units: float) -> None:
    study = replace(STUDY, mode="Promotion", max_trials=2, resume=resume)
    result = Simulation(study, Even()).run()
    reached = [trial.rungs[-1].resource for trial in result.trials]
    assert sorted(reached) == [1.0, 3.0]  # alone at its rung, it is not promoted further
    assert result.resource_units == units


def test_delays_take_time_but_no_training() -> None:
    faults = Faults(start_seconds=20.0, stop_seconds=1e-9)
    result = Simulation(replace(STUDY, max_trials=2), Even(), faults).run()
    assert result.seconds > 2 * 10.0 + 10.0
    assert result.utilization < 1


def test_time_may_run_out() -> None:
    result = Simulation(STUDY, Even()).run(until=45.0)
    assert result.finish is None
    assert (result.seconds, result.resource_units, result.utilization) == (45.0, 4.0, 1.0)
    assert [len(t.rungs) for t in result.trials] == [2]


def test_a_disruption_repeats_what_came_after_the_checkpoint() -> None:
    for seed in range(40):  # until one is disrupted after its first checkpoint
        study = replace(STUDY, seed=seed)
        result = Simulation(study, Even(), Faults(disrupt=0.5, checkpoint_every=3)).run()
        repeats = [d for d in result.decisions if d.decision.reason is Reason.DISRUPTED]
        if len(repeats) == 1:
            at = round(repeats[0].seconds / 10.0)  # epochs trained by then
            assert result.resource_units == at + 9 - (at - 1) // 3 * 3
            assert result.trials[0].state == "Completed"
            if at > 4:
                return
    raise AssertionError("no study was disrupted late")


def test_a_silent_exit_is_noticed() -> None:
    result = Simulation(STUDY, Even(), Faults(silent=1.0)).run()
    reasons = [d.decision.reason for d in result.decisions]
    assert reasons.count(Reason.NO_FINAL_REPORT) == STUDY.failure_policy.retries
    assert result.trials[0].reason == Reason.RETRIES_EXHAUSTED


def test_workers_that_train_a_lingering_attempt_are_not_free() -> None:
    class Counting(Observer):
        most = 0

        def after_event(self, engine: Any, attempts: Any) -> None:
            self.most = max(self.most, len(attempts))

    counting = Counting()
    study = replace(STUDY, max_trials=20, parallelism=3, mode="Promotion")
    Simulation(study, Even(), Faults(stop_seconds=15.0), observer=counting).run()
    assert counting.most == 3


def test_analytic_curves_are_a_function_of_parameters_and_seed() -> None:
    curves = AnalyticCurves(STUDY.space, RESOURCE, OBJECTIVE)
    one, same = curves.curve({"x": 0.5}, 1), curves.curve({"x": 0.5}, 1)
    other = curves.curve({"x": 0.5}, 2)
    assert np.array_equal(one["metrics"]["loss"], same["metrics"]["loss"])
    assert not np.array_equal(one["metrics"]["loss"], other["metrics"]["loss"])
    accuracy = Objective("accuracy", Goal.MAXIMIZE)
    mirrored = AnalyticCurves(STUDY.space, RESOURCE, accuracy).curve({"x": 0.5}, 1)
    assert np.allclose(1.0 - np.asarray(mirrored["metrics"]["accuracy"]), one["metrics"]["loss"])


@pytest.mark.parametrize(
    "resource",
    [RESOURCE, Resource("r", 1, 1000), Resource("r", 0.1, 1.0, False), Resource("r", 5, 5)],
)
def test_reports_ascend_to_r_max(resource: Resource) -> None:
    reported = report_resources(resource, 27)
    assert len(reported) <= 27
    assert reported[-1] == resource.max
    assert np.all(np.diff(reported) > 0)
    objective, space = OBJECTIVE, STUDY.space
    curve = AnalyticCurves(space, resource, objective).curve({"x": 0.1}, 0)
    assert training(curve, objective, resource).reports[-1].resource == resource.max


GOOD: Any = {  # a Curve; not typed so that the tests may spoil it
    "resource": [1.0, 5.0, 10.0],
    "seconds": [0.0, 2.0, 2.0],
    "metrics": {"loss": [3.0, 2.0, 1.0]},
}


def test_training_ends_with_the_first_report_at_r_max() -> None:
    steps = training(GOOD, OBJECTIVE, RESOURCE)
    assert [r.resource for r in steps.reports] == [1.0, 5.0, 10.0]
    assert steps.durations == (0.0, 2.0, 0.0)
    assert [steps.units(i) for i in range(3)] == [1.0, 4.0, 5.0]
    assert [steps.step_after(r) for r in (0.0, 1.0, 9.0, 10.0)] == [0, 1, 2, 2]
    short = training(GOOD, OBJECTIVE, Resource("epochs", 1, 5))
    assert [r.resource for r in short.reports] == [1.0, 5.0]


class Foreign:
    """An array of another library that is not to be had as numbers."""

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("it lies on a GPU")

    def __repr__(self) -> str:
        return "Foreign"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resource": [1.0, 5.0]}, "seconds has 3 rows, and resource has 2: give"),
        ({"metrics": {"loss": [1.0]}}, r"metrics\['loss'\] has 1 rows, and resource has 3: give"),
        ({"metrics": GOOD["metrics"] | {"f1": []}}, r"metrics\['f1'\] has 0 rows"),
        (
            {"metrics": {"accuracy": [3.0, 2.0, 1.0], "f1": [1.0, 2.0, 3.0]}},
            r"no 'loss', which spec.objective.metric names: .* \('accuracy', 'f1'\)",
        ),
        ({"metrics": {}}, r"no 'loss', .*: set that to one that there is \(none\)"),
        ({"metrics": [0.1, 0.1, 0.1]}, r"metrics is \[0.1, .*: give a dict of .*{'loss': …}"),
        ({"metrics": {"loss": [3.0, "two", 1.0]}}, r"metrics\['loss'\]\[1\] is 'two': give a list"),
        ({"metrics": {"loss": [[3.0], [2.0], [1.0]]}}, r"\['loss'\] is of shape \(3, 1\): give a"),
        ({"metrics": {"loss": [3.0, [2.0], 1.0]}}, r"\['loss'\]\[1\] is \[2.0\]: give a list"),
        ({"metrics": {"loss": {"a": 1.0}}}, r"metrics\['loss'\] is {'a': 1.0}: give a list"),
        ({"resource": 9}, "resource is 9: give a list or an array, with one number for each"),
        ({"resource": [1.0, 10**400, 10.0]}, r"resource\[1\] is 10+.*0: give a list"),
        ({"seconds": "soon"}, "seconds is 'soon': give a list"),
        ({"seconds": [0.0, 1.0, "soon"]}, r"seconds\[2\] is 'soon': give a list"),
        ({"seconds": Foreign()}, "seconds is Foreign: give a list"),
        ({"resource": [1.0, 1.0, 10.0]}, r"resource\[1\] is 1, after 1: sort the reports"),
        ({"resource": [1.0, np.nan, 10.0]}, r"resource\[1\] is nan, after 1: sort"),
        (
            {"resource": [1.0, 5.0, 8.0]},
            "resource ends at 8, below spec.resource.max 9: set that to what",
        ),
        (
            {"resource": [], "seconds": [], "metrics": {"loss": []}},
            "resource is empty: give .* up to spec.resource.max 9",
        ),
        ({"seconds": [0.0, 2.0, 1.0]}, r"seconds\[2\] is 1, after 2: give those since the start"),
        ({"seconds": [-1.0, 2.0, 3.0]}, r"seconds\[0\] is -1, after 0: give"),
        ({"seconds": [0.0, np.nan, 3.0]}, r"seconds\[1\] is nan, after 0: give"),
    ],
)
def test_impossible_curves_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        training(GOOD | changes, OBJECTIVE, RESOURCE)


@pytest.mark.parametrize("answer", [None, [], {"resource": [], "seconds": []}])
def test_an_answer_that_is_no_curve_is_refused(answer: Any) -> None:
    with pytest.raises(BenchmarkError, match="not a dict with the keys resource, seconds, metrics"):
        training(answer, OBJECTIVE, RESOURCE)


def test_a_refused_curve_names_its_call() -> None:
    class Short(Even):
        def curve(self, parameters: dict[str, Value], seed: int) -> Curve:
            return super().curve(parameters, seed) | {"resource": [1.0]}  # type: ignore[return-value]

    with pytest.raises(BenchmarkError, match=r'curve\({"x": 0\.\d+}, 3\): seconds has 12 rows'):
        Simulation(STUDY, Short()).run()
