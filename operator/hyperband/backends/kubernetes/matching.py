"""Which pods to make and which to end so that they match a trial's record. Pure.

Level-triggered: it looks at what is there, not at what happened, so it does the same whether an
event came once, twice, late or never.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from hyperband.backends.kubernetes.attempts import attempt_number, is_ending, is_over
from hyperband.backends.kubernetes.objects import Pod
from hyperband.core.records import Trial, TrialState


@dataclass(frozen=True, slots=True)
class Match:
    """What is to be done about one trial's pods."""

    create: bool = False  # the pod of the current attempt
    delete: tuple[Pod, ...] = ()
    overtime: tuple[Pod, ...] = ()  # alive and no longer needed; to be deleted later


def alive(pods: Sequence[Pod]) -> list[Pod]:
    """The pods that hold, or may still take, a slot."""
    return [pod for pod in pods if not is_over(pod)]


def match(
    trial: Trial,
    pods: Sequence[Pod],
    *,
    suspended: bool,
    overdue: Collection[str] = (),
    ended: int = -1,
) -> Match:
    """Compares a trial's record with its pods.

    Args:
        trial: the record as written.
        pods: the pods that the trial owns, in any phase.
        suspended: whether the study may run nothing now.
        overdue: uids of pods whose overtime is up.
        ended: the last attempt that is over by the record. A living pod of it, or of one before,
            was made late by an operator that leads no more: no overtime for it.
    """
    living = alive(pods)
    current = next((pod for pod in pods if attempt_number(pod) == trial.attempt), None)
    if trial.state.active and not suspended:
        others = [pod for pod in living if pod is not current]
        # The next attempt waits for the one before it, so that two never write one checkpoint.
        create = current is None and not others and trial.state is TrialState.PENDING
        return _end(others, overdue, ended, create=create)
    if trial.state in (TrialState.PAUSED, TrialState.COMPLETED) and not suspended:
        return _end(living, overdue, ended)
    return Match(delete=tuple(pod for pod in living if not is_ending(pod)))


def _end(
    pods: Sequence[Pod], overdue: Collection[str], ended: int, *, create: bool = False
) -> Match:
    """Pods that have done their part: those overdue or late are deleted, the others may finish."""
    still = [pod for pod in pods if not is_ending(pod)]
    due = [p for p in still if p.metadata.uid in overdue or attempt_number(p) in range(ended + 1)]
    return Match(
        create=create,
        delete=tuple(due),
        overtime=tuple(pod for pod in still if pod not in due),
    )
