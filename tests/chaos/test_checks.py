"""The checks notice what they are for: the end of a good study, spoiled in one way each."""

import copy
from collections.abc import Callable
from functools import cache

import pytest

from tests.chaos.faults import Recorded
from tests.chaos.invariants import Ledger, check, compare
from tests.chaos.pods import Body
from tests.chaos.schedules import Schedule, study
from tests.chaos.simulated import World, run


@cache
def good(mode: str) -> World:
    body = study(hyperband={"mode": mode}, parallelism=2, maxTrials=5)
    return run(Schedule("good", body, Recorded(), ordered=True))


def parts(mode: str) -> tuple[Body, list[Body], Ledger]:
    world = good(mode)
    return copy.deepcopy((world.study, world.trials, world.ledger))


def first(trials: list[Body], state: str) -> Body:
    return next(trial for trial in trials if trial["status"]["state"] == state)


def lose_a_trial(_: Body, trials: list[Body], ledger: Ledger) -> None:
    trials.pop(0)


def number_twice(_: Body, trials: list[Body], ledger: Ledger) -> None:
    trials[0]["status"]["rungs"][0]["sequence"] = trials[1]["status"]["rungs"][0]["sequence"]


def record_another_value(_: Body, trials: list[Body], ledger: Ledger) -> None:
    trials[0]["status"]["rungs"][0]["value"] += 1e-6


def charge_too_little(_: Body, trials: list[Body], ledger: Ledger) -> None:
    trials[0]["status"]["attempts"][0]["gpuSeconds"] -= 0.5
    trials[0]["status"]["gpuSeconds"] -= 0.5


def forget_an_account(_: Body, trials: list[Body], ledger: Ledger) -> None:
    row = trials[0]["status"]["attempts"].pop()
    trials[0]["status"]["gpuSeconds"] -= row["gpuSeconds"]


def leave_a_pod(_: Body, trials: list[Body], ledger: Ledger) -> None:
    next(iter(ledger.lives.values())).body["status"]["phase"] = "Running"


def leave_an_orphan(_: Body, trials: list[Body], ledger: Ledger) -> None:
    owners = next(iter(ledger.lives.values())).body["metadata"]["ownerReferences"]
    owners[0]["uid"] = "nobody"


def crowd(_: Body, trials: list[Body], ledger: Ledger) -> None:
    ledger.crowds.append(list(ledger.lives.values())[:3])


def end_for_another_reason(study: Body, trials: list[Body], ledger: Ledger) -> None:
    for row in study["status"]["conditions"]:
        row["reason"] = "Other"


def promote_the_worst(_: Body, trials: list[Body], ledger: Ledger) -> None:
    worst = max(trials, key=lambda t: float(t["status"]["rungs"][0]["value"]))
    worst["status"] |= {"state": "Failed", "targetLevel": 1}


def stop_nobody(_: Body, trials: list[Body], ledger: Ledger) -> None:
    first(trials, "Stopped")["status"]["state"] = "Completed"


Spoil = Callable[[Body, list[Body], Ledger], None]
SPOILS: list[tuple[str, Spoil]] = [
    ("Promotion", lose_a_trial),
    ("Promotion", number_twice),
    ("Promotion", record_another_value),
    ("Promotion", charge_too_little),
    ("Promotion", forget_an_account),
    ("Promotion", leave_a_pod),
    ("Promotion", leave_an_orphan),
    ("Promotion", crowd),
    ("Promotion", end_for_another_reason),
    ("Promotion", promote_the_worst),
    ("Synchronous", promote_the_worst),
    ("Stopping", stop_nobody),
]


@pytest.mark.parametrize("mode", ["Promotion", "Synchronous", "Stopping"])
def test_a_good_end_passes(mode: str) -> None:
    check(*parts(mode))
    compare(parts(mode)[1], good(mode).trials)


@pytest.mark.parametrize(("mode", "spoil"), SPOILS, ids=lambda x: getattr(x, "__name__", x))
def test_a_spoiled_end_does_not(mode: str, spoil: Spoil) -> None:
    spoiled = parts(mode)
    spoil(*spoiled)
    with pytest.raises(AssertionError):
        check(*spoiled)


def test_another_decision_is_noticed() -> None:
    trials = parts("Promotion")[1]
    trials[0]["status"]["reason"] = "Other"
    with pytest.raises(AssertionError, match="undisturbed"):
        compare(trials, good("Promotion").trials)
