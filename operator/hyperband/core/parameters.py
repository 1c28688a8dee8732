"""The five kinds of parameters, as plain records; `Space` checks them and gives them meaning."""

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Value = float | int | str | bool
Conditions = Mapping[str, tuple[Value, ...]]  # parent's name: the values that make the child active


class Scale(StrEnum):
    """On which axis a uniform number is uniform."""

    LINEAR = "Linear"
    LOG = "Log"


class Distribution(StrEnum):
    """What a number is drawn from."""

    UNIFORM = "Uniform"
    NORMAL = "Normal"
    LOG_NORMAL = "LogNormal"  # mean and deviation are of the value's natural logarithm


@dataclass(frozen=True, slots=True)
class Float:
    """A number in [min, max]; with `step`, one of min, min + step, … up to max.

    Normal and LogNormal need a mean and a deviation. They are cut off at the bounds, and at
    4 deviations from the mean at the latest, so that either bound may be left out.
    A step counts on the linear scale and from min; scale Log takes none.
    """

    name: str
    min: float | None = None
    max: float | None = None
    scale: Scale = Scale.LINEAR
    distribution: Distribution = Distribution.UNIFORM
    mean: float | None = None
    deviation: float | None = None
    step: float | None = None
    when: Conditions = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Integer:
    """An integer in [min, max], both included; with `step`, one of min, min + step, … up to max.

    An integer n (of step s) has the probability that the distribution gives [n - s/2, n + s/2]: on
    the linear scale all are equally likely, on the Log scale n about in proportion to 1/n.
    """

    name: str
    min: int | None = None
    max: int | None = None
    scale: Scale = Scale.LINEAR
    distribution: Distribution = Distribution.UNIFORM
    mean: float | None = None
    deviation: float | None = None
    step: int | None = None
    when: Conditions = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Categorical:
    """One of several values without an order. A value of weight 0 is used only where given."""

    name: str
    values: tuple[Value, ...]
    weights: tuple[float, ...] | None = None  # in any unit; equal if None
    when: Conditions = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Ordinal:
    """One of several values in an order that means something, e.g. ("small", "base", "large")."""

    name: str
    values: tuple[Value, ...]
    weights: tuple[float, ...] | None = None
    when: Conditions = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Constant:
    """Always the same value."""

    name: str
    value: Value
    when: Conditions = field(default_factory=dict, hash=False)


Number = Float | Integer
Choice = Categorical | Ordinal
Parameter = Float | Integer | Categorical | Ordinal | Constant


def identity(value: Value) -> tuple[bool, Value]:
    """Equal for equal values: 1 is 1.0, but True is not 1 as it is to Python."""
    return isinstance(value, bool), value


def finite(value: object) -> bool:
    """Whether it is a number (no boolean) that a float can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max


def show(value: object) -> str:
    """A value as the user would write it in YAML or JSON, cut where it gets long."""
    try:
        written = json.dumps(value, default=str, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):  # of thousands of digits or levels, say
        return f"a {type(value).__name__} that cannot be shown"
    return written if len(written) <= 120 else f"{written[:117]}..."


def environment_suffix(name: str) -> str:
    """What follows HYPERBAND_PARAM_ in the name of the parameter's environment variable."""
    return re.sub("[^A-Z0-9]", "_", name.upper())
