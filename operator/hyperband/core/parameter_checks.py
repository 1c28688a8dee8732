"""What can be wrong with a space: each check yields (field, problem), all that it finds.

A later check may rely on what the earlier ones have let through: it is not asked where one of
those has found something.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from graphlib import CycleError, TopologicalSorter

from hyperband.core.axes import Axis, ends, number_axis
from hyperband.core.distributions import DEVIATIONS, reach
from hyperband.core.exact import exact
from hyperband.core.parameters import (
    Choice,
    Constant,
    Distribution,
    Float,
    Integer,
    Number,
    Parameter,
    Scale,
    Value,
    environment_suffix,
    finite,
    identity,
    show,
)

Problems = Iterator[tuple[str, str]]

MIN_MASS = 1e-6  # of a Normal between its bounds
# Bounds lie within this many steps of 0, so that a float tells the cells of a grid apart.
MAX_STEPS = 2**32
MAX_FLOAT = Fraction(sys.float_info.max)


def parameter_problems(parameter: Parameter) -> Problems:
    """What is wrong with one parameter by itself; fields are relative to it."""
    if isinstance(parameter, Float | Integer):
        for check in (_plain_numbers, _law, _bounds, _scale, _step, _reach, _mass):
            found = list(check(parameter))
            yield from found
            if found:
                return
    elif isinstance(parameter, Constant):
        yield from _value("value", parameter.value)
    else:
        yield from _choice(parameter)


def _plain_numbers(p: Number) -> Problems:
    given = {name: getattr(p, name) for name in ("min", "max", "mean", "deviation", "step")}
    for name, value in given.items():
        if value is None:
            continue
        if not finite(value):
            yield name, f"{show(value)} is not a finite number: give one"
        elif isinstance(p, Integer) and name in ("min", "max", "step") and value != int(value):
            yield name, f"{show(value)} is not an integer: round it or make the parameter a Float"


def _law(p: Number) -> Problems:
    if p.distribution == Distribution.UNIFORM:
        for name, bound in (("min", p.min), ("max", p.max)):
            if bound is None:
                yield name, f"is missing: a Uniform {type(p).__name__} needs min and max"
        for name, moment in (("mean", p.mean), ("deviation", p.deviation)):
            if moment is not None:
                yield (
                    name,
                    f"{show(moment)} means nothing to a Uniform distribution:"
                    " leave it out or set distribution to Normal or LogNormal",
                )
        return
    for name, moment in (("mean", p.mean), ("deviation", p.deviation)):
        if moment is None:
            yield name, f"is missing: a {p.distribution} distribution needs mean and deviation"
    if p.deviation is not None and p.deviation <= 0:
        yield "deviation", f"{show(p.deviation)} is not above 0: give a positive deviation"


def _bounds(p: Number) -> Problems:
    if p.min is None or p.max is None:
        return
    if p.min == p.max:
        yield (
            "min",
            f"{show(p.min)} is also max: give a smaller min, or use a Constant of this value",
        )
    if p.min > p.max:
        yield "min", f"{show(p.min)} is above max {show(p.max)}: exchange the two"
    if not finite(p.max - p.min):
        yield "max", f"{show(p.max)} is too far from min {show(p.min)}: narrow the range"


def _scale(p: Number) -> Problems:
    if p.scale == Scale.LOG:
        if p.distribution != Distribution.UNIFORM:
            yield (
                "scale",
                f"Log does not go with a {p.distribution} distribution:"
                " use distribution LogNormal with scale Linear",
            )
        if p.min is not None and p.min <= 0:
            yield (
                "min",
                f"{show(p.min)} has no logarithm: with scale Log give a min above 0,"
                " or use scale Linear",
            )
        if p.step is not None:
            yield (
                "step",
                f"{show(p.step)} does not go with scale Log, as steps are equal on the linear"
                " scale: leave it out, use scale Linear, or an Ordinal of the values",
            )
    elif p.distribution == Distribution.LOG_NORMAL:
        if p.min is not None and p.min < 0:
            yield "min", f"{show(p.min)} is below 0 as no LogNormal value is: give 0 or more"
        if p.max is not None and p.max <= 0:
            yield "max", f"{show(p.max)} is not above 0 as a LogNormal value is: give a larger one"


def _step(p: Number) -> Problems:
    if p.step is not None:
        if p.step <= 0:
            yield "step", f"{show(p.step)} is not above 0: give a positive step"
        if p.min is None:
            yield "min", f"is missing: steps of {show(p.step)} are counted from min"
        elif p.max is not None and exact(p.step) > exact(p.max) - exact(p.min):
            yield (
                "step",
                f"{show(p.step)} is larger than the range from {show(p.min)} to {show(p.max)}:"
                f" give at most {show(float(exact(p.max) - exact(p.min)))}",
            )


def _reach(p: Number) -> Problems:
    """A distribution that floats cannot hold, or a grid that they cannot tell apart."""
    try:
        low, high = reach(p)
    except OverflowError:
        low, high = 0.0, float("inf")
    if p.distribution != Distribution.UNIFORM and not (
        finite(low) and finite(high) and (low > 0 or p.distribution == Distribution.NORMAL)
    ):
        hint = (
            "; mean and deviation of a LogNormal are those of the natural logarithm of the value"
            if p.distribution == Distribution.LOG_NORMAL
            else ""
        )
        yield (
            "mean",
            f"{show(p.mean)} with deviation {show(p.deviation)} reaches values that no float"
            f" can hold: give smaller ones{hint}",
        )
    step = 1 if isinstance(p, Integer) and p.step is None else p.step
    if step is None:
        return
    first, last = ends(p)
    for name, bound in (("min", first), ("max", last)):
        if abs(bound) / step > MAX_STEPS:
            yield (
                name if p.step is None else "step",
                f"{name} {show(bound)} is more than {MAX_STEPS} steps of {show(step)} away from 0:"
                " give a larger step or a Float without one",
            )
    half = exact(step) / 2  # the first and the last value lie in the middle of a cell
    if max(half - exact(first), exact(last) + half) > MAX_FLOAT:
        yield "step", f"{show(step)} reaches beyond what a float can hold: give a smaller step"


def _mass(p: Number) -> Problems:
    if p.mean is None or p.deviation is None:
        return
    first, last = ends(p)
    text = f"a {p.distribution} with mean {show(p.mean)} and deviation {show(p.deviation)}"
    if first >= last or number_axis(p).law.mass < MIN_MASS:
        low, high = reach(p)
        name = "max" if p.max is not None and p.max < (low + high) / 2 else "min"
        bound = getattr(p, name)
        if bound is None:
            yield (
                "deviation",
                f"{text} leaves a single value: give a larger deviation or use a Constant",
            )
            return
        yield (
            name,
            f"{show(bound)} leaves practically nothing of {text}, which reaches from {low:g} to"
            f" {high:g} ({DEVIATIONS:g} deviations): move the bounds there or change the mean",
        )
    elif p.step is not None and p.max is None and p.step > last - first:
        yield "step", f"{show(p.step)} leaves {text} a single value: give a smaller step"


def _value(name: str, value: Value) -> Problems:
    if not isinstance(value, str | bool) and not finite(value):
        yield name, f"{show(value)} is no finite number, string or boolean: replace it by one"
    if isinstance(value, str) and "\0" in value:
        yield name, f"{show(value)} has a NUL, which no environment variable can hold: remove it"


def _choice(p: Choice) -> Problems:
    if not p.values:
        yield "values", "[] has nothing to choose from: list at least one value"
    seen: dict[tuple[bool, Value], int] = {}
    for i, value in enumerate(p.values):
        yield from _value(f"values[{i}]", value)
        first = seen.setdefault(identity(value), i)
        if first != i:
            yield (
                f"values[{i}]",
                f"{show(value)} is also values[{first}]: remove one, or give weights",
            )
    if p.weights is None:
        return
    if len(p.weights) != len(p.values):
        yield (
            "weights",
            f"there are {len(p.weights)} weights for {len(p.values)} values: give one for each",
        )
    for i, weight in enumerate(p.weights):
        if not finite(weight) or weight < 0:
            yield f"weights[{i}]", f"{show(weight)} is not a weight: give a number of 0 or more"
    if not any(p.weights):
        yield "weights", "all weights are 0: give at least one value a positive weight"


def name_problems(parameters: Sequence[Parameter]) -> Problems:
    """Names that are empty, taken, or the same as another's in the environment."""
    if not parameters:
        yield "", "there are no parameters: give at least one to tune"
    names: dict[str, int] = {}
    variables: dict[str, int] = {}
    for i, parameter in enumerate(parameters):
        name = parameter.name
        if not name:
            yield f"[{i}].name", '"" is empty: give the parameter a name'
        if (first := names.setdefault(name, i)) != i:
            yield f"[{i}].name", f"{show(name)} is also parameters[{first}]: rename one of them"
            continue
        suffix = environment_suffix(name)
        if (first := variables.setdefault(suffix, i)) != i:
            yield (
                f"[{i}].name",
                f"{show(name)} and {show(parameters[first].name)} would both be the environment"
                f" variable HYPERBAND_PARAM_{suffix}: rename one of them",
            )


def condition_problems(parameters: Sequence[Parameter], axes: Mapping[str, Axis]) -> Problems:
    """Conditions on parents that are not there, cannot have the value, or depend on the child."""
    kinds = {parameter.name: type(parameter) for parameter in parameters}
    for i, parameter in enumerate(parameters):
        for parent, values in parameter.when.items():
            path = f"[{i}].when.{parent}"
            if parent not in kinds:
                yield path, f"no parameter is named {show(parent)}: use one of {', '.join(kinds)}"
                continue
            if kinds[parent] is Float:
                yield (
                    path,
                    f"{show(parent)} is a Float, whose values cannot be listed:"
                    " use an Integer, Categorical, Ordinal or Constant",
                )
                continue
            if not values:
                yield path, "[] can never hold: list the values that make the parameter active"
            for value in values:
                try:
                    axes[parent].canonical(value)
                except ValueError as error:
                    yield path, f"{show(parent)} can never be {show(value)}: {error}"
    try:
        TopologicalSorter({p.name: list(p.when) for p in parameters}).prepare()
    except CycleError as error:
        # graphlib lists a cycle with each parent before its child.
        cycle: list[str] = error.args[1]
        index = next(i for i, p in enumerate(parameters) if p.name in cycle)
        yield (
            f"[{index}].when",
            f"{' -> '.join(reversed(cycle))} is a cycle, in which each needs the next:"
            " remove one of these conditions",
        )
