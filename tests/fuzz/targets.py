"""The targets of the campaigns: functions of bytes that raise where a contract does not hold."""

import contextlib
import io
import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from hyperband.api import names
from hyperband.api.schema.build import record
from hyperband.api.schema.study_spec import SPEC
from hyperband.api.schema.trial import TRIAL_SPEC, TRIAL_STATUS
from hyperband.api.trial import trial_manifest, trial_status
from tests.fuzz.checks import (
    ENGINE,
    GOOD,
    RECORD,
    check_annotation,
    check_file,
    check_study,
    check_trial,
    now_and_then,
)
from tests.fuzz.scripts import check_script, script
from tests.fuzz.source import Source
from tests.studies import changed, good_study

MAX_SECONDS: Final = 10.0  # for one input, which takes milliseconds, on a machine that is busy

_POD: Final = "spec.trialTemplate.spec"
_STUDY: Final = json.dumps(
    changed(
        good_study(),
        {
            f"{_POD}.tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoExecute"}],
            f"{_POD}.volumes": [{"name": "data", "emptyDir": {}}],
            f"{_POD}.initContainers": [{"name": "first", "env": []}],
            f"{_POD}.containers.0.volumeMounts": [{"name": "data", "mountPath": "/data"}],
            f"{_POD}.serviceAccountName": "trainer",
            "spec.trialTemplate.metadata.annotations": {"team": "vision"},
            "spec.initialParameters": [{"rate": 1e-3, "layers": 2, "dropout": 0.1}],
            "spec.warmStart": {"fromStudies": ["older"]},
            "spec.searcher.sampling": "QuasiRandom",
            "spec.budget": {"gpuHours": 40, "duration": "6h", "resourceUnits": 5000},
            "spec.earlyStopping": [{"metric": "accuracy", "goal": "Maximize", "value": 0.9}],
            "spec.retention": {"pods": "1h", "logs": "Keep"},
            "spec.ttlAfterFinished": "30d",
        },
    )
)
_RUNGS: Final = [{"level": 0, "resource": 1, "value": 0.5, "sequence": 0}]
_ATTEMPT: Final = {
    "number": 0,
    "pod": "digits-0-0",
    "startTime": "2026-01-01T00:00:00Z",
    "endTime": "2026-01-01T01:00:00.5Z",
    "outcome": "Disrupted",
    "resource": 1,
}
_TRIAL: Final = json.dumps(
    {
        "spec": trial_manifest(GOOD, ENGINE.trials[0])["spec"],
        "status": {
            **trial_status(RECORD),
            "rungs": _RUNGS,
            "targetLevel": 1,
            "curve": [{"resource": 1, "value": 0.5}],
            "attempts": [_ATTEMPT],
        },
    }
)
_TRIAL_SCHEMA: Final = record("A trial.", {"spec": TRIAL_SPEC, "status": TRIAL_STATUS})
_OBJECT_SCHEMA: Final = record("A study.", {"spec": SPEC})


def metrics(data: bytes) -> None:
    """An annotation: as it is, or a document made from the bytes after a zero."""
    if not data.startswith(b"\0"):
        check_annotation(data.decode("utf-8", "surrogateescape"))
        return
    source = Source(data[1:])
    document = source.list(6, lambda: _report(source))
    text = _json(document if source.below(4) else source.anything())
    if source.rarely():  # too long
        text += " " * names.MAX_METRICS_BYTES
    check_annotation(text)


def _json(document: Any) -> str:
    """JSON, also of integers that Python would not read."""
    sys.set_int_max_str_digits(0)
    try:
        return json.dumps(document)
    finally:
        sys.set_int_max_str_digits(sys.int_info.default_max_str_digits)


def _report(source: Source) -> Any:
    if source.rarely():
        return source.anything()
    entry: dict[str, Any] = {"epochs": source.below(256) / 8, "val_loss": source.below(256) / 8}
    for name in ("epochs", "val_loss", "accuracy", source.text()):
        if source.rarely():
            entry[name] = source.anything(1)
    return entry


def study(data: bytes) -> None:
    """Objects: JSON of a study, YAML of anything, or a study or a trial made from the bytes."""
    if data.startswith(b"{"):
        try:
            body = json.loads(data)
        except (ValueError, RecursionError):
            check_file(data)
        else:
            check_study(body)
    elif data.startswith(b"\0"):
        source = Source(data[1:])
        body = source.mutated(json.loads(_STUDY), _OBJECT_SCHEMA)
        check_study(body if isinstance(body, Mapping) else {"metadata": body})
    elif data.startswith(b"\1"):
        source = Source(data[1:])
        body = {"metadata": {"name": "digits"}, "spec": source.of_schema(SPEC)}
        check_study(body)
    elif data.startswith(b"\2"):
        source = Source(data[1:])
        trial = source.mutated(json.loads(_TRIAL), _TRIAL_SCHEMA)
        if isinstance(trial, Mapping):
            check_trial(trial.get("spec"), trial.get("status"))
    else:
        check_file(data)


def reporter(data: bytes) -> None:
    """A training's calls of the reporter."""
    with contextlib.redirect_stderr(io.StringIO()):
        check_script(script(Source(data)), with_files=now_and_then(data))


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "metrics": metrics,
    "study": study,
    "reporter": reporter,
}


class TooSlow(Exception):
    """An input took longer than any may."""


def one_input(target: str, data: bytes) -> None:
    """Runs a target on an input.

    Raises:
        TooSlow: it took more than MAX_SECONDS.
        Exception: whatever else must not happen.
    """
    start = time.perf_counter()
    TARGETS[target](data)
    spent = time.perf_counter() - start
    if spent > MAX_SECONDS:
        raise TooSlow(f"{spent:.1f} s for {len(data)} bytes")
