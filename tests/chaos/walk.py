"""Every write point of a small study's life, and each fault there.

The write points are those of a recorded run without faults, whatever verbs they are. A run with
one fault does the same up to that point, which is checked, and must end with the same decisions.
"""

from functools import cache

from tests.chaos.faults import AtOnePoint, Fault, Recorded, Request
from tests.chaos.invariants import check, compare
from tests.chaos.schedules import Schedule, study
from tests.chaos.simulated import World, run

FAULTS = (
    Fault.KILL_BEFORE,
    Fault.KILL_AFTER,
    Fault.KILL_LATE,
    Fault.LOST,
    Fault.CUT,
    Fault.CONFLICT,
    Fault.BUSY,
    Fault.ERROR,
    Fault.ERROR_AFTER,
)


@cache
def _recorded(mode: str) -> tuple[World, tuple[Request, ...]]:
    calls = Recorded()
    return run(_schedule(mode, calls)), tuple(calls.writes)


def write_points(mode: str) -> tuple[Request, ...]:
    """The writes of the undisturbed run, in their order."""
    return _recorded(mode)[1]


def walk(mode: str, point: int, fault: Fault) -> None:
    """Runs the study with a fault at one write, counted from 0.

    Raises:
        AssertionError: something does not hold.
    """
    undisturbed, calls = _recorded(mode)
    struck = AtOnePoint(point, fault)
    world = run(_schedule(mode, struck))
    assert tuple(struck.writes[: point + 1]) == calls[: point + 1], "it went another way before"
    check(world.study, world.trials, world.ledger)
    compare(world.trials, undisturbed.trials)


def _schedule(mode: str, faults: Recorded) -> Schedule:
    body = study(hyperband={"mode": mode}, parallelism=2, maxTrials=5)
    return Schedule(f"walk {mode}", body, faults, ordered=True, pauses=5.0)
