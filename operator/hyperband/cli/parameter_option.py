"""`--parameter NAME=float(1e-5, 0.1, log)`: a parameter of a study on a command line."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from hyperband.api.files import read_scalar

Field = dict[str, Any]  # of spec.parameters

EXAMPLES: Final = (
    "float(1e-5, 0.1, log), float(0, 0.5, step=0.1), int(1, 4), choice(relu, tanh), "
    "ordinal(16, 32, 64), normal(0.9, 0.05), lognormal(-9, 2) or constant(3)"
)


class BadParameterError(ValueError):
    """A parameter that cannot be read; the message has its value and the mend."""


def parse_parameter(text: str) -> Field:
    """The parameter as an item of spec.parameters.

    Raises:
        BadParameterError: it is not of the form NAME=KIND(…), or its kind takes something else.
    """
    found = re.fullmatch(r"\s*([^=\s]+)\s*=\s*([A-Za-z]+)\s*\((.*)\)\s*", text)
    if not found:
        raise BadParameterError(f"{text} is not of the form NAME=KIND(…): write {EXAMPLES}")
    name, kind, inside = found.groups()
    make = _KINDS.get(kind.lower())
    if make is None:
        raise BadParameterError(f"{text}: {kind} is not known: write {EXAMPLES}")
    given = [word.strip() for word in inside.split(",")] if inside.strip() else []
    try:
        return {"name": name, **make(given)}
    except BadParameterError as error:
        raise BadParameterError(f"{text}: {error}") from error


def _number(word: str) -> float:
    value = read_scalar(word)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadParameterError(f"{word or 'nothing'} is not a number: give one")
    return value


def _range(kind: str) -> Callable[[Sequence[str]], Field]:
    def make(given: Sequence[str]) -> Field:
        bounds = [word for word in given if word != "log" and not word.startswith("step=")]
        if len(bounds) != 2:
            mend = f"give min and max, and log or step=… if wanted: {kind.lower()}(1, 4)"
            raise BadParameterError(f"has {len(bounds)} bounds: {mend}")
        field: Field = {"type": kind, "min": _number(bounds[0]), "max": _number(bounds[1])}
        if "log" in given:
            field["scale"] = "Log"
        for word in given:
            if word.startswith("step="):
                field["step"] = _number(word.removeprefix("step="))
        return field

    return make


def _bell(law: str) -> Callable[[Sequence[str]], Field]:
    def make(given: Sequence[str]) -> Field:
        if len(given) != 2:
            mend = f"give mean and deviation: {law.lower()}(0.9, 0.05)"
            raise BadParameterError(f"has {len(given)} numbers: {mend}")
        mean, deviation = map(_number, given)
        return {"type": "Float", "distribution": law, "mean": mean, "deviation": deviation}

    return make


def _list(kind: str) -> Callable[[Sequence[str]], Field]:
    def make(given: Sequence[str]) -> Field:
        if not given:
            raise BadParameterError("lists nothing: give its values, with commas between")
        return {"type": kind, "values": [read_scalar(word) for word in given]}

    return make


def _constant(given: Sequence[str]) -> Field:
    if len(given) != 1:
        raise BadParameterError(f"has {len(given)} values: give one")
    return {"type": "Constant", "value": read_scalar(given[0])}


_KINDS: Final[Mapping[str, Callable[[Sequence[str]], Field]]] = {
    "float": _range("Float"),
    "int": _range("Integer"),
    "choice": _list("Categorical"),
    "ordinal": _list("Ordinal"),
    "normal": _bell("Normal"),
    "lognormal": _bell("LogNormal"),
    "constant": _constant,
}
