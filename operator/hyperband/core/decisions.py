"""The closed set of decisions, each with its reason and the numbers that made it.

A decision is a trial record as it shall be. Writing the record is what makes the decision true;
pods are then made to match the records.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hyperband.core.records import Trial

NO_RESULT = "NoResult"  # why a study is over whose trials are all decided, and none has a value


class Action(StrEnum):
    """What is done to a trial."""

    START = "Start"  # a new configuration
    PROMOTE = "Promote"  # a paused trial goes on to its next level
    RUN = "Run"  # its attempt was seen running
    CONTINUE = "Continue"  # a value was recorded and training goes on
    PAUSE = "Pause"  # its target is reached; it waits for a promotion
    STOP = "Stop"  # not good enough
    COMPLETE = "Complete"  # r_max is reached
    REPEAT = "Repeat"  # the attempt is lost or failed; another one follows
    FAIL = "Fail"  # given up


class Reason(StrEnum):
    """Why. CamelCase, as in the reasons of Kubernetes conditions."""

    NEW_CONFIGURATION = "NewConfiguration"
    PROMOTED = "Promoted"
    ATTEMPT_RUNNING = "AttemptRunning"
    GOOD_ENOUGH = "GoodEnough"
    RUNG_REACHED = "RungReached"
    NOT_GOOD_ENOUGH = "NotGoodEnough"
    RESOURCE_REACHED = "ResourceReached"
    DISRUPTED = "Disrupted"
    SUSPENDED = "Suspended"
    ATTEMPT_FAILED = "AttemptFailed"
    NO_FINAL_REPORT = "NoFinalReport"
    RETRIES_EXHAUSTED = "RetriesExhausted"
    DIVERGED = "Diverged"
    TARGET_REACHED = "TargetReached"
    STUDY_ENDED = "StudyEnded"


@dataclass(frozen=True, slots=True)
class Decision:
    """A trial record as it shall be, and why.

    `evidence` holds the numbers that the decision was made from, by name: level, value, rank,
    values (n, recorded at the rung), limit (the worst rank that is good enough), awaited (how many
    more values the rung waits for, if it does).
    """

    action: Action
    reason: Reason
    message: str
    trial: Trial
    evidence: Mapping[str, float] = field(default_factory=dict)


class Outcome(StrEnum):
    """How an attempt ended, as a backend saw it."""

    SUCCEEDED = "Succeeded"  # exit code 0
    FAILED = "Failed"  # the training's own fault: uses up a retry
    DISRUPTED = "Disrupted"  # taken away by the cluster or by somebody: does not
    ENDED = "Ended"  # by us: its trial is decided or suspended; only in accounts, decides nothing


@dataclass(frozen=True, slots=True)
class Finish:
    """Why a study is over."""

    succeeded: bool
    reason: str  # a reason of the conditions Succeeded or Failed
    message: str


@dataclass(frozen=True, slots=True)
class Closing:
    """Why a study starts no new work, though there would be some."""

    finish: Finish  # what it comes to when nothing runs any more
    patient: bool = False  # trials that run may go on to the end of their attempt
