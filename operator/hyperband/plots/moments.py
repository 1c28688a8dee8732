"""When values were known, and what had been spent by then.

Objects have no time for a value at a rung, only for pods: between the start and the end of a
training it is taken to have gone on evenly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hyperband.plots.records import Attempt, Records, Run, RungValue


@dataclass(frozen=True, slots=True)
class Moment:
    """A value, and when it was known: seconds since the study's first pod started."""

    run: Run
    value: RungValue
    seconds: float | None


def begin(records: Records) -> float | None:
    """When the first pod started, in seconds since the epoch."""
    return min(
        (a.start for r in records.runs for a in r.attempts if a.start is not None), default=None
    )


def moments(records: Records) -> list[Moment]:
    """All values in the order in which they were recorded; moments never go back in it."""
    first, made = begin(records) or 0.0, []
    for run in records.runs:
        for value in run.values:
            known = _known(run.attempts, value.resource, records.anew)
            made.append(Moment(run, value, None if known is None else known - first))
    made.sort(key=lambda each: each.value.sequence)
    return made


def _known(attempts: Sequence[Attempt], resource: float, anew: bool) -> float | None:
    """When a training was at so much of the resource."""
    reached = 0.0
    for attempt in attempts:
        there = attempt.resource
        if there is None:
            continue
        if there >= resource:
            return _within(attempt, 0.0 if anew else reached, there, resource)
        reached = max(reached, there)
    return None


def _within(attempt: Attempt, reached: float, there: float, resource: float) -> float | None:
    began = attempt.training if attempt.training is not None else attempt.start
    if began is None or attempt.end is None:
        return None
    share = (resource - reached) / (there - reached) if there > reached else 1.0
    return began + min(max(share, 0.0), 1.0) * (attempt.end - began)


def gpu_hours(records: Records, seconds: Sequence[float]) -> list[float]:
    """What had been spent by these moments; each pod spends evenly while it runs."""
    first = begin(records) or 0.0
    known = [
        (a.start - first, a.end - first, a.gpu_seconds)
        for run in records.runs
        for a in run.attempts
        if a.start is not None and a.end is not None and a.gpu_seconds > 0
    ]
    if not known:
        return [0.0] * len(seconds)
    starts, ends, spent = np.array(known).T
    ends = np.maximum(ends, starts + 1e-6)
    rates = spent / (ends - starts)
    times = np.concatenate([starts, ends])
    order = np.argsort(times, kind="stable")
    times, rate = times[order], np.cumsum(np.concatenate([rates, -rates])[order])
    total = np.concatenate([[0.0], np.cumsum(rate[:-1] * np.diff(times))])
    return [float(hours) for hours in np.interp(seconds, times, total) / 3600]
