"""Completes and checks a value against the schema, as an API server would.

For studies that have not been through one: in tests, in the simulator, on the command line. It
knows the part of OpenAPI that `build.py` makes; CEL rules are checked by `hyperband.api.study`.
"""

import difflib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from hyperband.api.schema.build import OPEN, Schema
from hyperband.core.errors import InvalidStudyError
from hyperband.core.parameters import finite, show

Refuse = Callable[[str, str], None]  # is told a field and what is wrong with it

# Of what the schema leaves open; no object of Kubernetes comes near it.
MAX_DEPTH: Final = 64

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "object": (Mapping,),
    "array": (list, tuple),
}


def complete(schema: Schema, value: Any, path: str) -> Any:
    """A copy of the value with the schema's defaults filled in.

    Raises:
        InvalidStudyError: the value is not what the schema asks for; its field is `path` or one
            below it.
    """
    return _checked(schema, value, path, _refuse)


def _refuse(field: str, problem: str) -> None:
    raise InvalidStudyError(field, problem)


def inspect(schema: Schema, value: Any, path: str) -> tuple[Any, list[InvalidStudyError]]:
    """As `complete`, with all that is wrong and not just the first; those parts stay as given."""
    found: list[InvalidStudyError] = []
    result = _checked(schema, value, path, lambda *each: found.append(InvalidStudyError(*each)))
    return result, found


def _checked(schema: Schema, value: Any, path: str, refuse: Refuse) -> Any:
    kind = schema.get("type")
    if kind is None:
        return _open(value, path, refuse)
    problem = _of_another_type(kind, value)
    if problem:
        refuse(path, problem)
        return value
    if kind == "object":
        return _object(schema, value, path, refuse)
    if kind == "array":
        return _array(schema, value, path, refuse)
    value = int(value) if kind == "integer" else value
    if (problem := _scalar(schema, value)) is not None:
        refuse(path, problem)
    return value


def _of_another_type(kind: str, value: Any) -> str | None:
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        return None
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        hint = ""
        if kind in ("integer", "number") and isinstance(value, str):
            hint = " without quotes"
        if kind == "string" and not isinstance(value, Mapping | list):
            hint = " in quotes"
        article = "an" if kind[0] in "aio" else "a"
        return f"{show(value)} is not {article} {kind}: write one{hint}"
    return _infinite(value) if kind in ("integer", "number") else None


def _open(value: Any, path: str, refuse: Refuse, depth: int = MAX_DEPTH) -> Any:
    """A copy of what the schema leaves open, which can be anything that JSON can hold."""
    if depth == 0:
        refuse(path, f"is below {MAX_DEPTH} others: nest less deeply")
        return None
    if isinstance(value, Mapping):
        given = _with_keys(value, path, refuse).items()
        return {key: _open(item, f"{path}.{key}", refuse, depth - 1) for key, item in given}
    if isinstance(value, list | tuple):
        return [_open(item, f"{path}[{i}]", refuse, depth - 1) for i, item in enumerate(value)]
    if (problem := _no_json(value)) is not None:
        refuse(path, problem)
    return value


def _no_json(value: Any) -> str | None:
    if isinstance(value, str):
        return _half(value)
    if value is None or isinstance(value, bool):
        return None
    if not isinstance(value, int | float):
        return f"{show(value)} is a {type(value).__name__}: write it in quotes"
    return _infinite(value)


def _infinite(value: object) -> str | None:
    return None if finite(value) else f"{show(value)} is not a finite number: give one"


def _half(value: str) -> str | None:
    try:
        value.encode()
    except UnicodeEncodeError:
        return f"{show(value)} has half of a character (a lone surrogate): remove it"
    return None


def _with_keys(value: Mapping[Any, Any], path: str, refuse: Refuse) -> dict[str, Any]:
    """The object with its keys as text: those of YAML may be numbers, too."""
    given = {}
    for key, item in value.items():
        if not isinstance(key, str | bool | int | float):
            refuse(path, f"the key {show(key)} is not text: write it in quotes")
            continue
        name = key if isinstance(key, str) else show(key)
        if (problem := _half(name)) is not None:
            refuse(path, problem)
        given[name] = item
    return given


def _object(schema: Schema, value: Mapping[str, Any], path: str, refuse: Refuse) -> dict[str, Any]:
    fields: dict[str, Schema] = schema.get("properties", {})
    values: Schema | None = schema.get("additionalProperties")
    result: dict[str, Any] = {}
    given = _with_keys(value, path, refuse)
    missing = {name for name in fields if given.get(name) is None}
    given |= {n: fields[n]["default"] for n in fields if n in missing and "default" in fields[n]}
    for name, item in given.items():
        if name in fields:
            if item is not None:
                result[name] = _checked(fields[name], item, f"{path}.{name}", refuse)
        elif values is not None:
            result[name] = _checked(values, item, f"{path}.{name}", refuse)
        elif schema.get(OPEN) or not fields:
            result[name] = _open(item, f"{path}.{name}", refuse)
        else:
            refuse(f"{path}.{name}", _unknown(name, fields))
    for name in schema.get("required", ()):
        if name not in result:
            refuse(f"{path}.{name}", _missing(fields[name]))
    sizes = (schema.get("minProperties"), schema.get("maxProperties"))
    if (problem := _size(len(result), *sizes)) is not None:
        refuse(path, problem)
    return result


def _unknown(name: str, fields: Mapping[str, Schema]) -> str:
    near = difflib.get_close_matches(name, fields, 1)
    mend = f"did you mean {near[0]}?" if near else f"use one of {', '.join(fields)}"
    return f"there is no such field: {mend}"


def _first_sentence(schema: Schema) -> str:
    """Of the description, without its period; one of an abbreviation or by itself ends none."""
    description = str(schema.get("description", ""))
    return re.split(r"(?<!e\.g)(?<!i\.e)(?<!\s)\. ", description, maxsplit=1)[0].rstrip(".")


def _missing(schema: Schema) -> str:
    sentence = _first_sentence(schema)
    return f"is missing: give it ({sentence})" if sentence else "is missing: give it"


def _array(schema: Schema, value: Any, path: str, refuse: Refuse) -> list[Any]:
    problem = _size(len(value), schema.get("minItems"), schema.get("maxItems"))
    if problem:
        refuse(path, problem)
    result = [
        _checked(schema["items"], item, f"{path}[{i}]", refuse) for i, item in enumerate(value)
    ]
    if schema.get("x-kubernetes-list-type") == "set":
        seen: set[str] = set()
        for i, item in enumerate(result):
            written = json.dumps(item, default=str)  # 1 is not true, as it is to Python
            if written in seen:
                refuse(f"{path}[{i}]", f"{show(item)} is there twice: remove one")
            seen.add(written)
    return result


def _size(count: int, least: int | None, most: int | None) -> str | None:
    if least is not None and count < least:
        return f"has {count} items: give at least {least}"
    if most is not None and count > most:
        return f"has {count} items: give at most {most}"
    return None


def _scalar(schema: Schema, value: Any) -> str | None:
    if "enum" in schema and value not in schema["enum"]:
        return f"{show(value)} is not known: use one of {', '.join(schema['enum'])}"
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and schema.get("exclusiveMinimum") and value <= least:
        return f"{show(value)} is not above {least}: give a larger number"
    if least is not None and value < least:
        return f"{show(value)} is below {least}: give at least {least}"
    if most is not None and value > most:
        return f"{show(value)} is above {most}: give at most {most}"
    return _text(schema, value) if isinstance(value, str) else None


def _text(schema: Schema, value: str) -> str | None:
    if (problem := _half(value)) is not None:
        return problem
    if len(value) < schema.get("minLength", 0):
        return f"{show(value)} is empty: give it a value"
    longest = schema.get("maxLength")
    if longest is not None and len(value) > longest:
        return f"{show(value)} has {len(value)} characters: shorten it to at most {longest}"
    pattern = schema.get("pattern")
    # As a server reads it: $ is the end, and not also the place before a last line break.
    if pattern is not None and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
        told = _first_sentence(schema)
        return f"{show(value)} does not match {pattern}: write what does ({told})"
    return None
