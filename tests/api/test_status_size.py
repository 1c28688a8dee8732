"""A study's status is as large with 20,000 trials as with 200."""

import json
import random
from dataclasses import replace
from typing import Any

import pytest

from hyperband.api.schema.check import complete
from hyperband.api.schema.study_status import STATUS
from hyperband.api.status import Blocked, conditions, progress
from hyperband.api.study import parse_study
from hyperband.core.engine import Engine
from hyperband.core.records import RungValue, Spent, Suggestion, Trial, TrialState
from hyperband.core.schedulers import SCHEDULERS
from tests.studies import changed, good_study

MAX_BYTES = 12_000


def engine_of(trials: int, mode: str) -> Engine:
    """A study whose trials are decided, at random."""
    brackets = 1 if mode == "None" else 4
    spec: dict[str, Any] = {"spec.hyperband.mode": mode, "spec.hyperband.brackets": brackets}
    study = parse_study(changed(good_study(), spec | {"spec.maxTrials": trials}))
    engine = Engine(study.study)
    dice, sequence = random.Random(1), 0
    point = engine.searcher.draw(0)
    for index in range(trials):
        bracket = engine.scheduler.bracket(index)
        trial: Trial = engine.new_trial(index, bracket, Suggestion(point, "Random"))
        first = engine.ladder.first(bracket)
        rungs = []
        for level in range(first, dice.randint(first, engine.ladder.top) + 1):
            rungs.append(RungValue(level, dice.random(), sequence, engine.ladder[level]))
            sequence += 1
        top = rungs[-1].level == engine.ladder.top
        state = TrialState.COMPLETED if top else TrialState.STOPPED
        engine.put(replace(trial, state=state, target=rungs[-1].level, rungs=tuple(rungs)))
    return engine


def size(status: dict[str, Any]) -> int:
    return len(json.dumps(status, separators=(",", ":")))


@pytest.mark.parametrize("mode", SCHEDULERS)
def test_the_status_does_not_grow_with_the_trials(mode: str) -> None:
    few, many = (progress(engine_of(n, mode), Spent(1e9, 1e9, 1e9)) for n in (200, 20_000))
    assert many["trials"]["total"] == 20_000
    assert size(many) < MAX_BYTES
    assert size(many) < size(few) + 200, "counts have more digits, and that is all"


def test_promotions_are_counted_as_they_come() -> None:
    engine = engine_of(200, "Promotion")
    first = engine.scheduler.first_target
    again = Engine(engine.study, engine.trials.values())
    counted = sum(trial.target - first(trial.bracket) for trial in engine.trials.values())
    assert engine.promotions == again.promotions == counted > 0


def test_no_message_makes_the_conditions_large() -> None:
    rows = conditions(
        blocked=Blocked("PodRejected", "x" * 100_000),
        suspended=False,
        finish=None,
        running=True,
        progress_message="y" * 100_000,
        generation=1,
        before=[],
        now="2026-11-25T12:00:00Z",
    )
    complete(STATUS, {"conditions": rows}, "status")
    assert size({"conditions": rows}) < MAX_BYTES
