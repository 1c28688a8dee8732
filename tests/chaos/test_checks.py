"""The checks notice what they are for: the end of a good study, spoiled in one way each."""

import copy
from collections.abc import Callable
from functools import cache

import pytest

from hyperband.api import names
from hyperband.backends.kubernetes.objects import STUDIES, TRIALS
from tests.chaos.clock import START
from tests.chaos.faults import Recorded
from tests.chaos.invariants import Ledger, check, compare
from tests.chaos.pods import Body
from tests.chaos.remains import Remains
from tests.chaos.schedules import Schedule, study
from tests.chaos.server import Server
from tests.chaos.simulated import World, run
from tests.chaos.walk import ENDINGS


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


def charge_too_little(study: Body, trials: list[Body], ledger: Ledger) -> None:
    trials[0]["status"]["attempts"][0]["gpuSeconds"] -= 0.5
    for body in (trials[0], study):
        body["status"]["gpuSeconds"] -= 0.5


def forget_an_account(study: Body, trials: list[Body], ledger: Ledger) -> None:
    row = trials[0]["status"]["attempts"].pop()
    for body in (trials[0], study):
        body["status"]["gpuSeconds"] -= row["gpuSeconds"]


def charge_a_trial_too_little(_: Body, trials: list[Body], ledger: Ledger) -> None:
    trials[0]["status"]["gpuSeconds"] -= 0.5


def charge_the_study_too_little(study: Body, trials: list[Body], ledger: Ledger) -> None:
    study["status"]["gpuSeconds"] -= 0.5


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
SPOILS: list[tuple[str, Spoil, str]] = [
    ("Promotion", lose_a_trial, r"^\[1, 2, 3, 4\]"),
    ("Promotion", number_twice, "sequence"),
    ("Promotion", record_another_value, r"s-0-\d at 1"),
    ("Promotion", charge_too_little, "s-0-0 held its GPU for"),
    ("Promotion", forget_an_account, r"s-0-\d has no account"),
    ("Promotion", charge_a_trial_too_little, "^s-0$"),
    ("Promotion", charge_the_study_too_little, "^study .*, trials "),
    ("Promotion", leave_a_pod, "outlives its study"),
    ("Promotion", leave_an_orphan, "is nobody's"),
    ("Promotion", crowd, "too many pods"),
    ("Promotion", end_for_another_reason, "Other"),
    ("Promotion", promote_the_worst, "at level 0"),
    ("Synchronous", promote_the_worst, "at level 0"),
    ("Stopping", stop_nobody, "at level 0"),
]


@pytest.mark.parametrize("mode", ["Promotion", "Synchronous", "Stopping"])
def test_a_good_end_passes(mode: str) -> None:
    check(*parts(mode))
    compare(parts(mode)[1], good(mode).trials)


@pytest.mark.parametrize(
    ("mode", "spoil", "noticed"), SPOILS, ids=lambda x: getattr(x, "__name__", None)
)
def test_a_spoiled_end_does_not(mode: str, spoil: Spoil, noticed: str) -> None:
    spoiled = parts(mode)
    spoil(*spoiled)
    with pytest.raises(AssertionError, match=noticed):
        check(*spoiled)


@cache
def cleared(life: str) -> World:
    return run(ENDINGS[life]("good", faults=Recorded(), ordered=True))


def remains(life: str) -> Remains:
    return copy.copy(cleared(life).remains)


@pytest.mark.parametrize("life", ENDINGS)
def test_a_study_that_is_cleared_away_passes(life: str) -> None:
    world = cleared(life)
    check(world.study, world.trials, world.ledger)
    remains(life).check(exact=True)


@pytest.mark.parametrize("life", ENDINGS)
def test_another_clean_up_is_noticed(life: str) -> None:
    spoiled = remains(life)
    spoiled.removed = spoiled.removed - {min(spoiled.removed)}
    with pytest.raises(AssertionError, match="removed"):
        spoiled.check(exact=False)
    spoiled.removed = spoiled.removed | {2}  # the best
    with pytest.raises(AssertionError, match="not"):
        spoiled.check(exact=True)


def study_on_its_way() -> tuple[Server, Remains]:
    """A study with one trial that is completed and one that is stopped."""
    server = Server(lambda: START)
    server.add(STUDIES, study(ttlAfterFinished="1h", budget={"gpuHours": 1}))
    watched = Remains(server, "s", lambda: START)
    server.removed, server.written = watched.gone, watched.written
    server.find(STUDIES, "s")["status"] = {"completionTime": START.isoformat()}  # type: ignore[index]
    for source in (first(parts("Stopping")[1], state) for state in ("Completed", "Stopped")):
        server.add(TRIALS, source)["status"] = source["status"]
    return server, watched


def test_what_is_deleted_too_early_is_noticed() -> None:
    server, watched = study_on_its_way()
    server.remove(TRIALS, server.bodies(TRIALS)[0]["metadata"]["name"])
    assert "before it was archived" in watched.wrong[0]
    server.remove(STUDIES, "s")
    assert "too early" in watched.wrong[1]


def test_a_trial_stopped_before_its_budget_is_noticed() -> None:
    server, watched = study_on_its_way()
    trial = server.bodies(TRIALS)[1]
    trial["status"] |= {"reason": "StudyEnded"}
    watched.written(trial)
    assert "before the status named a reason" in watched.wrong[0]


def test_a_checkpoint_that_is_wanted_is_noticed() -> None:
    _, watched = study_on_its_way()
    for trial in watched.trials:
        text = str(trial["spec"]["index"])
        watched.cleaner_made({"metadata": {"annotations": {names.REMOVES_ANNOTATION: text}}})
    assert len(watched.wrong) == 1 and "Completed" in watched.wrong[0]


def test_another_decision_is_noticed() -> None:
    trials = parts("Promotion")[1]
    trials[0]["status"]["reason"] = "Other"
    with pytest.raises(AssertionError, match="undisturbed"):
        compare(trials, good("Promotion").trials)
