"""A study's object from what a person says in Python. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from hyperband.api import names
from hyperband.api.study_problems import study_problems
from hyperband.python.problems import StudyProblemsError

Body = dict[str, Any]
KEPT = ("name", "namespace", "labels", "annotations")  # of metadata: the rest is the server's
CONTAINER = "train"


def checked(body: Mapping[str, Any]) -> Body:
    """The study's object without what a server has added.

    Raises:
        StudyProblemsError: something is wrong with it.
    """
    problems = study_problems(body)
    if problems:
        raise StudyProblemsError(problems)
    return own(body)


def own(body: Mapping[str, Any]) -> Body:
    """What of a study's object is its author's."""
    metadata = {key: body["metadata"][key] for key in KEPT if key in body["metadata"]}
    made = {"apiVersion": names.API_VERSION, "kind": names.STUDY_KIND}
    return {**made, "metadata": metadata, "spec": dict(body["spec"])}


def template(
    image: str, command: Sequence[str], gpus: int, checkpoint_claim: str | None
) -> dict[str, Any]:
    """`trialTemplate`, and `checkpoint` if there is a claim, of a pod with one container."""
    container: dict[str, Any] = {"name": CONTAINER, "image": image}
    if command:
        container["command"] = list(command)
    if gpus:
        container["resources"] = {"limits": {"nvidia.com/gpu": gpus}}
    made: dict[str, Any] = {"trialTemplate": {"spec": {"containers": [container]}}}
    if checkpoint_claim is not None:
        claim = {"persistentVolumeClaim": {"claimName": checkpoint_claim}}
        made["checkpoint"] = {"volume": claim}
    return made


def given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Those fields that have a value."""
    return {key: value for key, value in fields.items() if value is not None}


def merged(made: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """What is given as `more` comes first, field by field in those that hold fields."""
    return {
        **made,
        **{
            key: {**made[key], **value}
            if isinstance(made.get(key), Mapping) and isinstance(value, Mapping)
            else value
            for key, value in more.items()
        },
    }
