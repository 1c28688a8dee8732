"""How long a trial waits whose attempts were cut short, by what they came to."""

from datetime import UTC, datetime, timedelta

import pytest

from hyperband.api.trial import AttemptRecord
from hyperband.backends.kubernetes.backoff import FIRST, LONGEST, seconds_to_wait
from hyperband.core.decisions import Outcome

START = datetime(2026, 11, 29, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def attempts(
    *ends: tuple[Outcome, float | None], lasting: timedelta = MINUTE
) -> list[AttemptRecord]:
    """One after the other, each with its outcome and the resource that it reported."""
    return [
        AttemptRecord(
            number=number,
            pod=f"s-0-{number}",
            start_time=START + number * lasting,
            end_time=START + (number + 1) * lasting,
            outcome=outcome.value,
            resource=resource,
        )
        for number, (outcome, resource) in enumerate(ends)
    ]


def wait(*ends: tuple[Outcome, float | None], lasting: timedelta = MINUTE) -> timedelta:
    """How long, right after the last end."""
    made = attempts(*ends, lasting=lasting)
    return timedelta(seconds=seconds_to_wait(made, START + len(made) * lasting))


TAKEN, FAILED = (Outcome.DISRUPTED, None), (Outcome.FAILED, None)


def test_the_first_repetition_is_immediate_and_the_next_ones_come_slower_and_slower() -> None:
    assert wait(TAKEN) == timedelta(0)
    assert [wait(*[TAKEN] * count) for count in (2, 3, 4)] == [FIRST, 2 * FIRST, 4 * FIRST]
    assert wait(*[FAILED] * 30) == LONGEST


def test_a_trial_that_gets_further_each_time_is_moved_without_a_pause() -> None:
    """A node was let go under it, and another one, with its checkpoint written in between."""
    moved = [(Outcome.DISRUPTED, float(epoch)) for epoch in (2, 3, 5, 6)]
    assert wait(*moved) == timedelta(0)
    assert wait(*moved, TAKEN) == timedelta(0), "one in vain is repeated at once, as ever"
    assert wait(*moved, TAKEN, TAKEN) == FIRST
    assert wait(TAKEN, TAKEN, (Outcome.DISRUPTED, 1.0)) == timedelta(0)


@pytest.mark.parametrize("again", [3.0, 2.0])
def test_one_that_only_gets_as_far_as_before_has_to_wait(again: float) -> None:
    """It has no checkpoint, or tells of its past: nothing is gained by haste."""
    assert wait((Outcome.DISRUPTED, 3.0), (Outcome.DISRUPTED, again), TAKEN) == FIRST


def test_a_training_that_fails_has_to_wait_however_far_it_gets() -> None:
    assert wait((Outcome.FAILED, 1.0), (Outcome.FAILED, 2.0)) == FIRST


def test_what_lasted_was_not_in_vain() -> None:
    assert wait(TAKEN, TAKEN, TAKEN, lasting=timedelta(minutes=11)) == timedelta(0)
