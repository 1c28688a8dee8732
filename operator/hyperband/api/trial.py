"""A HyperbandTrial object as records, and back."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from hyperband.api import names
from hyperband.api.metrics import NO_REPORTS, Reports, thin
from hyperband.api.owners import owner_reference
from hyperband.api.schema.trial import MAX_ATTEMPTS, MAX_COUNT
from hyperband.api.status import short
from hyperband.api.study import StudyResource
from hyperband.api.times import moment
from hyperband.core.engine import Engine
from hyperband.core.records import Fit, Report, RungValue, Suggestion, Trial, TrialState
from hyperband.core.rungs import Ladder

MAX_GPU_SECONDS = 1e15  # 30 million GPUs for a year: what is more was not counted, but written


class Metadata(Protocol):
    """What is read of an object's metadata."""

    @property
    def name(self) -> str: ...
    @property
    def uid(self) -> str: ...
    @property
    def resource_version(self) -> str: ...


class TrialObject(Protocol):
    """A HyperbandTrial as a client gives it: spec and status as they are in JSON."""

    @property
    def metadata(self) -> Metadata: ...
    @property
    def spec(self) -> Mapping[str, Any]: ...
    @property
    def status(self) -> Mapping[str, Any]: ...


_JUDGED = {TrialState.PAUSED, TrialState.STOPPED, TrialState.COMPLETED}


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """The account of one pod of a trial: what it has cost is known once it has ended."""

    number: int
    pod: str
    node: str = ""
    start_time: datetime | None = None  # accepted by its node
    training_time: datetime | None = None  # its training container started
    end_time: datetime | None = None
    outcome: str = ""  # a hyperband.core.decisions.Outcome
    reason: str = ""
    resource: float | None = None  # of its last report
    gpu_seconds: float = 0.0

    @property
    def ended(self) -> bool:
        return self.end_time is not None


@dataclass(frozen=True, slots=True)
class TrialResource:
    """A HyperbandTrial: the core's trial, and what else its object holds."""

    trial: Trial
    name: str
    uid: str
    resource_version: str
    ladder: Ladder = field(repr=False, compare=False)  # to write resources beside levels
    curve: tuple[Report, ...] = ()  # values only; ascending resource
    latest: Report | None = None  # of a trial that is decided: the one that was judged
    attempts: tuple[AttemptRecord, ...] = ()  # the last MAX_ATTEMPTS, ascending number
    gpu_seconds: float = 0.0  # of all attempts, also of those no longer listed
    evidence: Mapping[str, float] = field(default_factory=dict)
    report_error: str | None = None
    transition_time: datetime | None = None
    read_time: datetime | None = None  # when its writer had read all records anew

    @property
    def open_attempt(self) -> AttemptRecord | None:
        """The attempt that was seen running and not to end yet, if there is one."""
        last = self.attempts[-1] if self.attempts else None
        return last if last is not None and not last.ended else None

    def with_attempt(self, attempt: AttemptRecord) -> "TrialResource":
        """The attempt accounted for; itself if that or a later one has been before."""
        before = self.attempts
        if (known := self.open_attempt) is not None and known.number == attempt.number:
            before = before[:-1]
        if any(known.number >= attempt.number for known in before):
            return self
        return replace(
            self,
            attempts=(*before, attempt)[-MAX_ATTEMPTS:],
            gpu_seconds=self.gpu_seconds + attempt.gpu_seconds,
        )

    def with_reports(self, reports: Reports) -> "TrialResource":
        """The attempt's reports added to the curve, which is kept bounded."""
        if reports is NO_REPORTS:
            return self
        start = self.curve[-1].resource if self.curve else -1.0
        new = [report for report in reports.reports if report.resource > start]
        rungs = self.trial.rungs
        judged = self.trial.state in _JUDGED and rungs
        counting = [r for r in new if not judged or r.resource <= rungs[-1].resource]
        return replace(
            self,
            curve=thin([*self.curve, *new]),
            latest=counting[-1] if counting else self.latest,
            report_error=reports.error,
        )


# -- reading -----------------------------------------------------------------------------------


def parse_trial(item: TrialObject, engine: Engine) -> TrialResource:
    """The records in an object. An empty status means that nothing has happened to the trial.

    Args:
        engine: of the trial's study; gives a new trial its target, and values their types.

    Raises:
        KeyError, ValueError: the object is not what its definition lets through, or a value of its
            configuration is none that the study's parameters can have.
    """
    try:
        return _parse(item, engine)
    except (AttributeError, IndexError, OverflowError, TypeError) as error:  # of another shape
        raise ValueError(str(error)) from error


def _parse(item: TrialObject, engine: Engine) -> TrialResource:
    spec, status = item.spec, item.status or {}
    suggestion = Suggestion(
        # With the types and the order of the space: a server gives back 1.0 as 1, and sorts keys.
        engine.study.space.canonical(spec["parameters"], "spec.parameters"),
        spec["suggestion"]["origin"],
        _floats(spec["suggestion"].get("detail")),
        _fit(spec["suggestion"].get("fit")),
    )
    trial = engine.new_trial(int(spec["index"]), int(spec["bracket"]), suggestion)
    if status.get("state"):
        trial = _with_status(trial, status)
    gpu_seconds = float(status.get("gpuSeconds", 0.0))
    _check(trial, engine.ladder, gpu_seconds)
    latest = status.get("latest")
    return TrialResource(
        trial=trial,
        name=item.metadata.name,
        uid=item.metadata.uid,
        resource_version=item.metadata.resource_version,
        ladder=engine.ladder,
        curve=tuple(_point(each) for each in status.get("curve") or ()),
        latest=_point(latest) if latest else None,
        attempts=tuple(_attempt(each) for each in status.get("attempts") or ()),
        gpu_seconds=gpu_seconds,
        evidence=_floats(status.get("evidence")),
        report_error=status.get("reportError"),
        transition_time=_time(status.get("transitionTime")),
        read_time=_time(status.get("readTime")),
    )


def _check(trial: Trial, ladder: Ladder, gpu_seconds: float) -> None:
    """What the engine relies on; only an edit by hand breaks it."""
    levels = [value.level for value in trial.rungs]
    if not 0 <= trial.bracket <= ladder.top or not 0 <= trial.target <= ladder.top:
        raise ValueError(f"target level {trial.target} is not one of 0 to {ladder.top}")
    if levels != sorted(set(levels)) or (levels and not 0 <= levels[0] <= levels[-1] <= ladder.top):
        raise ValueError(f"rung levels {levels} are not ascending within 0 to {ladder.top}")
    if trial.state is TrialState.PAUSED and not levels:
        raise ValueError("a paused trial has no value at any rung")
    if trial.state.active and levels and levels[-1] >= trial.target:
        raise ValueError(f"a {trial.state.value} trial has a value at its target level already")
    counts = (trial.attempt, trial.failures, trial.disruptions, *(v.sequence for v in trial.rungs))
    if not 0 <= min(counts) <= max(counts) <= MAX_COUNT // 2:  # the next ones must be valid, too
        raise ValueError(f"a count or sequence number of {max(counts)} cannot be")
    resources = [value.resource for value in trial.rungs]
    if not all(0.0 <= resource <= ladder[ladder.top] for resource in resources):
        raise ValueError(f"rung resources {resources} are not within 0 to {ladder[ladder.top]:g}")
    if not 0.0 <= gpu_seconds <= MAX_GPU_SECONDS:
        raise ValueError(f"a gpuSeconds of {gpu_seconds:g} cannot be")


def _with_status(trial: Trial, status: Mapping[str, Any]) -> Trial:
    return replace(
        trial,
        state=TrialState(status["state"]),
        target=int(status.get("targetLevel", trial.target)),
        attempt=int(status.get("attempt", 0)),
        rungs=tuple(
            RungValue(
                int(each["level"]),
                float(each["value"]),
                int(each["sequence"]),
                float(each["resource"]),
            )
            for each in status.get("rungs") or ()
        ),
        failures=int(status.get("failures", 0)),
        disruptions=int(status.get("disruptions", 0)),
        reason=status.get("reason") or "",
        message=status.get("message") or "",
    )


def _point(given: Mapping[str, Any]) -> Report:
    """A value that is not finite is left out; of the latest report, its text tells which."""
    value = given.get("value", given.get("text", math.nan))
    return Report(float(given["resource"]), float(value))


def _attempt(given: Mapping[str, Any]) -> AttemptRecord:
    resource = given.get("resource")
    return AttemptRecord(
        number=int(given["number"]),
        pod=given.get("pod", ""),
        node=given.get("node", ""),
        start_time=_time(given.get("startTime")),
        training_time=_time(given.get("trainingTime")),
        end_time=_time(given.get("endTime")),
        outcome=given.get("outcome", ""),
        reason=given.get("reason", ""),
        resource=None if resource is None else float(resource),
        gpu_seconds=float(given.get("gpuSeconds", 0.0)),
    )


def _floats(given: Mapping[str, Any] | None) -> dict[str, float]:
    return {key: float(value) for key, value in (given or {}).items()}


def _fit(given: Mapping[str, Any] | None) -> Fit | None:
    return Fit(int(given["values"]), tuple(map(float, given["hyperparameters"]))) if given else None


def _time(text: str | None) -> datetime | None:
    read = moment(text)
    return None if read is None else read.astimezone(UTC)


# -- writing -----------------------------------------------------------------------------------


def trial_manifest(study: StudyResource, trial: Trial) -> dict[str, Any]:
    """The object of a new trial. A server drops a status in a create, so it has none."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.TRIAL_KIND,
        "metadata": {
            "name": names.trial_name(study.name, trial.index),
            "namespace": study.namespace,
            "labels": {names.STUDY_LABEL: study.name, names.TRIAL_LABEL: str(trial.index)},
            "ownerReferences": [owner_reference(names.STUDY_KIND, study.name, study.uid)],
        },
        "spec": {
            "index": trial.index,
            "bracket": trial.bracket,
            "parameters": dict(trial.suggestion.parameters),
            "suggestion": _set(
                {
                    "origin": trial.suggestion.origin,
                    "detail": _finite(trial.suggestion.detail),
                    "fit": _write_fit(trial.suggestion.fit),
                }
            ),
        },
    }


def trial_status(resource: TrialResource) -> dict[str, Any]:
    """The whole status, to replace the one in the object; what is not set is left out."""
    trial = resource.trial
    status: dict[str, Any] = {
        "state": trial.state.value,
        "targetLevel": trial.target,
        "target": resource.ladder[trial.target],
        "attempt": trial.attempt,
        "failures": trial.failures,
        "disruptions": trial.disruptions,
        "rungs": [
            {
                "level": each.level,
                "resource": each.resource,
                "value": each.value,
                "sequence": each.sequence,
            }
            for each in trial.rungs
        ],
        "latest": _write_latest(resource.latest) if resource.latest else None,
        "curve": [_write_point(each) for each in resource.curve],
        "reason": trial.reason or None,
        "message": trial.message[:4096] or None,
        "evidence": _finite(resource.evidence),
        "reportError": resource.report_error[:4096] if resource.report_error else None,
        "transitionTime": _write_time(resource.transition_time),
        "readTime": _write_time(resource.read_time),
        "gpuSeconds": resource.gpu_seconds,
        "attempts": [_write_attempt(each) for each in resource.attempts[-MAX_ATTEMPTS:]],
    }
    return _set(status)


def _write_point(report: Report) -> dict[str, float]:
    """JSON has no NaN: a value that is not finite is left out."""
    return {"resource": report.resource, **_finite({"value": report.value})}


def _write_latest(report: Report) -> dict[str, Any]:
    return {**_write_point(report), "text": short(report.value)}


def _write_attempt(attempt: AttemptRecord) -> dict[str, Any]:
    record = {
        "number": attempt.number,
        "pod": attempt.pod or None,
        "node": attempt.node or None,
        "startTime": _write_time(attempt.start_time),
        "trainingTime": _write_time(attempt.training_time),
        "endTime": _write_time(attempt.end_time),
        "outcome": attempt.outcome or None,
        "reason": attempt.reason[:1024] or None,
        "resource": attempt.resource,
        "gpuSeconds": attempt.gpu_seconds,
    }
    return _set(record)


def _write_fit(fit: Fit | None) -> dict[str, Any] | None:
    """JSON has no NaN: a fit that has come to nothing is left out, as a whole."""
    if fit is None or not all(map(math.isfinite, fit.hyperparameters)):
        return None
    return {"values": fit.values, "hyperparameters": list(fit.hyperparameters)}


def _write_time(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None


def _finite(numbers: Mapping[str, float]) -> dict[str, float]:
    return {key: value for key, value in numbers.items() if math.isfinite(value)}


def _set(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if value is not None}
