"""The environment variables that a training container is given (design, section 5)."""

import json

from hyperband.api import names
from hyperband.api.study import ReportingMode, StudyResource
from hyperband.core.records import Study, Trial
from hyperband.core.rungs import Ladder
from hyperband.core.space import Value, environment_suffix


def parameter_variable(name: str) -> str:
    """HYPERBAND_PARAM_<NAME>: upper case, other characters become an underscore."""
    return names.ENV_PARAMETER_PREFIX + environment_suffix(name)


def training_environment(
    study: StudyResource, trial: Trial, ladder: Ladder, uid: str
) -> dict[str, str]:
    """Name and value of each variable; inactive parameters have none.

    Args:
        uid: of the trial's object.
    """
    record = study.study
    variables = {
        names.ENV_STUDY: study.name,
        names.ENV_TRIAL: names.trial_name(study.name, trial.index),
        names.ENV_ATTEMPT: str(trial.attempt),
        names.ENV_METRIC: record.objective.metric,
        names.ENV_RESOURCE_NAME: record.resource.name,
        names.ENV_RESOURCE_FROM: text(_start(record, trial, ladder)),
        names.ENV_RESOURCE_TO: text(ladder[trial.target]),
        names.ENV_RUNGS: json.dumps(list(ladder.levels[ladder.first(trial.bracket) :])),
        names.ENV_PARAMETERS: json.dumps(dict(trial.parameters)),
    }
    if study.reporting.mode is ReportingMode.SIDECAR:
        variables[names.ENV_REPORT_FILE] = names.REPORT_FILE
    if study.checkpoint is not None:
        variables[names.ENV_CHECKPOINT_DIR] = checkpoint_folder(study, trial, uid)
    for name, value in trial.parameters.items():
        variables[parameter_variable(name)] = text(value)
    return variables


def _start(study: Study, trial: Trial, ladder: Ladder) -> float:
    """The last level recorded; nothing where a promoted trial begins anew."""
    return 0 if trial.level is None or not study.resume else ladder[trial.level]


def checkpoint_folder(study: StudyResource, trial: Trial, uid: str) -> str:
    """The trial's own folder, the same for every attempt; without resume, for every promotion.

    The uid is in it because the index of a trial that somebody deleted may be given out again.
    """
    folder = f"{study_folder(study)}/{trial.index}-{uid[:8]}"
    return folder if study.study.resume else f"{folder}/rung-{trial.target}"


def study_folder(study: StudyResource) -> str:
    """Where the folders of its trials are.

    The study's uid is in it, so that a study of the same name never resumes another one's models.
    """
    assert study.checkpoint is not None
    root = study.checkpoint.mount_path.rstrip("/")
    return f"{root}/{study.namespace}/{study.name}-{study.uid[:8]}"


def text(value: Value) -> str:
    """A value as a shell wants it: strings bare, true and false, numbers that round-trip."""
    return value if isinstance(value, str) else json.dumps(value)
