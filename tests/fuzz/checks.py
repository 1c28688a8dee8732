"""What must hold whatever comes in; each check raises where it does not.

Refusals are part of the contract: they are the exceptions that docstrings name, short, and such
that UTF-8 can hold them, as they go into conditions and events.
"""

import json
import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from hyperband.api import names
from hyperband.api.files import parse_manifest
from hyperband.api.metrics import parse_metrics
from hyperband.api.schema.build import OPEN, Schema
from hyperband.api.schema.check import complete
from hyperband.api.schema.study_spec import SPEC
from hyperband.api.schema.study_status import STATUS
from hyperband.api.schema.trial import TRIAL_SPEC, TRIAL_STATUS
from hyperband.api.status import progress
from hyperband.api.study import StudyResource, parse_study
from hyperband.api.trial import TrialResource, parse_trial, trial_manifest, trial_status
from hyperband.api.warm_start import check_comparable, find, inherit
from hyperband.backends.kubernetes.objects import Metadata, Pod, PodStatus
from hyperband.backends.kubernetes.render import render_pod
from hyperband.backends.kubernetes.sightings import sight
from hyperband.core.decisions import Action
from hyperband.core.engine import Engine
from hyperband.core.errors import MAX_FIELD, MAX_PROBLEM, InvalidStudyError
from hyperband.core.records import Report, Spent
from tests.studies import changed, good_study, through_server

TRIALS: Final = 2  # that an accepted study launches

_TARGET: Final = {"metric": "accuracy", "goal": "Maximize", "value": 0.99}
GOOD: Final = parse_study(changed(good_study(), {"spec.earlyStopping": [_TARGET]}))


@dataclass(frozen=True)
class Meta:
    """Of an object in a test."""

    name: str = "digits-0"
    uid: str = "uid"
    resource_version: str = "1"


@dataclass(frozen=True)
class Body:
    """A HyperbandTrial."""

    spec: Mapping[str, Any]
    status: Mapping[str, Any] = field(default_factory=dict)
    metadata: Meta = Meta()


def _good_engine() -> Engine:
    """With one trial that runs and has reported nothing."""
    engine = Engine(GOOD.study)
    decision = engine.launch()
    assert decision is not None
    engine.put(decision.trial)
    running = engine.seen_running(decision.trial.index)
    assert running is not None
    engine.put(running.trial)
    return engine


ENGINE: Final = _good_engine()
RECORD: Final = TrialResource(ENGINE.trials[0], "digits-0", "uid", "1", ENGINE.ladder)


def now_and_then(given: str | bytes) -> bool:
    """True for one input in eight, the same one each time: for checks that take their time."""
    return zlib.crc32(given.encode(errors="replace") if isinstance(given, str) else given) % 8 == 0


# -- the annotation --------------------------------------------------------------------------------


def check_annotation(text: str) -> None:
    """What `parse_metrics` makes of an annotation, and the operator of that."""
    found = parse_metrics(text, "val_loss", "epochs")
    resources = [report.resource for report in found.reports]
    assert resources == sorted(resources)
    assert all(math.isfinite(resource) and resource >= 0 for resource in resources)
    if found.error is not None:
        _check_text(found.error, MAX_PROBLEM)
    written = json.dumps(
        [{"epochs": r.resource, "val_loss": r.value, **r.metrics} for r in found.reports]
    )
    if len(written) <= names.MAX_METRICS_BYTES:
        again = parse_metrics(written, "val_loss", "epochs")
        assert repr(again.reports) == repr(found.reports) and again.error is None
    decision = ENGINE.observe(0, found.reports)
    if now_and_then(text):
        metadata = Metadata("digits-0-0", "uid", annotations={names.METRICS_ANNOTATION: text})
        seen = sight(Pod(metadata, status=PodStatus("Succeeded")), GOOD.study)
        assert repr(seen.reports) == repr(found)
        if decision is None:
            end = seen.outcome()
            decision = ENGINE.attempt_ended(0, end.outcome, end.detail)
            assert decision is not None
        record = replace(RECORD, trial=decision.trial, evidence=decision.evidence)
        _check_record(GOOD, record.with_reports(found), ENGINE)


# -- objects ---------------------------------------------------------------------------------------


def check_study(body: Any) -> None:
    """What `parse_study` makes of an object: a refusal, or a study that runs."""
    try:
        resource = parse_study(body)
    except InvalidStudyError as error:
        _check_refusal(error)
        return
    metadata = {key: body["metadata"].get(key) for key in ("name", "namespace", "uid")}
    spec = through_server(complete(SPEC, body["spec"], "spec"))
    again = parse_study({"metadata": through_server(metadata), "spec": spec})
    assert replace(again, generation=resource.generation) == resource
    check_comparable(replace(resource, warm_start=("old",)), 0, {"spec": spec})
    assert 0 <= resource.gpus < math.inf
    engine = Engine(resource.study)
    for _ in range(TRIALS):
        decision = engine.launch()
        if decision is None:
            break
        engine.put(decision.trial)
        _check_trial(resource, engine, decision.trial.index)
    assert engine.trials
    status = progress(engine, Spent())
    _encoded(status)
    complete(STATUS, status, "status")


def _check_trial(resource: StudyResource, engine: Engine, index: int) -> None:
    trial = engine.trials[index]
    _encoded(render_pod(resource, trial, "trial-uid", engine.ladder))
    target = engine.ladder[trial.target]
    decision = engine.observe(index, [Report(target / 2, 0.5), Report(target, 0.25)])
    assert decision is not None
    record = TrialResource(trial, names.trial_name(resource.name, index), "u", "1", engine.ladder)
    _check_record(resource, replace(record, trial=decision.trial), engine)
    if decision.action is Action.PAUSE:
        engine.put(decision.trial)


def _check_record(study: StudyResource, record: TrialResource, engine: Engine) -> None:
    """The definition lets the object of this record through, and it comes back as it was."""
    manifest = trial_manifest(study, record.trial)
    status = trial_status(record)
    _encoded(manifest)
    _encoded(status)
    complete(TRIAL_SPEC, manifest["spec"], "spec")
    complete(TRIAL_STATUS, status, "status")
    body = Body(through_server(manifest["spec"]), through_server(status), Meta(record.name))
    assert trial_status(parse_trial(body, engine)) == status
    assert parse_trial(body, engine).trial.parameters == record.trial.parameters


def check_trial(spec: Any, status: Any) -> None:
    """What `parse_trial` makes of an object that somebody has edited."""
    body = Body(spec, status)
    try:
        record = parse_trial(body, ENGINE)
    except (KeyError, ValueError) as error:
        if isinstance(error, InvalidStudyError):
            _check_text(error.problem, MAX_PROBLEM)
        return
    try:
        complete(TRIAL_SPEC, spec, "spec")
        complete(TRIAL_STATUS, status or {}, "status")
    except InvalidStudyError:
        return  # no server lets it through
    written = trial_status(record)
    _encoded(written)
    complete(TRIAL_STATUS, written, "status")
    assert trial_status(parse_trial(Body(spec, written), ENGINE)) == written
    inherited = inherit("old", "uid", find("old", [body], GOOD.study.space), 100)
    _check_text(inherited.message, MAX_PROBLEM)


def check_file(content: bytes) -> None:
    """What is made of a file."""
    try:
        body = parse_manifest(content, "study.yaml")
    except InvalidStudyError as error:
        _check_text(error.field, MAX_FIELD)
        _check_text(error.problem, MAX_PROBLEM)
        return
    check_study(body)


# -- refusals --------------------------------------------------------------------------------------


def _check_refusal(error: InvalidStudyError) -> None:
    _check_text(error.field, MAX_FIELD)
    _check_text(error.problem, MAX_PROBLEM)
    assert str(error) == f"{error.field}: {error.problem}"
    assert is_field(error.field), error.field


def _check_text(text: str, most: int) -> None:
    assert isinstance(text, str) and 0 < len(text) <= most, len(text)
    text.encode()


def is_field(path: str) -> bool:
    """Whether a HyperbandStudy has the field, or an object in which it might be."""
    root, *steps = re.findall(r"[^.\[\]]+|\[\d+\]", path)
    if root != "spec":
        return root == "metadata"
    schema: Schema = SPEC
    for step in steps:
        if schema.get(OPEN) or "additionalProperties" in schema:
            return True
        if step.startswith("["):
            schema = schema["items"]
        elif step in schema.get("properties", ()):
            schema = schema["properties"][step]
        else:
            return step is steps[-1] or schema.get("type") == "object"
    return True


def _encoded(body: Any) -> None:
    """The operator's client can write the body, and loses nothing."""
    msgspec.json.encode(body)
    json.dumps(body, allow_nan=False)
