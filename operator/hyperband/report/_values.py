"""The check of one report: names and plain numbers out, or an error that says what to change."""

import math
import reprlib
from collections.abc import Mapping
from typing import SupportsFloat

_EXACT = 2**53  # the largest integer up to which a float holds all


def plain_report(
    metrics: Mapping[str, SupportsFloat], resource: str | None, objective: str | None
) -> dict[str, float]:
    """The metrics as ints and floats; scalars of numpy, torch and the like are converted.

    NaN and infinities are passed on, except as the resource: the operator decides what they mean.

    Args:
        resource: the name of the resource, which must be there; None: not known.
        objective: the same for the study's metric.

    Raises:
        TypeError: a value is not a number.
        ValueError: the resource or the metric is missing, or the resource is negative or NaN.
    """
    for name, field in ((resource, "spec.resource.name"), (objective, "spec.objective.metric")):
        if name is not None and name not in metrics:
            there = ", ".join(metrics) or "nothing"
            raise ValueError(
                f"report() was given {there}, but no {name!r}, the study's {field}: "
                f"add {name}=… to the call"
            )
    if not metrics:
        raise ValueError("report() was given nothing: write e.g. report(epochs=1, val_loss=0.5)")
    numbers = {name: _number(name, value) for name, value in metrics.items()}
    if resource is not None and not (math.isfinite(numbers[resource]) and numbers[resource] >= 0):
        raise ValueError(
            f"report() was given {resource}={numbers[resource]}: the resource is what training "
            "has spent so far, a finite number from 0 up"
        )
    return numbers


def _number(name: str, value: object) -> float:
    if hasattr(value, "item"):
        try:
            value = value.item()
        except Exception as error:  # whatever a library raises
            raise TypeError(
                f"report() was given an array as {name}: give one number, such as its mean"
            ) from error
    if isinstance(value, int) and abs(value) <= _EXACT:
        return int(value)  # a bool, too
    if isinstance(value, float):  # as below, but quick
        return float(value)
    if isinstance(value, SupportsFloat):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf  # type: ignore[operator]
        except Exception as error:
            raise TypeError(_no_number(name, value)) from error
    raise TypeError(_no_number(name, value))


def _no_number(name: str, value: object) -> str:
    kind = type(value).__name__
    return f"report() was given {kind} {reprlib.repr(value)} as {name}: give a number"
