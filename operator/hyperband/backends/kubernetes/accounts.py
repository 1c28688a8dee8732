"""The account of an attempt, once its pod has ended. Pure."""

from datetime import datetime

from hyperband.api.trial import AttemptRecord, TrialResource
from hyperband.backends.kubernetes.attempts import attempt_number, ending, is_over, usage
from hyperband.backends.kubernetes.sightings import Sighting
from hyperband.core.decisions import Outcome


def account(
    seen: Sighting, resource: TrialResource, gpu_resources: tuple[str, ...], now: datetime
) -> AttemptRecord | None:
    """What the attempt has come to and cost; None if that has been written before.

    Attempts end in the order of their numbers, so one that is not above the last account, or is
    above the trial's own attempt, is none of ours to write.

    Args:
        now: the end of a pod that was gone before it was seen to end.
    """
    pod, trial, number = seen.pod, resource.trial, attempt_number(seen.pod)
    if number is None or number > trial.attempt:
        return None
    if any(known.number >= number for known in resource.attempts):
        return None
    how, used = ending(pod), usage(pod, gpu_resources)
    outcome, reason = how.outcome, how.detail
    if not is_over(pod):
        outcome, reason = Outcome.DISRUPTED, "its pod was deleted"
    if outcome is Outcome.DISRUPTED and not trial.state.active:  # we ended it ourselves
        outcome, reason = Outcome.ENDED, trial.reason
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
