"""What a trial's pod is made from: the template, the checkpoint, and what is wrong with them."""

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from hyperband.api import names
from hyperband.core.errors import InvalidStudyError, raise_first

NO_TOKEN = (
    f"{names.TOKEN_VOLUME} has the reporter's token, which the operator mounts where it is needed: "
    "remove this mount"
)
_RESERVED = f"{names.GROUP}/"
_SPEC = "spec.trialTemplate.spec"


Problems = Iterator[InvalidStudyError]


@dataclass(frozen=True, slots=True)
class TrialTemplate:
    """`spec.trialTemplate`: metadata and PodSpec as the user wrote them."""

    spec: Mapping[str, Any]
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def container(self) -> int:
        """The index of the container that trains: the annotated one, else the first."""
        wanted = self.annotations.get(names.CONTAINER_ANNOTATION)
        for i, container in enumerate(self.spec["containers"]):
            if container["name"] == wanted:
                return i
        return 0

    @property
    def is_gated(self) -> bool:
        """Whether the scheduler is to wait for somebody else's word before it takes a pod."""
        return bool(self.spec.get("schedulingGates")) or names.QUEUE_LABEL in self.labels

    def count(self, resources: Iterable[str]) -> float:
        """How much of these extended resources a pod holds: what its containers are limited to."""
        total = Decimal(0)
        for container in self.spec["containers"]:
            limits = _dict(_dict(container.get("resources")).get("limits"))
            # The API server refuses what is no plain number, or too large a one.
            with suppress(ArithmeticError):
                held = [Decimal(str(limits.get(name, 0))) for name in resources]
                total += sum(each for each in held if 0 <= each < 2**63)
        return float(total)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Storage that outlives a pod."""

    volume: Mapping[str, Any]  # the source alone, e.g. {"hostPath": {"path": "/scratch"}}
    mount_path: str
    clean_up: bool = False  # whether checkpoints that cannot be of use are removed
    clean_up_image: str = ""  # of the pod that does it; the training container's if empty


def parse_template(given: Mapping[str, Any]) -> TrialTemplate:
    """The template, which the schema has let through.

    Raises:
        InvalidStudyError: it sets what the operator sets, or contradicts itself.
    """
    template = _template(given)
    raise_first(template_problems(given))
    return template


def _template(given: Mapping[str, Any]) -> TrialTemplate:
    metadata: Mapping[str, Any] = given.get("metadata", {})
    return TrialTemplate(given["spec"], metadata.get("labels", {}), metadata.get("annotations", {}))


def template_problems(given: Mapping[str, Any]) -> Problems:
    """All that is wrong with a template that the schema has let through."""
    template = _template(given)
    for kind, keys in (("labels", template.labels), ("annotations", template.annotations)):
        for key in keys:
            if key.startswith(_RESERVED):
                yield InvalidStudyError(
                    f"spec.trialTemplate.metadata.{kind}",
                    f"{key:.90} begins with {_RESERVED}, which the operator sets itself: remove it",
                )
    policy = template.spec.get("restartPolicy", "Never")
    if policy != "Never":
        yield InvalidStudyError(
            f"{_SPEC}.restartPolicy",
            f"{policy:.100} would restart containers behind the operator's back: remove "
            "restartPolicy, the operator repeats failed attempts itself (failurePolicy.retries)",
        )
    yield from _check_lists(template.spec)
    yield from _check_names(template.spec)
    yield from _check_container_annotation(template)
    yield from _check_environment(template.spec)


def parse_checkpoint(given: Mapping[str, Any] | None, template: TrialTemplate) -> Checkpoint | None:
    """The checkpoint, or None if there is none.

    Raises:
        InvalidStudyError: its volume is not one source, or its mount path is taken.
    """
    if given is None:
        return None
    raise_first(checkpoint_problems(given, template.spec))
    return Checkpoint(
        given["volume"],
        posixpath.normpath(given["mountPath"]),
        given["cleanUp"] == "Remove",
        given.get("cleanUpImage", ""),
    )


def checkpoint_problems(given: Mapping[str, Any], pod: Mapping[str, Any]) -> Problems:
    """All that is wrong with a checkpoint that the schema has let through, beside this PodSpec."""
    volume: Mapping[str, Any] = given["volume"]
    path = "spec.checkpoint.volume"
    if len(volume) != 1:
        yield InvalidStudyError(
            path,
            f"has the fields {sorted(volume)!s:.200}: give exactly one source of a volume, such as "
            "persistentVolumeClaim, and no name",
        )
    if "emptyDir" in volume:
        yield InvalidStudyError(
            f"{path}.emptyDir",
            "is gone with each pod, so that no attempt would find a checkpoint: use a "
            "persistentVolumeClaim, nfs or hostPath",
        )
    mount_path = posixpath.normpath(given["mountPath"])
    for where, container in _containers(pod):
        for mount in _dicts(container.get("volumeMounts")):
            if posixpath.normpath(str(mount.get("mountPath", ""))) == mount_path:
                yield InvalidStudyError(
                    "spec.checkpoint.mountPath",
                    f"container {container.get('name')!s:.100} ({where}) mounts something at "
                    f"{mount_path:.100} already: remove that mount, or choose another mountPath",
                )


def _check_lists(spec: Mapping[str, Any]) -> Problems:
    """What the operator adds to must be lists of objects; the rest is the API server's to judge."""
    lists = [(f"{_SPEC}.{key}", spec.get(key)) for key in ("volumes", "tolerations")]
    for where, container in _containers(spec):
        lists += [(f"{where}.{key}", container.get(key)) for key in ("env", "volumeMounts")]
    for path, value in lists:
        objects = isinstance(value, list) and all(isinstance(item, Mapping) for item in value)
        if value is not None and not objects:
            yield InvalidStudyError(path, f"{value!r:.100} is no list of objects: write one")
    account = spec.get("serviceAccountName")
    if account is not None and not isinstance(account, str):
        yield InvalidStudyError(
            f"{_SPEC}.serviceAccountName", f"{account!r:.100} is no name: write text"
        )


def _check_names(spec: Mapping[str, Any]) -> Problems:
    """The operator's volumes and container have names that a template leaves alone."""
    named = [
        (f"{_SPEC}.volumes[{i}]", volume) for i, volume in enumerate(_dicts(spec.get("volumes")))
    ]
    for path, each in (*named, *_containers(spec)):
        name = str(each.get("name", ""))
        if name.startswith(names.RESERVED_PREFIX):
            yield InvalidStudyError(
                f"{path}.name",
                f"{name:.100} begins with {names.RESERVED_PREFIX}, as the names of what the "
                "operator adds do: give it another name",
            )
    for where, container in _containers(spec):
        for i, mount in enumerate(_dicts(container.get("volumeMounts"))):
            if mount.get("name") == names.TOKEN_VOLUME:
                yield InvalidStudyError(f"{where}.volumeMounts[{i}].name", NO_TOKEN)


def _check_container_annotation(template: TrialTemplate) -> Problems:
    wanted = template.annotations.get(names.CONTAINER_ANNOTATION)
    known = [container["name"] for container in template.spec["containers"]]
    if wanted is not None and wanted not in known:
        yield InvalidStudyError(
            "spec.trialTemplate.metadata.annotations",
            f"{names.CONTAINER_ANNOTATION} names container {wanted:.100}, which the template does "
            f"not have: name one of {', '.join(known):.300}, or remove the annotation",
        )


def _check_environment(spec: Mapping[str, Any]) -> Problems:
    for where, container in _containers(spec):
        for i, variable in enumerate(_dicts(container.get("env"))):
            name = str(variable.get("name", ""))
            if name.startswith("HYPERBAND_"):
                yield InvalidStudyError(
                    f"{where}.env[{i}].name",
                    f"{name:.100} is one of the variables HYPERBAND_…, which the operator sets: "
                    "remove it",
                )


def _containers(spec: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All containers with their paths."""
    for key in ("containers", "initContainers"):
        for i, container in enumerate(_dicts(spec.get(key))):
            yield f"{_SPEC}.{key}[{i}]", container


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _dicts(items: Any) -> list[Mapping[str, Any]]:
    """The objects of a list, whatever the user has written: the server judges the rest."""
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []
