"""A trial's pod from Katib's trialTemplate: a Job, one of Kubeflow's training jobs, or a pod."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hyperband.api import names
from hyperband.api.environment import parameter_variable
from hyperband.cli.converting.source import Notes, Section
from hyperband.core.errors import InvalidStudyError
from hyperband.core.parameters import show

_PLACEHOLDER = re.compile(r"\$\{trialParameters\.([^}]*)\}")
_OF_TRIAL = re.compile(r"\$\{trialSpec\.(Name|Namespace|Kind|APIVersion)\}")
_OF_KEY = re.compile(r"\$\{trialSpec\.(Labels|Annotations)\[([^\]]+)\]\}")

# Kubeflow's jobs: where their pods are, and which of them leads.
_REPLICAS: Mapping[str, tuple[str, Sequence[str]]] = {
    "PyTorchJob": ("pytorchReplicaSpecs", ("Master", "Worker")),
    "TFJob": ("tfReplicaSpecs", ("Chief", "Master", "Worker")),
    "XGBoostJob": ("xgbReplicaSpecs", ("Master", "Worker")),
    "PaddleJob": ("paddleReplicaSpecs", ("Master", "Worker")),
    "JAXJob": ("jaxReplicaSpecs", ("Worker",)),
}
_KINDS = ("Job", "Pod", *_REPLICAS)


@dataclass(frozen=True, slots=True)
class _Filler:
    """Puts our variables where Katib's placeholders are."""

    words: Mapping[str, str]  # by the name of a trialParameter: $(VARIABLE), or a fixed text
    notes: Notes

    def fill(self, value: Any, path: str, *, expands: bool) -> Any:
        """A value with each of its placeholders replaced.

        Args:
            expands: whether Kubernetes expands $(VARIABLE) there.

        Raises:
            InvalidStudyError: a placeholder is not known, or stands where it cannot be replaced.
        """
        if isinstance(value, Mapping):
            return {
                key: self.fill(item, f"{path}.{key}", expands=expands)
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [
                self.fill(item, f"{path}[{i}]", expands=expands) for i, item in enumerate(value)
            ]
        if not isinstance(value, str):
            return value
        return _PLACEHOLDER.sub(lambda found: self._word(found, path, expands=expands), value)

    def _word(self, found: re.Match[str], path: str, *, expands: bool) -> str:
        if found[1] not in self.words:
            told = f"{found[0]} is not among trialParameters: add it there, or remove it here"
            raise InvalidStudyError(path, told)
        word = self.words[found[1]]
        if word.startswith("$(") and not expands:
            told = f"{found[0]} stands where all trials have the same: write a fixed value here"
            raise InvalidStudyError(path, f"{told}, or let the training read {word[2:-1]}")
        if word == f"$({names.ENV_RESOURCE_TO})":
            told = f"{found[0]} is {names.ENV_RESOURCE_TO} here: what to train up to in all"
            self.notes.add(path, told)
        return word


def trial_template(
    spec: Section, parameters: Sequence[str], resource: str | None, notes: Notes
) -> tuple[dict[str, Any], int | None]:
    """The template of a trial's pod, and how many failed attempts are repeated (None: not said).

    Args:
        parameters: the names of those that are tuned.
        resource: the parameter that Katib's Hyperband sets, if there is one.

    Raises:
        InvalidStudyError: a field is not as Katib has it, or is of a kind that is no single pod.
    """
    given = spec.section("trialTemplate")
    if given.get("configMap") is not None:
        told = "has the template in another object: copy it from there into trialSpec"
        raise InvalidStudyError(given.field("configMap"), told)
    given.need("trialSpec", "write the Job that trains")
    job = given.section("trialSpec")
    kind = job.choice("kind", {known: known for known in _KINDS} | {"MPIJob": "MPIJob"})
    if kind == "MPIJob":
        told = "MPIJob trains in several pods, and a trial here is one pod: write a Job in which "
        mend = "mpirun (or torchrun) starts a process for each GPU of that pod"
        raise InvalidStudyError(job.field("kind"), told + mend)
    pod, retries = _POD[kind](job, notes)
    filler = _Filler(_words(given, job, parameters, resource), notes)
    template = _template(given, pod, filler, notes)
    if given.get("retain") is not None:
        told = "keeps finished pods: here they stay for a day, retention: {pods: 30d} for longer"
        notes.add(given.field("retain"), told)
    for key in ("primaryPodLabels", "successCondition", "failureCondition"):
        if given.get(key) is not None:
            told = "is not needed: a trial is one pod, which has succeeded when it exits with 0"
            notes.add(given.field(key), told)
    given.tell_rest(notes)
    return template, retries


def _words(
    given: Section, job: Section, parameters: Sequence[str], resource: str | None
) -> dict[str, str]:
    """What each trialParameter stands for."""
    words = {}
    for each in given.sections("trialParameters"):
        name = str(each.need("name", "name the placeholder"))
        reference = str(each.need("reference", "name the parameter that it stands for"))
        if reference == resource:
            words[name] = f"$({names.ENV_RESOURCE_TO})"
        elif reference in parameters:
            words[name] = f"$({parameter_variable(reference)})"
        else:
            words[name] = _of_trial(reference, job, each.field("reference"))
    return words


def _of_trial(reference: str, job: Section, path: str) -> str:
    """What stands for ${trialSpec.Name} and the like."""
    found = _OF_TRIAL.fullmatch(reference)
    if found:
        return {
            "Name": f"$({names.ENV_TRIAL})",
            "Namespace": f"$({names.ENV_POD_NAMESPACE})",
            "Kind": str(job.get("kind")),
            "APIVersion": str(job.get("apiVersion")),
        }[found[1]]
    keyed = _OF_KEY.fullmatch(reference)
    value = job.section("metadata").section(keyed[1].lower()).get(keyed[2]) if keyed else None
    if value is None:
        told = f"{show(reference)} is neither a parameter nor known of trialSpec: name a parameter"
        raise InvalidStudyError(path, told)
    return str(value)


def _template(given: Section, pod: Section, filler: _Filler, notes: Notes) -> dict[str, Any]:
    """A pod's metadata and spec, with our variables in the container that trains."""
    metadata, spec = pod.section("metadata"), pod.section("spec")
    containers = spec.sections("containers")
    if not containers:
        raise InvalidStudyError(spec.field("containers"), "is missing: write the one that trains")
    primary = given.get("primaryContainerName") or containers[0].get("name")
    known = [each.get("name") for each in containers]
    if primary not in known:
        told = f"{show(primary)} is not among the containers {', '.join(map(str, known))}: name one"
        raise InvalidStudyError(given.field("primaryContainerName"), told)
    policy = spec.get("restartPolicy")
    if policy not in (None, "Never"):
        told = f"{policy} is left out: the operator repeats failed attempts, failurePolicy.retries"
        notes.add(spec.field("restartPolicy"), told)
    made = {
        key: filler.fill(value, spec.field(key), expands=False)
        for key, value in spec.content.items()
        if key not in ("containers", "restartPolicy")
    }
    made["containers"] = [
        dict(_container(each, each.get("name") == primary, filler)) for each in containers
    ]
    kept: dict[str, Any] = {
        key: filler.fill(metadata.get(key), metadata.field(key), expands=False)
        for key in ("labels", "annotations")
        if metadata.get(key)
    }
    if primary != known[0]:
        own = metadata.section("annotations").content and kept["annotations"]
        kept["annotations"] = {**own, names.CONTAINER_ANNOTATION: primary}
    return {"metadata": kept, "spec": made} if kept else {"spec": made}


def _container(section: Section, trains: bool, filler: _Filler) -> Iterator[tuple[str, Any]]:
    """Kubernetes expands $(VARIABLE) in a container's command, arguments and variables."""
    for key, value in section.content.items():
        expands = trains and key in ("command", "args", "env")
        yield key, filler.fill(value, section.field(key), expands=expands)


def _job(job: Section, notes: Notes) -> tuple[Section, int | None]:
    spec = job.section("spec")
    retries = spec.whole("backoffLimit")
    for key in ("completions", "parallelism"):
        if (spec.whole(key) or 1) > 1:
            told = "runs several pods: a trial here is one pod, which gets all the GPUs it needs"
            notes.add(spec.field(key), told)
    pod = spec.section("template")
    spec.tell_rest(notes, lambda key: _JOB_FIELDS.get(key, "has no counterpart and is left out"))
    return pod, retries


_JOB_FIELDS = {
    "activeDeadlineSeconds": "ends a trial that takes too long: write activeDeadlineSeconds into "
    "the pod's spec, where it bounds each attempt",
    "ttlSecondsAfterFinished": "is retention.pods here",
}


def _pod(job: Section, notes: Notes) -> tuple[Section, int | None]:
    return job, None


def _leader(job: Section, notes: Notes) -> tuple[Section, int | None]:
    """The pod of a training job that leads the others."""
    where, roles = _REPLICAS[str(job.get("kind"))]
    spec = job.section("spec")
    replicas = spec.section(where)
    role = next((role for role in roles if role in replicas), None)
    if role is None:
        told = f"has none of {', '.join(roles)}: write the pod that trains"
        raise InvalidStudyError(replicas.path, told)
    chosen = replicas.section(role)
    others = replicas.rest()
    if others or (chosen.whole("replicas") or 1) > 1:
        what = f"beside {role} there is {', '.join(others)}" if others else f"{role} has replicas"
        notes.add(
            replicas.path,
            f"{what}: a trial here is one pod, so that only {role} is carried over, once; give it "
            "all the GPUs that a training needs (torchrun --nproc-per-node=…), and see that it "
            "does not wait for others",
        )
    retries = spec.section("runPolicy").whole("backoffLimit")
    policy = chosen.get("restartPolicy")
    if policy not in (None, "Never"):
        told = f"{policy} is left out: the operator repeats failed attempts, failurePolicy.retries"
        notes.add(chosen.field("restartPolicy"), told)
    spec.get("nprocPerNode")
    spec.tell_rest(notes)
    return chosen.section("template"), retries


_POD: Mapping[str, Callable[[Section, Notes], tuple[Section, int | None]]] = {
    "Job": _job,
    "Pod": _pod,
    **dict.fromkeys(_REPLICAS, _leader),
}
