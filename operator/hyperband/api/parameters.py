"""`spec.parameters` as a `Space` of the core."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hyperband.core.errors import InvalidStudyError, raise_first
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
    space_problems,
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


def parameter_problems(
    parameters: Sequence[Mapping[str, Any]], sound: Callable[[str], bool]
) -> Iterator[InvalidStudyError]:
    """All that is wrong with these parameters; conditions are looked at only if nothing else is.

    Args:
        sound: whether the schema has let a field through.
    """
    read: list[Parameter] = []
    whole = True
    for i, each in enumerate(parameters):
        path = f"spec.parameters[{i}]"
        wrong = list(_alone(each, path)) if sound(path) else []
        yield from wrong
        readable = sound(path) and not wrong
        whole = whole and readable
        # One that cannot be read keeps its place and its name, which no other may have.
        name = each.get("name") if isinstance(each, Mapping) else None
        stand_in = Constant(name if isinstance(name, str) and name else f"parameters[{i}]", 0)
        read.append(_parameter(each, path) if readable else stand_in)
    yield from space_problems(read, whole)


def _alone(given: Mapping[str, Any], path: str) -> Iterator[InvalidStudyError]:
    """What keeps one parameter from being read."""
    stray = list(_stray(given, path))
    yield from stray
    if not stray:
        try:
            _parameter(given, path)
        except InvalidStudyError as error:
            yield error


def point_problems(
    points: Sequence[Mapping[str, Any]], space: Space
) -> Iterator[InvalidStudyError]:
    """All that is wrong with `spec.initialParameters`, value by value."""
    for i, point in enumerate(points):
        for name, value in point.items():
            try:
                _point({name: value}, space, f"spec.initialParameters[{i}]")
            except InvalidStudyError as error:
                yield error


def _point(given: Mapping[str, Any], space: Space, path: str) -> Mapping[str, Value]:
    values = {name: _plain(value, f"{path}.{name}") for name, value in given.items()}
    return space.canonical(values, path)


def _parameter(given: Mapping[str, Any], path: str) -> Parameter:
    kind = str(given["type"])
    raise_first(_stray(given, path))
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


def _stray(given: Mapping[str, Any], path: str) -> Iterator[InvalidStudyError]:
    kind = str(given["type"])
    for key in given:
        if key in _COMMON or key in _FIELDS[kind]:
            continue
        owners = " or ".join(k for k, fields in _FIELDS.items() if key in fields)
        yield InvalidStudyError(
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
