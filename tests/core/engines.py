"""Studies and steps that the tests of the engine and the schedulers share."""

from dataclasses import replace
from typing import Any

from hyperband.core.decisions import Action, Decision, Outcome
from hyperband.core.engine import Engine
from hyperband.core.records import Objective, Report, Resource, Study
from hyperband.core.space import Float, Space


def study(**changes: Any) -> Study:
    """Levels 1, 3, 9, one bracket, four slots."""
    plain = Study(
        name="test",
        objective=Objective("loss"),
        resource=Resource("epochs", 1, 9),
        space=Space(parameters=(Float("x", 0.0, 1.0),)),
        max_trials=30,
        seed=1,
        parallelism=4,
    )
    return replace(plain, **changes)


def reports(**values: float) -> list[Report]:
    """reports(e1=0.5, e3=0.4): the loss at epochs 1 and 3."""
    return [Report(float(epoch[1:]), value) for epoch, value in values.items()]


def put(engine: Engine, decision: Decision | None, action: Action) -> Decision:
    """Puts a decision that must be there, and be this one."""
    assert decision is not None
    assert decision.action is action
    engine.put(decision.trial)
    return decision


def start(engine: Engine, trials: int = 1) -> None:
    """Starts new trials, and lets them run."""
    for _ in range(trials):
        decision = put(engine, engine.launch(), Action.START)
        put(engine, engine.seen_running(decision.trial.index), Action.RUN)


def pause_at_first(engine: Engine, *losses: float) -> None:
    """New trials, one for each loss, that reach the first level of bracket 2, epoch 1."""
    first = len(engine.trials)
    start(engine, len(losses))
    for index, loss in enumerate(losses, first):
        put(engine, engine.observe(index, reports(e1=loss)), Action.PAUSE)


def fail(engine: Engine, index: int) -> Decision:
    """Lets the current attempt of a trial fail."""
    decision = engine.attempt_ended(index, Outcome.FAILED, "exit code 1")
    assert decision is not None
    engine.put(decision.trial)
    return decision
