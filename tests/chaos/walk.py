"""Every write point of small studies' lives, and each fault there.

The write points are those of a recorded run without faults, whatever verbs they are. A run with
one fault does the same up to that point, which is checked, and must end with the same decisions.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from tests.chaos.faults import AtOnePoint, Fault, Recorded, Request
from tests.chaos.invariants import check, compare
from tests.chaos.schedules import MODES, TIDY, Change, Schedule, study
from tests.chaos.simulated import World, run


@cache
def _recorded(life: str) -> tuple[World, tuple[Request, ...]]:
    calls = Recorded()
    return run(_schedule(life, calls)), tuple(calls.writes)


def write_points(life: str) -> tuple[Request, ...]:
    """The writes of the undisturbed run, in their order."""
    return _recorded(life)[1]


def walk(life: str, point: int, fault: Fault) -> None:
    """Runs the study with a fault at one write, counted from 0.

    Raises:
        AssertionError: something does not hold.
    """
    undisturbed, calls = _recorded(life)
    struck = AtOnePoint(point, fault)
    world = run(_schedule(life, struck))
    assert tuple(struck.writes[: point + 1]) == calls[: point + 1], "it went another way before"
    check(world.study, world.trials, world.ledger)
    world.remains.check(exact=True)
    compare(world.trials, undisturbed.trials)


def _schedule(life: str, faults: Recorded) -> Schedule:
    given: dict[str, Any] = {"faults": faults, "ordered": True, "pauses": 5.0}
    if life in MODES:
        body = study(hyperband={"mode": life}, parallelism=2, maxTrials=5)
        return Schedule(f"walk {life}", body, **given)
    return ENDINGS[life](f"walk {life}", **given)


def _by_budget(seed: str, **given: Any) -> Schedule:
    """It is suspended, goes on with more trials, runs out of GPU-hours, and is cleared away."""
    body = study(
        hyperband={"mode": "Stopping"},
        parallelism=2,
        maxTrials=4,
        budget={"gpuHours": 0.1},
        onBudget="Stop",
        **TIDY,
    )
    changes = (
        Change(2, {"suspend": True}),
        Change(2, {"suspend": False}, idle=True),
        Change(4, {"maxTrials": 6}),
    )
    return Schedule(seed, body, changes=changes, stalls=8, **given)


def _by_target(seed: str, **given: Any) -> Schedule:
    """It comes to its target, having archived trials on the way, and keeps no logs."""
    more = {**TIDY, "retention": {**TIDY["retention"], "logs": "Discard"}}
    target = {"metric": "loss", "goal": "Minimize", "value": 0.2}
    body = study(
        hyperband={"mode": "Promotion"},
        parallelism=2,
        maxTrials=8,
        earlyStopping=[target],
        **more,
    )
    return Schedule(seed, body, **given)


ENDINGS: dict[str, Callable[..., Schedule]] = {"Budget": _by_budget, "Target": _by_target}
LIVES = (*MODES, *ENDINGS)
