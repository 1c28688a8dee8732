"""Parameters of a search space as calls: each makes what `spec.parameters` has in a file."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

Value = str | int | float | bool
When = Mapping[str, Sequence[Value]]
Distribution = Literal["Uniform", "Normal", "LogNormal"]
Parameter = dict[str, Any]  # as in the file


def Float(
    name: str,
    min: float | None = None,
    max: float | None = None,
    *,
    log: bool = False,
    step: float | None = None,
    distribution: Distribution | None = None,
    mean: float | None = None,
    deviation: float | None = None,
    when: When | None = None,
) -> Parameter:
    """A number from `min` to `max`, both included.

    Args:
        log: equal ratios are equally likely, as suits learning rates.
        step: the distance between its values, counted from `min`.
        distribution: Uniform, or a bell curve, cut off at `min` and `max` where they are given.
        mean: of a bell curve; of the logarithm with LogNormal.
        deviation: likewise.
        when: active only while each parent named here has one of the values listed for it.
    """
    return _number("Float", name, min, max, log, step, distribution, mean, deviation, when)


def Integer(
    name: str,
    min: int | None = None,
    max: int | None = None,
    *,
    log: bool = False,
    step: int | None = None,
    distribution: Distribution | None = None,
    mean: float | None = None,
    deviation: float | None = None,
    when: When | None = None,
) -> Parameter:
    """A whole number from `min` to `max`, both included; otherwise as `Float`."""
    return _number("Integer", name, min, max, log, step, distribution, mean, deviation, when)


def Categorical(
    name: str,
    values: Sequence[Value],
    *,
    weights: Sequence[float] | None = None,
    when: When | None = None,
) -> Parameter:
    """One of `values`, which have no order; with weights, some are likelier."""
    return _made("Categorical", name, when, values=list(values), weights=_list(weights))


def Ordinal(
    name: str,
    values: Sequence[Value],
    *,
    weights: Sequence[float] | None = None,
    when: When | None = None,
) -> Parameter:
    """One of `values`, listed in their order: batch sizes 32, 64, 128."""
    return _made("Ordinal", name, when, values=list(values), weights=_list(weights))


def Constant(name: str, value: Value, *, when: When | None = None) -> Parameter:
    """Always `value`."""
    return _made("Constant", name, when, value=value)


def _number(
    kind: str,
    name: str,
    low: float | None,
    high: float | None,
    log: bool,
    step: float | None,
    distribution: str | None,
    mean: float | None,
    deviation: float | None,
    when: When | None,
) -> Parameter:
    bounds = {"min": low, "max": high, "scale": "Log" if log else None, "step": step}
    bell = {"distribution": distribution, "mean": mean, "deviation": deviation}
    return _made(kind, name, when, **bounds, **bell)


def _made(kind: str, name: str, when: When | None, **fields: Any) -> Parameter:
    conditions = None if when is None else {key: list(values) for key, values in when.items()}
    given = {"name": name, "type": kind, **fields, "when": conditions}
    return {key: value for key, value in given.items() if value is not None}


def _list(given: Sequence[float] | None) -> list[float] | None:
    return None if given is None else list(given)
