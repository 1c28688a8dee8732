"""Which pods are made and ended for each state of a trial."""

from typing import Any

import msgspec
import pytest

from hyperband.backends.kubernetes.matching import match
from hyperband.backends.kubernetes.objects import Pod
from hyperband.core.records import Suggestion, Trial, TrialState


def trial(state: TrialState, attempt: int = 1) -> Trial:
    return Trial(0, Suggestion({}, "Random"), 0, state, target=1, attempt=attempt)


def pod(attempt: int, phase: str = "Running", ending: bool = False) -> Pod:
    metadata: dict[str, Any] = {
        "name": f"s-0-{attempt}",
        "uid": f"u{attempt}",
        "resourceVersion": "1",
        "ownerReferences": [
            {"uid": "t", "kind": "HyperbandTrial", "name": "s-0", "controller": True}
        ],
    }
    if ending:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return msgspec.convert({"metadata": metadata, "status": {"phase": phase}}, Pod)


def numbers(pods: tuple[Pod, ...]) -> list[str]:
    return [p.metadata.name for p in pods]


@pytest.mark.parametrize("suspended", [False, True])
def test_a_pending_trial_gets_its_pod_unless_the_study_is_suspended(suspended: bool) -> None:
    assert match(trial(TrialState.PENDING), [], suspended=suspended).create is not suspended


def test_a_pod_that_is_there_is_not_made_again() -> None:
    for phase in ("Pending", "Running", "Succeeded", "Failed"):
        assert not match(trial(TrialState.PENDING), [pod(1, phase)], suspended=False).create


def test_a_running_trial_whose_pod_is_missing_waits_for_a_decision() -> None:
    assert not match(trial(TrialState.RUNNING), [], suspended=False).create


@pytest.mark.parametrize(("phase", "made"), [("Running", False), ("Succeeded", True)])
def test_the_next_attempt_waits_for_the_end_of_the_one_before(phase: str, made: bool) -> None:
    assert match(trial(TrialState.PENDING), [pod(0, phase)], suspended=False).create is made


def test_an_earlier_attempt_may_end_by_itself_until_its_overtime_is_up() -> None:
    first = match(trial(TrialState.PENDING), [pod(0)], suspended=False)
    assert (numbers(first.overtime), first.delete) == (["s-0-0"], ())
    later = match(trial(TrialState.PENDING), [pod(0)], suspended=False, overdue={"u0"})
    assert (later.overtime, numbers(later.delete)) == ((), ["s-0-0"])


@pytest.mark.parametrize("state", [TrialState.PAUSED, TrialState.COMPLETED])
def test_a_pod_at_its_target_may_end_by_itself(state: TrialState) -> None:
    assert numbers(match(trial(state), [pod(1)], suspended=False).overtime) == ["s-0-1"]


@pytest.mark.parametrize("state", [TrialState.STOPPED, TrialState.FAILED])
def test_a_pod_of_a_trial_that_was_stopped_is_deleted_at_once(state: TrialState) -> None:
    assert numbers(match(trial(state), [pod(1)], suspended=False).delete) == ["s-0-1"]


def test_suspension_ends_running_pods() -> None:
    assert numbers(match(trial(TrialState.RUNNING), [pod(1)], suspended=True).delete) == ["s-0-1"]


def test_a_pod_that_is_ending_or_over_is_left_alone() -> None:
    for one in (pod(1, ending=True), pod(1, "Succeeded"), pod(1, "Failed")):
        for state in (TrialState.STOPPED, TrialState.PAUSED):
            wanted = match(trial(state), [one], suspended=False)
            assert (wanted.delete, wanted.overtime) == ((), ())


@pytest.mark.parametrize("state", [TrialState.PAUSED, TrialState.COMPLETED])
def test_a_suspended_study_grants_no_overtime(state: TrialState) -> None:
    wanted = match(trial(state), [pod(1)], suspended=True)
    assert (numbers(wanted.delete), wanted.overtime) == (["s-0-1"], ())


@pytest.mark.parametrize("state", [TrialState.PENDING, TrialState.RUNNING, TrialState.PAUSED])
def test_a_pod_that_was_made_after_its_attempt_had_ended_is_deleted_at_once(
    state: TrialState,
) -> None:
    wanted = match(trial(state), [pod(0), pod(1)], suspended=False, ended=0)
    assert numbers(wanted.delete) == ["s-0-0"]
    assert not wanted.create
