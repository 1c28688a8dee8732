"""What trains the best configuration of a study in full: variables, a pod, or a Job."""

import copy
from collections.abc import Mapping
from typing import Any

from hyperband.api import names
from hyperband.api.environment import study_folder, training_environment
from hyperband.api.study import ReportingMode, StudyResource, parse_study
from hyperband.backends.kubernetes.sidecar import report_volume
from hyperband.core.records import Suggestion, Trial, TrialState
from hyperband.core.rungs import Ladder

Body = Mapping[str, Any]


def _best_trial(resource: StudyResource, body: Body) -> tuple[Trial, Ladder]:
    """The best configuration as a trial that trains from the start to r_max."""
    found, ladder = body["status"]["best"], Ladder.of(resource.study)
    space = resource.study.space
    given = space.canonical(found["parameters"], "status.best.parameters")
    suggestion = Suggestion(given, "Best")
    trial = Trial(int(found["index"]), suggestion, 0, TrialState.PENDING, ladder.top)
    return trial, ladder


def environment(body: Body) -> dict[str, str]:
    """The variables of a training of the best configuration in full, by name.

    Those that say where in a study a pod stands are left out: it belongs to none.
    """
    resource = parse_study(body)
    trial, ladder = _best_trial(resource, body)
    variables = training_environment(resource, trial, ladder, uid="")
    for name in (names.ENV_TRIAL, names.ENV_ATTEMPT):
        variables.pop(name)
    if resource.checkpoint is not None:  # beside those of the trials, which may be cleaned up
        variables[names.ENV_CHECKPOINT_DIR] = f"{study_folder(resource)}/best-{trial.index}"
    return variables


def training(body: Body, *, job: bool) -> dict[str, Any]:
    """A pod, or a Job, of the study's template that trains the best configuration in full.

    It has none of the labels by which the operator knows trials, and reports to nobody: what a
    training reports goes to its log, or to a file that ends with the pod.
    """
    resource = parse_study(body)
    spec = _pod_spec(resource, environment(body))
    template = resource.template
    metadata: dict[str, Any] = {"name": f"{resource.name}-best", "namespace": resource.namespace}
    labels, annotations = dict(template.labels), dict(template.annotations)
    kept = {
        key: value for key, value in (("labels", labels), ("annotations", annotations)) if value
    }
    if not job:
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata | kept, "spec": spec}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "backoffLimit": resource.study.failure_policy.retries,
            "template": {"metadata": kept, "spec": spec},
        },
    }


def _pod_spec(resource: StudyResource, variables: Mapping[str, str]) -> dict[str, Any]:
    template = resource.template
    spec: dict[str, Any] = copy.deepcopy(dict(template.spec))
    spec["restartPolicy"] = "Never"
    container = spec["containers"][template.container]
    # A doubled $ is a plain one: values are no references, whatever they look like.
    ours = [{"name": name, "value": value.replace("$", "$$")} for name, value in variables.items()]
    container["env"] = [*ours, *(container.get("env") or [])]
    if resource.checkpoint is not None:
        volume = {**resource.checkpoint.volume, "name": names.CHECKPOINT_VOLUME}
        _mount(spec, container, volume, resource.checkpoint.mount_path)
    if resource.reporting.mode is ReportingMode.SIDECAR:
        _mount(spec, container, report_volume(), names.REPORT_MOUNT)
    return spec


def _mount(
    spec: dict[str, Any], container: dict[str, Any], volume: dict[str, Any], path: str
) -> None:
    spec["volumes"] = [*(spec.get("volumes") or []), volume]
    mount = {"name": volume["name"], "mountPath": path}
    container["volumeMounts"] = [*(container.get("volumeMounts") or []), mount]
