"""How one parameter lies in the unit cube: a block of `width` numbers in [0, 1].

A number or Ordinal takes one axis, its CDF, so that the prior is uniform on it; integers, steps
and ordinals lie in the middle of their cells. A Categorical takes one axis a value (one-hot), a
Constant none.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import Protocol

from hyperband.core.distributions import Truncated, reach, truncated
from hyperband.core.exact import exact
from hyperband.core.parameters import (
    Categorical,
    Constant,
    Float,
    Integer,
    Number,
    Ordinal,
    Parameter,
    Value,
    finite,
    identity,
    show,
)


class Axis(Protocol):
    """One parameter's values and their places in the unit cube."""

    @property
    def width(self) -> int:
        """How many numbers the block has."""

    @property
    def absent(self) -> float:
        """What the block is filled with while the parameter is inactive."""

    def quantile(self, u: float) -> Value:
        """The value at the CDF position u in [0, 1]."""

    def encode(self, value: Value) -> Sequence[float]:
        """The block, (width,), of a value that `canonical` accepts."""

    def decode(self, block: Sequence[float]) -> Value:
        """The value whose place is nearest to the block, (width,), with entries in [0, 1]."""

    def canonical(self, value: Value) -> Value:
        """The value as `quantile` would give it: same type, on the grid.

        Raises:
            ValueError: the parameter cannot have this value; the text states value and mend.
        """


def _number(value: Value) -> float:
    if isinstance(value, str) or not finite(value):
        raise ValueError(f"{show(value)} is not a finite number: give one")
    return value


@dataclass(frozen=True, slots=True)
class ContinuousAxis:
    """A Float without steps."""

    law: Truncated
    lower: float  # as declared: where the law ends earlier, a given value may lie outside of it
    upper: float
    width: int = 1
    absent: float = 0.5

    def quantile(self, u: float) -> float:
        return self.law.quantile(u)

    def cell(self, value: Value) -> tuple[float, float]:
        """The ends of the interval that `decode` takes for the value; here they are equal."""
        place = self.law.cdf(_number(value))
        return place, place

    def encode(self, value: Value) -> Sequence[float]:
        return (self.law.cdf(_number(value)),)

    def decode(self, block: Sequence[float]) -> float:
        return self.quantile(block[0])

    def canonical(self, value: Value) -> float:
        number = float(_number(value))
        if not self.lower <= number <= self.upper or (self.law.logarithmic and number <= 0):
            lower = max(self.lower, 0.0) if self.law.logarithmic else self.lower
            raise ValueError(f"{show(value)} is outside {lower:g} … {self.upper:g}: stay inside")
        return number


@dataclass(frozen=True, slots=True)
class GridAxis:
    """start, start + step, …: `count` values, each in the middle of a cell of one step."""

    law: Truncated  # on [start - step/2, last + step/2], or less
    start: Fraction
    step: Fraction
    count: int
    integer: bool
    width: int = 1
    absent: float = 0.5

    def _index(self, x: float) -> int:
        position = (x - float(self.start)) / float(self.step) + 0.5
        # Before it is rounded: what is far outside of a fine grid is at infinity in steps.
        return math.floor(min(self.count - 1, max(0.0, position)))

    def _value(self, index: int) -> float | int:
        if self.integer:  # ten times as fast as the fractions
            return self.start.numerator + index * self.step.numerator
        return float(self.start + index * self.step)

    def quantile(self, u: float) -> float | int:
        return self._value(self._index(self.law.quantile(u)))

    def cell(self, value: Value) -> tuple[float, float]:
        """The ends of the interval that `decode` takes for the value."""
        middle, half = self._value(self._index(_number(value))), float(self.step) / 2
        return self.law.cdf(middle - half), self.law.cdf(middle + half)

    def encode(self, value: Value) -> Sequence[float]:
        return (sum(self.cell(value)) / 2,)

    def decode(self, block: Sequence[float]) -> float | int:
        return self.quantile(block[0])

    def canonical(self, value: Value) -> float | int:
        number, slack = _number(value), 1e-9 * float(self.step)
        index = self._index(number)
        nearest = self._value(index)
        if abs(number - nearest) > slack:
            first, last = self._value(0), self._value(self.count - 1)
            if not first - slack <= number <= last + slack:
                raise ValueError(f"{show(value)} is outside {first} … {last}: stay inside")
            other = self._value(index + 1 if number > nearest else index - 1)
            low, high = sorted((nearest, other))
            wanted = f"{first} plus a multiple of {self._show_step()}"
            if self.integer and self.step == 1:
                wanted = "a whole number"
            raise ValueError(f"{show(value)} is not {wanted}: use {low} or {high}")
        return nearest

    def edges(self) -> tuple[float, ...]:
        """Where the cells begin and end on the axis, (count + 1,)."""
        half = self.step / 2
        below = (float(self.start + index * self.step - half) for index in range(self.count + 1))
        return tuple(self.law.cdf(x) for x in below)

    def _show_step(self) -> str:
        return show(int(self.step) if self.integer else float(self.step))


class _Values:
    """A finite list of values with weights."""

    def __init__(self, values: tuple[Value, ...], weights: tuple[float, ...] | None) -> None:
        self.values = values
        self._index = {identity(value): i for i, value in enumerate(values)}
        self.weights = weights or (1.0,) * len(values)
        # Where the cells begin and end on [0, 1], (values + 1,); the last is exactly 1, so that
        # every u < 1 lies below it.
        ends = list(accumulate(weight / max(self.weights) for weight in self.weights))
        self.ends = (0.0, *(end / ends[-1] for end in ends))

    def quantile(self, u: float) -> Value:
        u = min(max(u, 0.0), math.nextafter(1.0, 0.0))
        return self.values[bisect_right(self.ends, u) - 1]

    def canonical(self, value: Value) -> Value:
        return self.values[self._position(value)]

    def _position(self, value: Value) -> int:
        plain = isinstance(value, str | bool) or finite(value)
        index = self._index.get(identity(value)) if plain else None
        if index is None:
            choices = ", ".join(show(v) for v in self.values)
            raise ValueError(f"{show(value)} is not among its values: use one of {choices}")
        return index


class OrdinalAxis(_Values):
    """One axis, cut into a cell a value, as wide as the value is likely."""

    width = 1
    absent = 0.5

    def cell(self, value: Value) -> tuple[float, float]:
        """The ends of the interval that `decode` takes for the value."""
        index = self._position(value)
        return self.ends[index], self.ends[index + 1]

    def encode(self, value: Value) -> Sequence[float]:
        return (sum(self.cell(value)) / 2,)

    def decode(self, block: Sequence[float]) -> Value:
        return self.quantile(block[0])


class OneHotAxis(_Values):
    """One axis a value; all 0, equally far from each value, while the parameter is inactive."""

    absent = 0.0

    @property
    def width(self) -> int:
        return len(self.values)

    def encode(self, value: Value) -> Sequence[float]:
        index = self._position(value)
        return [float(i == index) for i in range(self.width)]

    def decode(self, block: Sequence[float]) -> Value:
        likely = (i for i, weight in enumerate(self.weights) if weight > 0)
        return self.values[max(likely, key=lambda i: block[i])]


class ConstantAxis(_Values):
    """No axis at all."""

    width = 0
    absent = 0.0

    def encode(self, value: Value) -> Sequence[float]:
        return ()

    def decode(self, block: Sequence[float]) -> Value:
        return self.values[0]


def ends(parameter: Number) -> tuple[float, float]:
    """The declared bounds; where one is left out, the distribution's reach (rounded inwards)."""
    low, high = reach(parameter)
    if isinstance(parameter, Integer):
        lowest = math.ceil(low) if parameter.min is None else parameter.min
        return lowest, math.floor(high) if parameter.max is None else parameter.max
    return (
        low if parameter.min is None else parameter.min,
        high if parameter.max is None else parameter.max,
    )


def number_axis(parameter: Number) -> ContinuousAxis | GridAxis:
    """The axis of a Float or an Integer."""
    first, last = ends(parameter)
    step = 1 if isinstance(parameter, Integer) and parameter.step is None else parameter.step
    if step is None:
        lower = -math.inf if parameter.min is None else parameter.min
        upper = math.inf if parameter.max is None else parameter.max
        # A logarithm needs a positive bound; the reach of a LogNormal is one.
        return ContinuousAxis(truncated(parameter, first, last), lower, upper)
    start, width = exact(first), exact(step)
    count = int((exact(last) - start) / width) + 1
    law = truncated(
        parameter,
        float(start - width / 2),
        float(start + (count - 1) * width + width / 2),
    )
    return GridAxis(law, start, width, count, isinstance(parameter, Integer))


def axis(parameter: Parameter) -> Axis:
    """The axis of a parameter that has passed the checks of `parameter_checks`."""
    match parameter:
        case Float() | Integer():
            return number_axis(parameter)
        case Categorical():
            return OneHotAxis(parameter.values, parameter.weights)
        case Ordinal():
            return OrdinalAxis(parameter.values, parameter.weights)
        case Constant():
            return ConstantAxis((parameter.value,), None)
