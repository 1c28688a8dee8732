"""What both converters put together: the rungs of Hyperband, whole trainings, names, early ends."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hyperband.api import names
from hyperband.api.schema.study_spec import MAX_TRIALS
from hyperband.cli.converting.source import Notes, Section
from hyperband.cli.converting.spaces import tidy
from hyperband.core.brackets import in_use, start_size
from hyperband.core.errors import InvalidStudyError
from hyperband.core.exact import exact
from hyperband.core.records import Goal, Resource, Sizes
from hyperband.core.rungs import geometric_levels

GOALS: Mapping[str, Goal] = {"minimize": Goal.MINIMIZE, "maximize": Goal.MAXIMIZE}
IMAGE = "registry.example.com/train:1"  # where the source names none


@dataclass(frozen=True, slots=True)
class Search:
    """How a study compares its trials: fields of its spec."""

    resource: Mapping[str, Any]
    hyperband: Mapping[str, Any]
    searcher: Mapping[str, Any]
    trials: int  # maxTrials


def hyperband_search(
    name: str, maximum: Fraction, eta: float, *, whole: bool, sizes: Sizes, path: str
) -> Search:
    """Synchronous Hyperband with all its brackets, once around.

    Args:
        name: of the resource.
        path: of the field with the maximum.

    Raises:
        InvalidStudyError: there is nothing to stop early, or too much to try.
    """
    power, factor = Fraction(1), exact(eta)
    while power * factor <= maximum:
        power *= factor
    low = _rounded_up(maximum / power, whole=whole)
    if low >= maximum:
        told = f"{tidy(maximum)} is below eta {eta:g}, so that no rung lies below it"
        raise InvalidStudyError(path, f"{told}: raise it, or lower eta")
    resource = Resource(name, tidy(low), tidy(maximum), whole)
    levels = len(geometric_levels(resource, eta))
    trials = sum(start_size(levels, s, eta, sizes) for s in in_use(levels, levels))
    if trials > MAX_TRIALS:
        told = f"{tidy(maximum)} with eta {eta:g} takes {trials} trials: lower it, or raise eta"
        raise InvalidStudyError(path, told)
    hyperband = {"mode": "Synchronous", "eta": tidy(eta), "brackets": levels}
    return Search(
        {
            "name": name,
            **({} if whole else {"type": "Float"}),
            "min": resource.min,
            "max": resource.max,
        },
        hyperband | ({"sizes": sizes.value} if sizes is not Sizes.FLOOR else {}),
        {"type": "Random"},
        trials,
    )


def _rounded_up(least: Fraction, *, whole: bool) -> Fraction:
    """To a whole number, or to 6 digits: a bit less would make a rung more, just below the top."""
    unit = Fraction(1) if whole else Fraction(10) ** (math.floor(math.log10(least)) - 5)
    return -(-least // unit) * unit


def whole_trainings(searcher: Mapping[str, Any], trials: int) -> Search:
    """Each trial is trained to its end, whatever that is: it counts as 1."""
    resource = {"name": "trainings", "type": "Float", "min": 0.5, "max": 1}
    return Search(resource, {"mode": "None"}, searcher, trials)


def tell_whole_trainings(notes: Notes, where: str) -> None:
    """What a study without a resource is, and what it could be."""
    notes.add(
        where,
        "does not say what training spends, so that a trial is one whole training (report "
        "trainings=1 with the metric at its end). To stop bad trials early, write resource: "
        "{name: epochs, min: 1, max: …} and hyperband: {mode: Stopping}, and report every epoch",
    )


def reporting(resource: str, metric: str) -> str:
    """How a training says how far it is, and how good."""
    plain = resource.isidentifier() and metric.isidentifier()
    given = f'**{{"{resource}": …, "{metric}": …}}'
    return (
        "the operator does not read logs or files: have the training report metric and resource "
        f"together, hyperband.report.report({f'{resource}=…, {metric}=…' if plain else given}) in "
        "Python, or a line of JSON in any other language (docs/how-to/training.md)"
    )


def study_name(given: Any, where: str, notes: Notes) -> str:
    """A name that a study may have."""
    text = str(given or "")
    name = re.sub(r"[^a-z0-9.-]+", "-", text.lower())[: names.MAX_STUDY_NAME]
    name = re.sub(r"[.-]*\.[.-]*", ".", name).strip("-.")
    if not re.fullmatch(names.NAME_PATTERN, name):
        name = "converted"
    if name != text and text:
        notes.add(where, f"cannot be the name of a study: it is {name} here")
    return name


def target(section: Section, metric: str, goal: str, value: str) -> dict[str, Any]:
    """An item of earlyStopping, from the fields of these names."""
    reached = section.number(value)
    if reached is None:
        raise InvalidStudyError(section.field(value), "is missing: say what is good enough")
    return {
        "metric": str(section.need(metric, "name the metric")),
        "goal": section.choice(goal, GOALS).value,
        "value": tidy(reached),
    }


def whole_mebibytes(given: Any) -> Any:
    """A number without a unit is mebibytes to Polyaxon."""
    plain = isinstance(given, int | float) and not isinstance(given, bool)
    return f"{tidy(given)}Mi" if plain else given
