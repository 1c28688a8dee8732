"""All that is wrong with a study's object; the operator stops at the first."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from hyperband.api import names
from hyperband.api.parameters import parameter_problems, parse_space, point_problems
from hyperband.api.schema.build import anything, integer, record, table, text
from hyperband.api.schema.check import inspect
from hyperband.api.schema.policies import OPERATOR_NAMESPACE
from hyperband.api.schema.study_spec import SPEC
from hyperband.api.study import parse_study
from hyperband.api.study_checks import CHECKS, name_problems, warm_start_problems
from hyperband.api.template import checkpoint_problems, template_problems
from hyperband.core.errors import InvalidStudyError
from hyperband.core.parameters import show

# ObjectMeta. What a server writes itself is there in what `kubectl get -o yaml` gives.
_TEXTS: Final = table("Labels or annotations.", text("A value."))
_METADATA: Final = record(
    "Metadata.",
    {
        "name": text("The study's name."),
        "generateName": text("The beginning of the study's name."),
        "namespace": text("The namespace of the study and of its pods."),
        "labels": _TEXTS,
        "annotations": _TEXTS,
        "uid": text("Uid."),
        "generation": integer("Generation."),
        **{
            name: anything("Not checked.")
            for name in (
                "creationTimestamp",
                "deletionGracePeriodSeconds",
                "deletionTimestamp",
                "finalizers",
                "managedFields",
                "ownerReferences",
                "resourceVersion",
                "selfLink",
            )
        },
    },
)
_OBJECT: Final = record(
    "A HyperbandStudy.",
    {
        name: anything("Checked below, or not at all.")
        for name in ("apiVersion", "kind", "metadata", "spec", "status")
    },
)

# What Kubernetes takes as the name in a key, and, or nothing, as the value of a label.
_WORD: Final = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_KEY: Final = rf"({names.NAME_PATTERN.strip('^$')}/)?{_WORD}"


def study_problems(body: Mapping[str, Any]) -> list[InvalidStudyError]:
    """All that a server or the operator would refuse, each with field, value and mend.

    Empty only if `parse_study` takes it. A check that needs what another one has refused is left
    out.
    """
    known = {name: None for name in body if name in _OBJECT["properties"]}
    _, found = inspect(_OBJECT, {**body, **known}, "")
    found = [InvalidStudyError(each.field.lstrip("."), each.problem) for each in found]
    version = body.get("apiVersion")
    if version != names.API_VERSION:
        what = "is missing" if version is None else f"{show(version)} has no {names.STUDY_KIND}"
        found.append(InvalidStudyError("apiVersion", f"{what}: write {names.API_VERSION}"))
    metadata, wrong = inspect(_METADATA, _given(body, "metadata"), "metadata")
    found += wrong
    if isinstance(metadata, Mapping):
        name = metadata.get("name", "")
        found += name_problems(name) if wrong and isinstance(name, str) else ()
        found += () if wrong else _metadata(metadata)
        found += _spec(_given(body, "spec"), name)
    if not found:
        try:
            parse_study(body)  # its word counts, whatever is looked at above
        except InvalidStudyError as error:
            found.append(error)
    return found


def _given(body: Mapping[str, Any], field: str) -> Any:
    return {} if body.get(field) is None else body[field]


def _metadata(metadata: Mapping[str, Any]) -> Iterator[InvalidStudyError]:
    yield from name_problems(metadata.get("name", ""))
    namespace = metadata.get("namespace") or "default"
    if namespace == OPERATOR_NAMESPACE:
        yield InvalidStudyError(
            "metadata.namespace",
            f"{OPERATOR_NAMESPACE} is the operator's own: create the study in a namespace of your "
            "team",
        )
    elif not re.fullmatch("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", namespace):
        yield InvalidStudyError(
            "metadata.namespace",
            f"{show(namespace)} cannot be the name of a namespace: write lower-case letters, "
            "digits and dashes, 63 at most",
        )
    for field in ("labels", "annotations"):
        for key, value in (metadata.get(field) or {}).items():
            if not re.fullmatch(_KEY, key):
                what = f"{show(key)} cannot be a key: write letters, digits, -, _ and ., 63 at most"
                yield InvalidStudyError(f"metadata.{field}.{key}", what)
            if field == "labels" and value and not re.fullmatch(_WORD, value):
                what = f"{show(value)} cannot be a label: write letters, digits, -, _ and ."
                yield InvalidStudyError(f"metadata.labels.{key}", f"{what}, 63 at most")


def _spec(given: Any, name: Any) -> list[InvalidStudyError]:
    spec, wrong = inspect(SPEC, given, "spec")
    found = list(wrong)
    refused = [error.field for error in wrong]
    if "spec" in refused:  # it is no object
        return found

    def sound(field: str) -> bool:
        return not any(_overlap(field, each) for each in refused)

    def there(*fields: str) -> bool:
        return all(field in spec and sound(f"spec.{field}") for field in fields)

    for fields, check in CHECKS:
        if all(sound(f"spec.{field}") for field in fields):
            found += check(spec)
    if there("warmStart"):
        found += warm_start_problems(spec, name)
    found += _parameters(spec, sound, there("initialParameters"))
    if there("trialTemplate"):
        found += template_problems(spec["trialTemplate"])
        if there("checkpoint"):
            found += checkpoint_problems(spec["checkpoint"], spec["trialTemplate"]["spec"])
    return found


def _overlap(one: str, other: str) -> bool:
    """Whether one of two fields is the other, or below it."""
    short, long = sorted((one, other), key=len)
    return long.startswith(short) and long[len(short) :][:1] in ("", ".", "[")


def _parameters(
    spec: Mapping[str, Any], sound: Callable[[str], bool], with_points: bool
) -> list[InvalidStudyError]:
    parameters = spec.get("parameters")
    if not isinstance(parameters, list):  # it is missing, or no list: the schema says so
        return []
    found = list(parameter_problems(parameters, sound))
    if with_points and not found and sound("spec.parameters"):
        found += point_problems(spec["initialParameters"], parse_space(parameters))
    return found
