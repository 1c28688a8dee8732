"""`spec.parameters` as a `Space` of the core."""

from collections.abc import Mapping, Sequence
from typing import Any

from hyperband.core.errors import InvalidStudyError
from hyperband.core.parameters import show
from hyperband.core.space import (
    Categorical,
    Constant,
    Distribution,
    Float,
    Integer,
    Ordinal,
    Parameter,
    Scale,
    Space,
    Value,
)

_NUMERIC = frozenset({"min", "max", "scale", "distribution", "mean", "deviation", "step"})
_CHOICE = frozenset({"values", "weights"})
_FIELDS: Mapping[str, frozenset[str]] = {
    "Float": _NUMERIC,
    "Integer": _NUMERIC,
    "Categorical": _CHOICE,
    "Ordinal": _CHOICE,
    "Constant": frozenset({"value"}),
}
_COMMON = frozenset({"name", "type", "when"})


def parse_space(parameters: Sequence[Mapping[str, Any]]) -> Space:
    """The space of these parameters, which the schema has let through.

    Raises:
        InvalidStudyError: a parameter cannot be as written.
    """
    return Space(
        tuple(_parameter(each, f"spec.parameters[{i}]") for i, each in enumerate(parameters))
    )


def parse_points(
    points: Sequence[Mapping[str, Any]], space: Space
) -> tuple[Mapping[str, Value], ...]:
    """`spec.initialParameters`, each as `Space.canonical` gives it.

    Raises:
        InvalidStudyError: a name that the space does not have, or a value that it cannot have.
    """
    return tuple(
        _point(point, space, f"spec.initialParameters[{i}]") for i, point in enumerate(points)
    )


def _point(given: Mapping[str, Any], space: Space, path: str) -> Mapping[str, Value]:
    values = {name: _plain(value, f"{path}.{name}") for name, value in given.items()}
    return space.canonical(values, path)


def _parameter(given: Mapping[str, Any], path: str) -> Parameter:
    kind = str(given["type"])
    _refuse_stray(given, kind, path)
    name = str(given["name"])
    when = {
        parent: tuple(_plain(v, f"{path}.when.{parent}") for v in values)
        for parent, values in given.get("when", {}).items()
    }
    if kind == "Constant":
        if given.get("value") is None:
            raise InvalidStudyError(f"{path}.value", "is missing: a Constant needs one")
        return Constant(name, _plain(given["value"], f"{path}.value"), when=when)
    if kind in ("Categorical", "Ordinal"):
        if "values" not in given:
            mend = f"list what the {kind} may be"
            raise InvalidStudyError(f"{path}.values", f"is missing: {mend}")
        values = tuple(_plain(v, f"{path}.values[{i}]") for i, v in enumerate(given["values"]))
        weights = tuple(float(w) for w in given["weights"]) if "weights" in given else None
        choice = Categorical if kind == "Categorical" else Ordinal
        return choice(name, values, weights, when=when)
    return _number(given, kind, name, when)


def _number(
    given: Mapping[str, Any], kind: str, name: str, when: Mapping[str, tuple[Value, ...]]
) -> Float | Integer:
    whole = _whole if kind == "Integer" else float
    numbers: dict[str, Any] = {
        **{key: whole(given[key]) for key in ("min", "max", "step") if key in given},
        **{key: float(given[key]) for key in ("mean", "deviation") if key in given},
    }
    return (Float if kind == "Float" else Integer)(
        name,
        scale=Scale(given.get("scale", "Linear")),
        distribution=Distribution(given.get("distribution", "Uniform")),
        when=when,
        **numbers,
    )


def _whole(number: float) -> float:
    """An int where the number is one; the others are for `Space` to refuse."""
    return int(number) if number == int(number) else number


def _refuse_stray(given: Mapping[str, Any], kind: str, path: str) -> None:
    for key in given:
        if key in _COMMON or key in _FIELDS[kind]:
            continue
        owners = " or ".join(k for k, fields in _FIELDS.items() if key in fields)
        raise InvalidStudyError(
            f"{path}.{key}", f"means nothing to type {kind}: leave it out, or use type {owners}"
        )


def _plain(value: Any, path: str) -> Value:
    if isinstance(value, str | bool | int | float):
        return value
    raise InvalidStudyError(
        path,
        f"{show(value)} is a list, an object or null: use strings, numbers or booleans, and "
        "write an object as a JSON string",
    )
