"""The account of an attempt: begun when it is seen running, closed when its pod has ended. Pure.

An account that was begun is closed even where nobody saw the pod go.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from hyperband.api.trial import AttemptRecord, TrialResource
from hyperband.backends.kubernetes.attempts import attempt_number, mark, usage
from hyperband.backends.kubernetes.objects import Pod
from hyperband.backends.kubernetes.sightings import Sighting
from hyperband.core.decisions import Outcome

GONE = "its pod is gone"


def account(
    seen: Sighting, resource: TrialResource, gpu_resources: tuple[str, ...], now: datetime
) -> AttemptRecord | None:
    """What the attempt has come to and cost; None if that has been written before.

    Attempts end in the order of their numbers, so one that is not above the last account, or is
    above the trial's own attempt, is none of ours to write.

    Args:
        now: the end of a pod whose end nobody saw.
    """
    pod, trial, number = seen.pod, resource.trial, attempt_number(seen.pod)
    if number is None or number > trial.attempt or is_closed(resource, number):
        return None
    how, used = seen.outcome(), usage(pod, gpu_resources)
    outcome, reason = how.outcome, how.detail
    if outcome is Outcome.DISRUPTED and not trial.state.active:  # we ended it ourselves
        outcome, reason = Outcome.ENDED, trial.reason
    elif outcome is Outcome.DISRUPTED and (ended := mark(pod)) is not None:
        outcome, reason = Outcome.ENDED, ended.why
    reached = seen.reports.reports
    return AttemptRecord(
        number=number,
        pod=pod.metadata.name,
        node=pod.spec.node_name or "",
        start_time=used.started,
        training_time=used.trained,
        end_time=used.ended or now,
        outcome=outcome.value,
        reason=reason,
        resource=reached[-1].resource if reached else None,
        gpu_seconds=used.gpu_seconds(now),
    )


def begun(pod: Pod) -> AttemptRecord:
    """The account of an attempt that runs: from when, and where; what it costs, its end tells."""
    used = usage(pod, ())
    return AttemptRecord(
        number=attempt_number(pod) or 0,
        pod=pod.metadata.name,
        node=pod.spec.node_name or "",
        start_time=used.started,
        training_time=used.trained,
    )


def lost(resource: TrialResource, gpus: float, now: datetime) -> AttemptRecord | None:
    """The account of an attempt whose pod is gone and was not seen to end, charged up to now."""
    known = resource.open_attempt
    if known is None:
        return None
    decided = not resource.trial.state.active
    return replace(
        known,
        end_time=now,
        outcome=(Outcome.ENDED if decided else Outcome.DISRUPTED).value,
        reason=resource.trial.reason if decided else GONE,
        gpu_seconds=max(0.0, (now - (known.start_time or now)).total_seconds()) * gpus,
    )


def is_closed(resource: TrialResource, number: int) -> bool:
    """Whether the account of that attempt is written."""
    return any(
        known.number > number or (known.number == number and known.ended)
        for known in resource.attempts
    )


def is_open(resource: TrialResource, number: int) -> bool:
    """Whether the account of that attempt is begun, and not closed yet."""
    known = resource.open_attempt
    return known is not None and known.number == number


@dataclass(frozen=True, slots=True)
class Running:
    """What pods have used that no closed account holds yet.

    Attributes:
        gpu_seconds: of pods that have ended.
        gpus: held just now.
        since: their starts, in seconds since 1970, each times the GPUs of its pod.
    """

    gpu_seconds: float = 0.0
    gpus: float = 0.0
    since: float = 0.0


def running(
    pods: Iterable[Pod], resource: TrialResource, gpu_resources: tuple[str, ...]
) -> Running:
    """What the pods of one trial have used so far, beside the closed accounts."""
    seconds = gpus = since = 0.0
    for pod in pods:
        number = attempt_number(pod)
        if number is None or number > resource.trial.attempt or is_closed(resource, number):
            continue
        used = usage(pod, gpu_resources)
        if used.started is not None and used.ended is None:
            gpus += used.gpus
            since += used.gpus * used.started.timestamp()
        elif used.ended is not None:
            seconds += used.gpu_seconds(used.ended)
    return Running(seconds, gpus, since)
