"""A trial's pod from Polyaxon's `build`, `run` and `environment`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hyperband.api import names
from hyperband.api.environment import parameter_variable
from hyperband.cli.converting.source import Notes, Section
from hyperband.cli.converting.study import IMAGE, whole_mebibytes
from hyperband.core.errors import InvalidStudyError
from hyperband.core.parameters import show

CONTAINER = "train"
_PLACEHOLDER = re.compile(r"\{\{\s*(?:(?:params|declarations|inputs)\.)?([A-Za-z_][\w-]*)\s*\}\}")
_FOLDED = re.compile(r"(?<=\s)\\ +(?=\S)")  # a line's end, which YAML has folded into a space
_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_RESOURCES = {"cpu": "cpu", "memory": "memory", "gpu": "nvidia.com/gpu", "tpu": "google.com/tpu"}
# Fields of `environment`, and where in a pod they are, if anywhere.
_POD_FIELDS = {
    "node_selector": "nodeSelector",
    "tolerations": "tolerations",
    "affinity": "affinity",
    "service_account": "serviceAccountName",
}
_MENDS = {
    "replicas": "trains in several pods: a trial is one pod here, so that only the master is "
    "carried over; give that pod all the GPUs that a training needs",
    "data_refs": "names volumes of Polyaxon's catalog: add volumes and volumeMounts to the pod",
    "persistence": "names volumes of Polyaxon's catalog: add volumes and volumeMounts to the "
    "template, and spec.checkpoint for what a later attempt is to find",
    "outputs": "mounts what other runs wrote: add volumes and volumeMounts to the template",
    "framework": "is for distributed training, which a trial here, one pod, is not: leave it out",
}


@dataclass(frozen=True, slots=True)
class _Words:
    """What stands for {{ name }}."""

    parameters: Sequence[str]
    resource: str
    notes: Notes

    def fill(self, text: str, path: str) -> str:
        """The text with $(VARIABLE) for each placeholder, which Kubernetes fills in."""

        def variable(found: re.Match[str]) -> str:
            name = found[1]
            if name == self.resource:
                self.notes.add(path, _resource_told(found[0]))
                return f"$({names.ENV_RESOURCE_TO})"
            return f"$({parameter_variable(name)})" if name in self.parameters else found[0]

        filled = _PLACEHOLDER.sub(variable, text)
        for left in _TEMPLATE.findall(filled):
            told = f"{show(left)} is neither a parameter nor a declaration: it is left as it stands"
            self.notes.add(path, f"{told}; compute it in the training, or write what it stands for")
        return filled


def _resource_told(placeholder: str) -> str:
    return (
        f"{placeholder} is {names.ENV_RESOURCE_TO} here: train up to it in all, counted from the "
        f"trial's beginning; {names.ENV_RESOURCE_FROM} is what is already done"
    )


def pod_template(
    root: Section, parameters: Sequence[str], resource: str, notes: Notes
) -> tuple[dict[str, Any], int | None]:
    """The template of a trial's pod, and how many failed attempts are repeated (None: not said).

    Raises:
        InvalidStudyError: a field is not as Polyaxon has it.
    """
    environment = root.section("environment")
    container: dict[str, Any] = {"name": CONTAINER, "image": _image(root, notes)}
    container |= _command(root, _Words(parameters, resource, notes))
    variables = _variables(root)
    if variables:
        container["env"] = variables
    references = _references(environment)
    if references:
        container["envFrom"] = references
    resources = _resources(environment)
    if resources:
        container["resources"] = resources
    spec: dict[str, Any] = {
        ours: environment.get(theirs)
        for theirs, ours in _POD_FIELDS.items()
        if theirs in environment
    }
    metadata = {
        key: environment.get(key) for key in ("labels", "annotations") if key in environment
    }
    retries = environment.whole("max_restarts")
    environment.tell_rest(
        notes, lambda key: _MENDS.get(key, "has no counterpart: see whether the template needs it")
    )
    if root.get("framework") is not None:
        notes.add("framework", _MENDS["framework"])
    template = {"spec": {**spec, "containers": [container]}}
    return ({"metadata": metadata, **template} if metadata else template), retries


def _image(root: Section, notes: Notes) -> str:
    """That of `build`, or of `run` as it was once."""
    build, run = root.section("build"), root.section("run")
    owner = build if build.content else run
    image = owner.get("image")
    if image is None:
        what = "is missing" if "dockerfile" not in owner else "is made from a dockerfile"
        notes.add(owner.field("image"), f"{what}: write your image for {IMAGE}")
    steps = owner.get("build_steps")
    if steps:
        notes.add(
            owner.field("build_steps"),
            f"({len(steps) if isinstance(steps, list) else 1}) and the code that Polyaxon uploaded "
            "are not in the image: build one with both (FROM, RUN, COPY), push it, and name it in "
            "the template",
        )
    elif image is not None:
        told = "has not the code that Polyaxon uploaded: build an image with it, and name that"
        notes.add(owner.field("image"), told)
    owner.get("dockerfile")
    for left in build.rest():
        if left not in ("env_vars", "envVars"):
            notes.add(build.field(left), "is part of a build: do it where you build the image")
    return str(image or IMAGE)


def _command(root: Section, words: _Words) -> dict[str, Any]:
    run = root.section("run")
    given = run.get("cmd")
    for left in run.rest():
        if left not in ("image", "build_steps", "buildSteps", "dockerfile", "env_vars", "envVars"):
            words.notes.add(
                run.field(left), "has no counterpart: see whether the template needs it"
            )
    if given is None:
        words.notes.add(run.field("cmd"), "is missing: the image's own command runs; or write one")
        return {}
    lines = given if isinstance(given, list) else [given]
    if not all(isinstance(line, str) for line in lines):
        raise InvalidStudyError(run.field("cmd"), f"{show(given)} is no command: write text")
    path = run.field("cmd")
    # A shell runs it, as Polyaxon had it; of several commands the first that fails is the last.
    return {
        "command": ["/bin/sh", "-c"],
        "args": [" && ".join(words.fill(_FOLDED.sub("", line.strip()), path) for line in lines)],
    }


def _variables(root: Section) -> list[dict[str, str]]:
    """`env_vars`, of the image or of the run: [[NAME, value], …]."""
    found: list[dict[str, str]] = []
    for section in (root.section("build"), root.section("run"), root.section("environment")):
        for i, pair in enumerate(section.items("env_vars")):
            if not isinstance(pair, list) or len(pair) != 2:
                path = f"{section.field('env_vars')}[{i}]"
                raise InvalidStudyError(path, f"{show(pair)} is not [name, value]: write that")
            found.append({"name": str(pair[0]), "value": str(pair[1])})
    return found


def _references(environment: Section) -> list[dict[str, Any]]:
    """Secrets and config maps, whose keys become environment variables."""
    kinds: Mapping[str, Sequence[str]] = {
        "secretRef": ("secret_refs",),
        "configMapRef": ("config_map_refs", "configmap_refs"),
    }
    return [
        {kind: {"name": str(name)}}
        for kind, keys in kinds.items()
        for key in keys
        for name in environment.items(key)
    ]


def _resources(environment: Section) -> dict[str, Any]:
    """{cpu: {requests: 1, limits: 2}} as {requests: {cpu: 1}, limits: {cpu: 2}}."""
    given = environment.section("resources")
    made: dict[str, dict[str, Any]] = {}
    for theirs, ours in _RESOURCES.items():
        section = given.section(theirs)
        for bound in ("requests", "limits"):
            amount = section.get(bound)
            if isinstance(amount, float):
                section.number(bound)  # is finite
            if amount is not None:
                made.setdefault(bound, {})[ours] = (
                    whole_mebibytes(amount) if theirs == "memory" else amount
                )
    return made
