"""How long a trial whose attempts keep ending early waits for its next one. Pure.

The first repetition is immediate: a pod that was preempted shall lose no time. A node that refuses
every pod, or a controller that deletes each, must not get a new one at every look. An autoscaler
that moves a pod again and again is no such thing, as long as its trial gets further each time.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import takewhile

from hyperband.api.trial import AttemptRecord
from hyperband.core.decisions import Outcome

FIRST = timedelta(seconds=10)  # doubled with each further attempt
LONGEST = timedelta(minutes=5)
LASTING = timedelta(minutes=10)  # an attempt that ran for this long did not end early
_DOUBLINGS = 10  # more than LONGEST needs, and less than a timedelta can hold


def seconds_to_wait(attempts: Sequence[AttemptRecord], now: datetime) -> float:
    """Seconds from now until the next attempt may start, after these, which are over."""
    early = list(takewhile(lambda each: _was_in_vain(each, attempts), reversed(attempts)))
    if len(early) < 2 or early[0].end_time is None:
        return 0.0
    pause = min(LONGEST, FIRST * (1 << min(len(early) - 2, _DOUBLINGS)))
    # The end is by a node's clock, which may differ from ours.
    rest = min(pause, early[0].end_time + pause - now)
    return max(0.0, rest.total_seconds())


def _was_in_vain(attempt: AttemptRecord, all_: Sequence[AttemptRecord]) -> bool:
    """Whether it was soon cut short, and whatever cut it short lets nothing get ahead."""
    if attempt.outcome not in (Outcome.FAILED, Outcome.DISRUPTED):
        return False
    if attempt.outcome == Outcome.DISRUPTED and _got_further(attempt, all_):
        return False
    if attempt.start_time is None or attempt.end_time is None:
        return True
    return attempt.end_time - attempt.start_time < LASTING


def _got_further(attempt: AttemptRecord, all_: Sequence[AttemptRecord]) -> bool:
    """Whether it reported more of the resource than any attempt before it."""
    before = [each.resource for each in all_ if each.number < attempt.number]
    reached = max((resource for resource in before if resource is not None), default=0.0)
    return attempt.resource is not None and attempt.resource > reached
