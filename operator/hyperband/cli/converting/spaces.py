"""Parameters of ours from what the spaces of others have in common: lists, grids, bell curves."""

import json
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from hyperband.api.schema.parameters import MAX_VALUES
from hyperband.core.distributions import DEVIATIONS
from hyperband.core.errors import InvalidStudyError
from hyperband.core.parameters import Value, finite, identity

Parameter = dict[str, Any]
DIGITS = 12  # of a number that was computed; what lies beyond is rounding


def tidy(number: float | Fraction) -> float | int:
    """A computed number as a person would write it: 12 digits, whole ones without a point."""
    rounded = float(f"{float(number):.{DIGITS}g}")
    return int(rounded) if rounded == int(rounded) and abs(rounded) < 2**53 else rounded


def constant(name: str, value: Value) -> Parameter:
    """A parameter that is not tuned."""
    return {"name": name, "type": "Constant", "value": value}


def scalar(value: Any) -> Value:
    """A value that we can have: lists, objects and null as JSON."""
    if isinstance(value, str | bool) or finite(value):
        return value  # type: ignore[no-any-return]
    return json.dumps(value, ensure_ascii=False, default=str)


def choices(
    name: str, values: Sequence[Value], weights: Sequence[float] | None, path: str
) -> Parameter:
    """One of several values: an Ordinal where all are numbers, else a Categorical.

    What is there twice is there once, with twice the weight.

    Raises:
        InvalidStudyError: there are none, or too many.
    """
    shares: dict[tuple[bool, Value], float] = {}
    first: dict[tuple[bool, Value], Value] = {}
    for value, weight in zip(values, weights or [1.0] * len(values), strict=True):
        key = identity(value)
        shares[key] = shares.get(key, 0.0) + weight
        first.setdefault(key, value)
    if not shares:
        raise InvalidStudyError(path, "lists nothing: list at least one value")
    if len(shares) > MAX_VALUES:
        mend = f"list at most {MAX_VALUES}, or give a range"
        raise InvalidStudyError(path, f"has {len(shares)} values: {mend}")
    if len(shares) == 1:
        return constant(name, next(iter(first.values())))
    keys = list(shares)
    ordered = all(finite(value) for value in first.values())
    if ordered:
        keys.sort(key=lambda key: key[1])
    made = {
        "name": name,
        "type": "Ordinal" if ordered else "Categorical",
        "values": [first[key] for key in keys],
    }
    if len(set(shares.values())) > 1:
        made["weights"] = [tidy(shares[key]) for key in keys]
    return made


def grid(name: str, first: Fraction, step: Fraction, count: int) -> Parameter:
    """first, first + step, … of which there are `count`."""
    if count == 1:
        return constant(name, tidy(first))
    last = first + (count - 1) * step
    whole = first.denominator == step.denominator == 1
    made: Parameter = {"name": name, "type": "Integer" if whole else "Float"}
    made |= {"min": tidy(first), "max": tidy(last)}
    return made if whole and step == 1 else made | {"step": tidy(step)}


def multiples(low: float | Fraction, high: float | Fraction, q: Fraction) -> tuple[Fraction, int]:
    """The multiple of q that is nearest to `low`, and how many there are up to that of `high`."""
    first, last = round(Fraction(low) / q), round(Fraction(high) / q)
    return first * q, last - first + 1


def spread(
    name: str,
    low: float | Fraction,
    high: float | Fraction,
    *,
    whole: bool = False,
    log: bool,
) -> Parameter:
    """Any number between two."""
    if low == high:
        return constant(name, tidy(low))
    made: Parameter = {"name": name, "type": "Integer" if whole else "Float"}
    made |= {"min": tidy(low), "max": tidy(high)}
    return made | ({"scale": "Log"} if log else {})


def log_grid(name: str, low: float, high: float, q: Fraction) -> tuple[Parameter, bool]:
    """round(x / q)·q for an x whose logarithm is uniform from ln(low) to ln(high).

    Returns:
        The parameter, and whether it still has the steps: more than 256 of them only integers can.
    """
    first, count = multiples(low, high, q)
    if count == 1:
        return constant(name, tidy(first)), True
    if count > MAX_VALUES and q == 1 and first >= 1:
        return spread(name, first, first + count - 1, whole=True, log=True), True
    if count > MAX_VALUES:
        return spread(name, low, high, log=True), False
    values = [first + i * q for i in range(count)]
    half = q / 2
    weights = [
        math.log(min(high, float(value + half)) / max(low, float(value - half))) for value in values
    ]
    shares = [float(f"{max(0.0, weight) / sum(weights):.6g}") for weight in weights]
    return choices(name, [tidy(value) for value in values], shares, name), True


def bell(
    name: str, mean: float, deviation: float, q: Fraction | None, *, log: bool, path: str
) -> Parameter:
    """A normal distribution of x, or of ln x, on the multiples of q if there is one.

    Raises:
        InvalidStudyError: it reaches further than floats do.
    """
    law: Mapping[str, Any] = {
        "distribution": "LogNormal" if log else "Normal",
        "mean": tidy(mean),
        "deviation": tidy(deviation),
    }
    if q is None:
        return {"name": name, "type": "Float", **law}
    low, high = ends(mean, deviation, log=log, path=path)
    made = grid(name, *_with_step(low, high, q))
    return made if made["type"] == "Constant" else {**made, **law}


def _with_step(low: float, high: float, q: Fraction) -> tuple[Fraction, Fraction, int]:
    first, count = multiples(low, high, q)
    return first, q, count


def ends(mean: float, deviation: float, *, log: bool, path: str) -> tuple[float, float]:
    """Where we cut a bell curve off: at 4 deviations.

    Raises:
        InvalidStudyError: no float reaches so far.
    """
    low, high = mean - DEVIATIONS * deviation, mean + DEVIATIONS * deviation
    try:
        found = (math.exp(low), math.exp(high)) if log else (low, high)
    except OverflowError:
        found = (low, math.inf)
    if not math.isfinite(found[1] - found[0]):
        told = (
            f"reaches {'e^' if log else ''}{high:g}, which no float can hold: give smaller numbers"
        )
        raise InvalidStudyError(path, told)
    return found
