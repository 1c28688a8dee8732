"""A HyperbandStudy object as records: read once, checked completely."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from hyperband.api import names
from hyperband.api.durations import parse_duration
from hyperband.api.parameters import parse_points, parse_space
from hyperband.api.schema.build import integer, record, text
from hyperband.api.schema.check import complete
from hyperband.api.schema.lifecycle import TARGET_OF_RESOURCE
from hyperband.api.schema.parameters import LARGEST_INTEGER
from hyperband.api.schema.searcher import (
    LARGE_TOURNAMENT,
    NO_FRACTION,
    NO_STUDY_NAME,
    OPTIONS,
    of_another,
)
from hyperband.api.schema.study_spec import SPEC
from hyperband.api.schema.study_status import MAX_LEVELS
from hyperband.api.schema.template import STRAY_IMAGE
from hyperband.api.template import Checkpoint, TrialTemplate, parse_checkpoint, parse_template
from hyperband.core.budgets import HOUR
from hyperband.core.errors import InvalidStudyError
from hyperband.core.parameters import show
from hyperband.core.records import (
    Budget,
    FailurePolicy,
    Goal,
    Objective,
    OnBudget,
    Resource,
    SearcherOptions,
    Sizes,
    Study,
    Target,
)
from hyperband.core.rungs import Ladder
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
    if not name:
        raise InvalidStudyError("metadata.name", "is missing: give the study a name")
    if not re.fullmatch(names.NAME_PATTERN, name):
        raise InvalidStudyError("metadata.name", f"{show(name)} {NO_STUDY_NAME}")
    if len(name) > names.MAX_STUDY_NAME:
        raise InvalidStudyError(
            "metadata.name",
            f"{name:.100} is longer than {names.MAX_STUDY_NAME} characters, so that the names of "
            "its pods would not fit into labels: shorten it",
        )
    spec: dict[str, Any] = complete(SPEC, body.get("spec") or {}, "spec")
    template = parse_template(spec["trialTemplate"])
    if "ttlAfterFinished" in spec:
        _duration(spec, "ttlAfterFinished", "spec")
    return StudyResource(
        study=_study(spec, name, uid),
        name=name,
        namespace=metadata.get("namespace") or "default",
        uid=uid,
        generation=metadata.get("generation", 0),
        suspend=spec["suspend"],
        checkpoint=parse_checkpoint(spec.get("checkpoint"), template),
        reporting=_reporting(spec["reporting"]),
        gpu_resources=tuple(spec["gpuResources"]),
        template=template,
        retention=Retention(
            _duration(spec["retention"], "pods", "spec.retention"),
            spec["retention"]["logs"] == "Keep",
            spec["retention"]["trials"],
        ),
        scheduling=Scheduling(spec["scheduling"]["initialPods"], spec["scheduling"]["pack"]),
        warm_start=_warm_start(spec.get("warmStart") or {}, name),
    )


def _metadata(given: Any) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise InvalidStudyError("metadata.name", "is missing: give the study a name")
    known = {key: given[key] for key in _METADATA["properties"] if key in given}
    read: Mapping[str, Any] = complete(_METADATA, known, "metadata")
    return read


def _study(spec: Mapping[str, Any], name: str, uid: str) -> Study:
    objective = Objective(spec["objective"]["metric"], Goal(spec["objective"]["goal"]))
    resource = _resource(spec["resource"])
    for field, given in (("objective.metric", objective.metric), ("resource.name", resource.name)):
        if "\0" in given:
            raise InvalidStudyError(f"spec.{field}", f"{show(given)} has a NUL: remove it")
    if objective.metric == resource.name:
        raise InvalidStudyError(
            "spec.objective.metric",
            f"{objective.metric} is the name of the resource too: report the two under different "
            "names",
        )
    hyperband, policy = spec["hyperband"], spec["failurePolicy"]
    searcher: Mapping[str, Any] = spec["searcher"]
    seed: int | None = searcher.get("seed")
    space = parse_space(spec["parameters"])
    study = Study(
        name=name,
        objective=objective,
        resource=resource,
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
        targets=_targets(spec.get("earlyStopping") or (), resource.name),
        resume=spec["resume"],
        stop=spec["stop"],
    )
    _check_mode(study)
    _check_ladder(study)
    return study


def _reporting(given: Mapping[str, Any]) -> Reporting:
    reporting = Reporting(ReportingMode(given["mode"]), given.get("image", ""))
    if reporting.image and reporting.mode is not ReportingMode.SIDECAR:
        problem = STRAY_IMAGE % reporting.mode.value
        raise InvalidStudyError("spec.reporting.image", problem)
    return reporting


def _targets(given: Sequence[Mapping[str, Any]], resource: str) -> tuple[Target, ...]:
    if any(each["metric"] == resource for each in given):
        raise InvalidStudyError("spec.earlyStopping", f"{resource} {TARGET_OF_RESOURCE}")
    return tuple(Target(t["metric"], Goal(t["goal"]), float(t["value"])) for t in given)


def _budget(given: Mapping[str, Any], on_budget: OnBudget) -> Budget:
    hours, units = given.get("gpuHours"), given.get("resourceUnits")
    seconds = _duration(given, "duration", "spec.budget") if "duration" in given else None
    if seconds == 0:
        raise InvalidStudyError(
            "spec.budget.duration", f"{given['duration']} leaves no time: give more, or none"
        )
    return Budget(
        gpu_seconds=None if hours is None else hours * HOUR,
        seconds=seconds,
        resource_units=None if units is None else float(units),
        on_budget=on_budget,
    )


def _duration(given: Mapping[str, Any], name: str, path: str) -> float:
    try:
        return parse_duration(given[name])
    except ValueError as error:
        raise InvalidStudyError(f"{path}.{name}", str(error)) from error


def _options(searcher: Mapping[str, Any]) -> SearcherOptions:
    given = {name: option for name, option in OPTIONS.items() if name in searcher}
    for name, option in given.items():
        if option.searcher not in (None, searcher["type"]):
            problem = of_another(str(option.searcher)) % searcher["type"]
            raise InvalidStudyError(f"spec.searcher.{name}", problem)
    good = searcher.get("goodFraction")
    if good is not None and not 0 < good < 1:
        raise InvalidStudyError("spec.searcher.goodFraction", NO_FRACTION % show(good))
    population, tournament = searcher.get("population"), searcher.get("tournament")
    if population is not None and tournament is not None and tournament > population:
        problem = LARGE_TOURNAMENT % (tournament, population)
        raise InvalidStudyError("spec.searcher.tournament", problem)
    return SearcherOptions(
        **{option.attribute: option.read(searcher[name]) for name, option in given.items()}
    )


def _warm_start(given: Mapping[str, Any], own_name: str) -> tuple[str, ...]:
    earlier: tuple[str, ...] = tuple(given.get("fromStudies", ()))
    for position, name in enumerate(earlier):
        if not re.fullmatch(names.NAME_PATTERN, name):
            raise InvalidStudyError(
                f"spec.warmStart.fromStudies[{position}]", f"{name} {NO_STUDY_NAME}"
            )
    if own_name in earlier:
        raise InvalidStudyError(
            f"spec.warmStart.fromStudies[{earlier.index(own_name)}]",
            f"{own_name} is this study itself, which has no earlier trials: name other studies",
        )
    return earlier


def _resource(given: Mapping[str, Any]) -> Resource:
    integer = given["type"] == "Integer"
    for bound in ("min", "max"):
        if integer and not given[bound] == int(given[bound]) <= LARGEST_INTEGER:
            raise InvalidStudyError(
                f"spec.resource.{bound}",
                f"{show(given[bound])} is not an integer: round it, or use type Float",
            )
    if given["min"] >= given["max"]:
        raise InvalidStudyError(
            "spec.resource.min",
            f"{show(given['min'])} is not below max {show(given['max'])}: lower min, or raise max",
        )
    number = int if integer else float
    return Resource(given["name"], number(given["min"]), number(given["max"]), integer)


def _check_mode(study: Study) -> None:
    """Brackets start at rungs, and without early stopping there are none."""
    if study.stops_early:
        return
    if study.brackets > 1:
        raise InvalidStudyError(
            "spec.hyperband.brackets",
            f"{study.brackets} brackets need rungs, which mode None does not have: leave brackets "
            "out, or choose another mode",
        )
    if study.sizes is not Sizes.FLOOR:
        raise InvalidStudyError(
            "spec.hyperband.sizes",
            f"{study.sizes.value} is a size of brackets, which mode None does not have: leave "
            "sizes out, or choose another mode",
        )


def _check_ladder(study: Study) -> None:
    """With rungs there are at least two, as min < max; how many brackets fit they tell."""
    resource = study.resource
    levels = Ladder.of(study).levels
    if len(levels) > MAX_LEVELS:
        raise InvalidStudyError(
            "spec.resource.min",
            f"{show(resource.min)} is {len(levels) - 1} factors of eta {study.eta:g} below max "
            f"{show(resource.max)}: raise min, for at most {MAX_LEVELS} rungs",
        )
    if study.brackets > len(levels):
        rungs = ", ".join(f"{level:g}" for level in levels)
        raise InvalidStudyError(
            "spec.hyperband.brackets",
            f"{study.brackets} is more than the {len(levels)} rungs ({rungs} {resource.name}): "
            f"give at most {len(levels)}",
        )
