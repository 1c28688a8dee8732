"""What can be wrong with a study that its schema has let through; each check yields all of it."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from hyperband.api import names
from hyperband.api.durations import parse_duration
from hyperband.api.schema.lifecycle import TARGET_OF_RESOURCE
from hyperband.api.schema.parameters import LARGEST_INTEGER
from hyperband.api.schema.searcher import (
    LARGE_TOURNAMENT,
    NO_FRACTION,
    NO_STUDY_NAME,
    OPTIONS,
    of_another,
)
from hyperband.api.schema.study_status import MAX_LEVELS
from hyperband.api.schema.template import STRAY_IMAGE
from hyperband.core.errors import InvalidStudyError
from hyperband.core.parameters import show
from hyperband.core.records import Resource
from hyperband.core.rungs import Ladder

Spec = Mapping[str, Any]  # complete: with the schema's defaults
Problems = Iterator[InvalidStudyError]


def name_problems(name: str) -> Problems:
    """What is wrong with a study's name."""
    if not name:
        yield InvalidStudyError("metadata.name", "is missing: give the study a name")
    elif not re.fullmatch(names.NAME_PATTERN, name):
        yield InvalidStudyError("metadata.name", f"{show(name)} {NO_STUDY_NAME}")
    if len(name) > names.MAX_STUDY_NAME:
        yield InvalidStudyError(
            "metadata.name",
            f"{name:.100} is longer than {names.MAX_STUDY_NAME} characters, so that the names of "
            "its pods would not fit into labels: shorten it",
        )


def read_resource(given: Mapping[str, Any]) -> Resource:
    """The resource, which `_resource` has found nothing wrong with."""
    integer = given["type"] == "Integer"
    number = int if integer else float
    return Resource(given["name"], number(given["min"]), number(given["max"]), integer)


def _duration(given: Mapping[str, Any], name: str, path: str) -> Problems:
    try:
        if name in given:
            parse_duration(given[name])
    except ValueError as error:
        yield InvalidStudyError(f"{path}.{name}", str(error))


def _ttl(spec: Spec) -> Problems:
    yield from _duration(spec, "ttlAfterFinished", "spec")


def _retention(spec: Spec) -> Problems:
    yield from _duration(spec["retention"], "pods", "spec.retention")


def _budget(spec: Spec) -> Problems:
    given = spec.get("budget") or {}
    wrong = list(_duration(given, "duration", "spec.budget"))
    yield from wrong
    if not wrong and "duration" in given and parse_duration(given["duration"]) == 0:
        yield InvalidStudyError(
            "spec.budget.duration", f"{given['duration']} leaves no time: give more, or none"
        )


def _objective(spec: Spec) -> Problems:
    metric, resource = spec["objective"]["metric"], spec["resource"]["name"]
    for field, given in (("objective.metric", metric), ("resource.name", resource)):
        if "\0" in given:
            yield InvalidStudyError(f"spec.{field}", f"{show(given)} has a NUL: remove it")
    if metric == resource:
        yield InvalidStudyError(
            "spec.objective.metric",
            f"{metric} is the name of the resource too: report the two under different names",
        )


def _resource(spec: Spec) -> Problems:
    given = spec["resource"]
    for bound in ("min", "max"):
        if given["type"] == "Integer" and not (
            given[bound] == int(given[bound]) <= LARGEST_INTEGER
        ):
            yield InvalidStudyError(
                f"spec.resource.{bound}",
                f"{show(given[bound])} is not an integer: round it, or use type Float",
            )
    if given["min"] >= given["max"]:
        yield InvalidStudyError(
            "spec.resource.min",
            f"{show(given['min'])} is not below max {show(given['max'])}: lower min, or raise max",
        )


def _reporting(spec: Spec) -> Problems:
    given = spec["reporting"]
    if given.get("image") and given["mode"] != "Sidecar":
        yield InvalidStudyError("spec.reporting.image", STRAY_IMAGE % given["mode"])


def _targets(spec: Spec) -> Problems:
    resource = spec["resource"]["name"]
    if any(each["metric"] == resource for each in spec.get("earlyStopping") or ()):
        yield InvalidStudyError("spec.earlyStopping", f"{resource} {TARGET_OF_RESOURCE}")


def _searcher(spec: Spec) -> Problems:
    searcher = spec["searcher"]
    for name, option in OPTIONS.items():
        if name in searcher and option.searcher not in (None, searcher["type"]):
            problem = of_another(str(option.searcher)) % searcher["type"]
            yield InvalidStudyError(f"spec.searcher.{name}", problem)
    good = searcher.get("goodFraction")
    if good is not None and not 0 < good < 1:
        yield InvalidStudyError("spec.searcher.goodFraction", NO_FRACTION % show(good))
    population, tournament = searcher.get("population"), searcher.get("tournament")
    if population is not None and tournament is not None and tournament > population:
        problem = LARGE_TOURNAMENT % (tournament, population)
        yield InvalidStudyError("spec.searcher.tournament", problem)


def warm_start_problems(spec: Spec, own_name: str) -> Problems:
    """What is wrong with the names of earlier studies."""
    for position, name in enumerate((spec.get("warmStart") or {}).get("fromStudies", ())):
        field = f"spec.warmStart.fromStudies[{position}]"
        if not re.fullmatch(names.NAME_PATTERN, name):
            yield InvalidStudyError(field, f"{name} {NO_STUDY_NAME}")
        elif name == own_name:
            yield InvalidStudyError(
                field,
                f"{own_name} is this study itself, which has no earlier trials: name other studies",
            )


def _mode(spec: Spec) -> Problems:
    """Brackets start at rungs, and without early stopping there are none."""
    hyperband = spec["hyperband"]
    if hyperband["mode"] != "None":
        return
    if hyperband["brackets"] > 1:
        yield InvalidStudyError(
            "spec.hyperband.brackets",
            f"{hyperband['brackets']} brackets need rungs, which mode None does not have: leave "
            "brackets out, or choose another mode",
        )
    if hyperband["sizes"] != "Floor":
        yield InvalidStudyError(
            "spec.hyperband.sizes",
            f"{hyperband['sizes']} is a size of brackets, which mode None does not have: leave "
            "sizes out, or choose another mode",
        )


def _ladder(spec: Spec) -> Problems:
    """With rungs there are at least two, as min < max; how many brackets fit they tell."""
    hyperband = spec["hyperband"]
    if hyperband["mode"] == "None" or any(_resource(spec)):
        return
    resource, eta = read_resource(spec["resource"]), float(hyperband["eta"])
    levels = Ladder(resource, eta).levels
    if len(levels) > MAX_LEVELS:
        yield InvalidStudyError(
            "spec.resource.min",
            f"{show(resource.min)} is {len(levels) - 1} factors of eta {eta:g} below max "
            f"{show(resource.max)}: raise min, for at most {MAX_LEVELS} rungs",
        )
    elif hyperband["brackets"] > len(levels):
        rungs = ", ".join(f"{level:g}" for level in levels)
        yield InvalidStudyError(
            "spec.hyperband.brackets",
            f"{hyperband['brackets']} is more than the {len(levels)} rungs ({rungs} "
            f"{resource.name}): give at most {len(levels)}",
        )


# Each with the fields of the spec that it reads. What parameters and pods must be is elsewhere.
CHECKS: Final[tuple[tuple[tuple[str, ...], Callable[[Spec], Problems]], ...]] = (
    (("ttlAfterFinished",), _ttl),
    (("objective.metric", "resource.name"), _objective),
    (("resource",), _resource),
    (("searcher",), _searcher),
    (("budget",), _budget),
    (("earlyStopping", "resource.name"), _targets),
    (("hyperband",), _mode),
    (("hyperband", "resource"), _ladder),
    (("reporting",), _reporting),
    (("retention",), _retention),
)
