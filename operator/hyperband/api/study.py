"""A HyperbandStudy object as records: read once, checked completely."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from hyperband.api.durations import parse_duration
from hyperband.api.parameters import parse_points, parse_space
from hyperband.api.schema.build import integer, record, text
from hyperband.api.schema.check import complete
from hyperband.api.schema.searcher import OPTIONS
from hyperband.api.schema.study_spec import SPEC
from hyperband.api.study_checks import CHECKS, name_problems, read_resource, warm_start_problems
from hyperband.api.template import Checkpoint, TrialTemplate, parse_checkpoint, parse_template
from hyperband.core.budgets import HOUR
from hyperband.core.errors import InvalidStudyError, raise_first
from hyperband.core.records import (
    Budget,
    FailurePolicy,
    Goal,
    Objective,
    OnBudget,
    SearcherOptions,
    Sizes,
    Study,
    Target,
)
from hyperband.core.seeds import seed_from

# What is read of an object's metadata; a server has checked it, a file's may be anything.
_METADATA: Final = record(
    "Metadata.",
    {
        "name": text("Name."),
        "namespace": text("Namespace."),
        "uid": text("Uid."),
        "generation": integer("Generation."),
    },
)


class ReportingMode(StrEnum):
    """How metrics get into the pod's annotation."""

    DIRECT = "Direct"  # the training writes them, with a token that the operator mounts
    SIDECAR = "Sidecar"  # a container beside it does, which follows a file
    MANUAL = "Manual"  # somebody else does


@dataclass(frozen=True, slots=True)
class Reporting:
    """Who reports, and with which image if that is a sidecar."""

    mode: ReportingMode
    image: str = ""  # the operator's choice if empty

    @property
    def needs_rights(self) -> bool:
        """Whether the pod's service account must be allowed to patch pods."""
        return self.mode is not ReportingMode.MANUAL


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept of pods that have ended, and of finished trials."""

    pods: float  # seconds
    logs: bool  # whether pods that we end are kept, too
    trials: int  # that keep an object of their own


@dataclass(frozen=True, slots=True)
class Scheduling:
    """How pods ask for nodes."""

    initial_pods: int  # that may wait for a node while no more than that have one
    pack: bool  # whether pods with GPUs prefer nodes that run trials already


@dataclass(frozen=True, slots=True)
class StudyResource:
    """A HyperbandStudy: the core's study, and what else the operator needs of the object."""

    study: Study
    name: str
    namespace: str
    uid: str
    generation: int
    suspend: bool
    checkpoint: Checkpoint | None
    reporting: Reporting
    gpu_resources: tuple[str, ...]
    template: TrialTemplate
    retention: Retention
    scheduling: Scheduling
    warm_start: tuple[str, ...] = ()  # names of studies; `study.earlier` is for others to fill

    @property
    def gpus(self) -> float:
        """What each of its pods holds."""
        return self.template.count(self.gpu_resources)


def parse_study(body: Mapping[str, Any]) -> StudyResource:
    """The study in an object as the API server, or a file, has it.

    Raises:
        InvalidStudyError: it cannot be run as written.
    """
    metadata = _metadata(body.get("metadata"))
    name, uid = metadata.get("name", ""), metadata.get("uid", "")
    raise_first(name_problems(name))
    spec: dict[str, Any] = complete(SPEC, body.get("spec") or {}, "spec")
    template = parse_template(spec["trialTemplate"])
    raise_first(error for _, check in CHECKS for error in check(spec))
    raise_first(warm_start_problems(spec, name))
    return StudyResource(
        study=_study(spec, name, uid),
        name=name,
        namespace=metadata.get("namespace") or "default",
        uid=uid,
        generation=metadata.get("generation", 0),
        suspend=spec["suspend"],
        checkpoint=parse_checkpoint(spec.get("checkpoint"), template),
        reporting=Reporting(
            ReportingMode(spec["reporting"]["mode"]), spec["reporting"].get("image", "")
        ),
        gpu_resources=tuple(spec["gpuResources"]),
        template=template,
        retention=Retention(
            parse_duration(spec["retention"]["pods"]),
            spec["retention"]["logs"] == "Keep",
            spec["retention"]["trials"],
        ),
        scheduling=Scheduling(spec["scheduling"]["initialPods"], spec["scheduling"]["pack"]),
        warm_start=tuple((spec.get("warmStart") or {}).get("fromStudies", ())),
    )


def _metadata(given: Any) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise InvalidStudyError("metadata.name", "is missing: give the study a name")
    known = {key: given[key] for key in _METADATA["properties"] if key in given}
    read: Mapping[str, Any] = complete(_METADATA, known, "metadata")
    return read


def _study(spec: Mapping[str, Any], name: str, uid: str) -> Study:
    objective = Objective(spec["objective"]["metric"], Goal(spec["objective"]["goal"]))
    hyperband, policy = spec["hyperband"], spec["failurePolicy"]
    searcher: Mapping[str, Any] = spec["searcher"]
    seed: int | None = searcher.get("seed")
    space = parse_space(spec["parameters"])
    return Study(
        name=name,
        objective=objective,
        resource=read_resource(spec["resource"]),
        space=space,
        max_trials=spec["maxTrials"],
        seed=seed_from(uid) if seed is None else seed,
        parallelism=spec["parallelism"],
        eta=float(hyperband["eta"]),
        mode=hyperband["mode"],
        brackets=hyperband["brackets"],
        sizes=Sizes(hyperband["sizes"]),
        searcher=searcher["type"],
        options=_options(searcher),
        initial=parse_points(spec.get("initialParameters") or (), space),
        failure_policy=FailurePolicy(policy["retries"], policy["maxFailedTrials"]),
        budget=_budget(spec.get("budget") or {}, OnBudget(spec["onBudget"])),
        targets=_targets(spec.get("earlyStopping") or ()),
        resume=spec["resume"],
        stop=spec["stop"],
    )


def _targets(given: Sequence[Mapping[str, Any]]) -> tuple[Target, ...]:
    return tuple(Target(t["metric"], Goal(t["goal"]), float(t["value"])) for t in given)


def _budget(given: Mapping[str, Any], on_budget: OnBudget) -> Budget:
    hours, units = given.get("gpuHours"), given.get("resourceUnits")
    return Budget(
        gpu_seconds=None if hours is None else hours * HOUR,
        seconds=parse_duration(given["duration"]) if "duration" in given else None,
        resource_units=None if units is None else float(units),
        on_budget=on_budget,
    )


def _options(searcher: Mapping[str, Any]) -> SearcherOptions:
    given = {name: option for name, option in OPTIONS.items() if name in searcher}
    return SearcherOptions(
        **{option.attribute: option.read(searcher[name]) for name, option in given.items()}
    )
