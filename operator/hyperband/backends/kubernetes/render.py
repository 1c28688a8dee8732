"""The pod of an attempt, made from the study's template. Pure.

What the user wrote wins wherever both may be right; what the contract needs is added: owner,
labels, environment, checkpoint volume, the reporter's token; and what lets nodes go soon.
"""

import copy
from collections.abc import Mapping
from typing import Any

from hyperband.api import names
from hyperband.api.environment import training_environment
from hyperband.api.owners import owner_reference
from hyperband.api.study import ReportingMode, StudyResource
from hyperband.backends.kubernetes.sidecar import SIDECAR_IMAGE, report_volume, sidecar_container
from hyperband.core.records import Trial
from hyperband.core.rungs import Ladder

# A pod on an unreachable node is given up after this, not after Kubernetes' 300 s: another node
# can go on from the checkpoint.
UNREACHABLE_SECONDS = 30
_UNREACHABLE_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")

TOKEN_SECONDS = 3600

_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_NEAR = {
    "weight": 1,
    "podAffinityTerm": {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchExpressions": [{"key": names.TRIAL_LABEL, "operator": "Exists"}]},
    },
}


def render_pod(
    study: StudyResource,
    trial: Trial,
    trial_uid: str,
    ladder: Ladder,
    sidecar_image: str = SIDECAR_IMAGE,
) -> dict[str, Any]:
    """The manifest of the pod for the trial's current attempt.

    Args:
        sidecar_image: where the study has a sidecar and does not say which.
    """
    template = study.template
    spec: dict[str, Any] = copy.deepcopy(dict(template.spec))
    spec["restartPolicy"] = "Never"  # the operator repeats attempts itself
    spec["tolerations"] = _tolerations(spec.get("tolerations") or [])
    container = spec["containers"][template.container]
    # So that the trial's record can quote the end of the log where one of them fails.
    for each in (container, *_objects(spec.get("initContainers"))):
        each.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")
    _add_environment(container, study, trial, ladder, trial_uid)
    if study.checkpoint is not None:
        _add_volume(spec, {**study.checkpoint.volume, "name": names.CHECKPOINT_VOLUME})
        _add_mount(container, names.CHECKPOINT_VOLUME, study.checkpoint.mount_path)
    if study.reporting.needs_rights:
        spec.setdefault("serviceAccountName", names.REPORTER_SERVICE_ACCOUNT)
        _add_volume(spec, _token_volume())
    if study.reporting.mode is ReportingMode.DIRECT:
        _add_token(container)
    elif study.reporting.mode is ReportingMode.SIDECAR:
        _add_volume(spec, report_volume())
        _add_mount(container, names.REPORT_VOLUME, names.REPORT_MOUNT)
        sidecar = sidecar_container(
            study.reporting.image or sidecar_image, container, _grace_seconds(spec)
        )
        _add_token(sidecar)
        others = spec.get("initContainers") or []
        if isinstance(others, list):  # else the API server's to refuse
            # The last one: others, such as a service mesh's, are there before it and outlive it.
            spec["initContainers"] = [*others, sidecar]
    spec.setdefault("automountServiceAccountToken", False)
    if study.scheduling.pack and study.gpus:
        _pack(spec)
    trial_name = names.trial_name(study.name, trial.index)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": names.pod_name(study.name, trial.index, trial.attempt),
            "namespace": study.namespace,
            "labels": {
                **template.labels,
                names.STUDY_LABEL: study.name,
                names.TRIAL_LABEL: str(trial.index),
                names.ATTEMPT_LABEL: str(trial.attempt),
            },
            "annotations": _disruption(study) | dict(template.annotations),
            "ownerReferences": [owner_reference(names.TRIAL_KIND, trial_name, trial_uid)],
        },
        "spec": spec,
    }


def _disruption(study: StudyResource) -> dict[str, str]:
    """Whether an autoscaler may evict the pod to save its node.

    What a checkpoint brings back may be moved; without one all that was trained would be lost.
    cluster-autoscaler has to be told either way: it knows no pod of a HyperbandTrial.
    """
    if study.checkpoint is not None:
        return {names.SAFE_TO_EVICT: "true"}
    return {names.SAFE_TO_EVICT: "false", names.DO_NOT_DISRUPT: "true"}


def _pack(spec: dict[str, Any]) -> None:
    """Prefers nodes that run trials already, with the least weight; the user's own terms stay."""
    affinity = spec.get("affinity") or {}
    if not isinstance(affinity, Mapping):
        return  # the API server's to refuse, as what follows is
    pods = affinity.get("podAffinity") or {}
    if not isinstance(pods, Mapping):
        return
    preferred = pods.get(_PREFERRED) or []
    if isinstance(preferred, list):
        spec["affinity"] = {**affinity, "podAffinity": {**pods, _PREFERRED: [*preferred, _NEAR]}}


def _objects(given: Any) -> list[dict[str, Any]]:
    """Those in a list; what else the user has written there is the API server's to refuse."""
    return [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []


def _add_environment(
    container: dict[str, Any], study: StudyResource, trial: Trial, ladder: Ladder, uid: str
) -> None:
    """Puts our variables first, so that the user's own may refer to them with $(NAME)."""
    ours = [
        # A doubled $ is a plain one: values are no references, whatever they look like.
        {"name": name, "value": value.replace("$", "$$")}
        for name, value in training_environment(study, trial, ladder, uid).items()
    ]
    fields = [
        {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
        for name, path in (
            (names.ENV_POD_NAME, "metadata.name"),
            (names.ENV_POD_NAMESPACE, "metadata.namespace"),
        )
    ]
    container["env"] = [*ours, *fields, *(container.get("env") or [])]


def _grace_seconds(spec: Mapping[str, Any]) -> float:
    given = spec.get("terminationGracePeriodSeconds")
    return given if isinstance(given, int) else 30  # Kubernetes' default


def _tolerations(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The user's tolerations, and ours for the taints of an unreachable node he does not name."""
    execute = [t for t in given if t.get("effect") in (None, "", "NoExecute")]
    named = [toleration.get("key") for toleration in execute]  # anything, so far
    if None in named or "" in named:  # tolerates everything
        return given
    ours = [
        {
            "key": key,
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": UNREACHABLE_SECONDS,
        }
        for key in _UNREACHABLE_TAINTS
        if key not in named
    ]
    return [*given, *ours]


def _add_volume(spec: dict[str, Any], volume: dict[str, Any]) -> None:
    spec["volumes"] = [*(spec.get("volumes") or []), volume]


def _add_mount(
    container: dict[str, Any], volume: str, path: str, *, read_only: bool = False
) -> None:
    mount = {"name": volume, "mountPath": path, **({"readOnly": True} if read_only else {})}
    container["volumeMounts"] = [*(container.get("volumeMounts") or []), mount]


def _add_token(container: dict[str, Any]) -> None:
    _add_mount(container, names.TOKEN_VOLUME, names.TOKEN_MOUNT, read_only=True)


def _token_volume() -> dict[str, Any]:
    """A short-lived token of the pod's service account, bound to the pod."""
    token = {"path": "token", "expirationSeconds": TOKEN_SECONDS}
    authority = {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    namespace = {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}
    sources = [
        {"serviceAccountToken": token},
        {"configMap": authority},
        {"downwardAPI": {"items": [namespace]}},
    ]
    return {"name": names.TOKEN_VOLUME, "projected": {"sources": sources}}
