"""Completes and checks a value against the schema, as an API server would.

For studies that have not been through one: in tests, in the simulator, on the command line. It
knows the part of OpenAPI that `build.py` makes; CEL rules are checked by `hyperband.api.study`.
"""

import difflib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from hyperband.api.schema.build import OPEN, Schema
from hyperband.core.errors import InvalidStudyError
from hyperband.core.parameters import finite, show

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
    kind = schema.get("type")
    if kind is None:
        return _open(value, path)
    value = _of_type(kind, value, path)
    if kind == "object":
        return _object(schema, value, path)
    if kind == "array":
        return _array(schema, value, path)
    _scalar(schema, value, path)
    return value


def _of_type(kind: str, value: Any, path: str) -> Any:
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        hint = ""
        if kind in ("integer", "number") and isinstance(value, str):
            hint = " without quotes"
        if kind == "string" and not isinstance(value, Mapping | list):
            hint = " in quotes"
        article = "an" if kind[0] in "aio" else "a"
        raise InvalidStudyError(path, f"{show(value)} is not {article} {kind}: write one{hint}")
    if kind in ("integer", "number"):
        _finite(value, path)
    return value


def _open(value: Any, path: str, depth: int = MAX_DEPTH) -> Any:
    """A copy of what the schema leaves open, which can be anything that JSON can hold."""
    if depth == 0:
        raise InvalidStudyError(path, f"is below {MAX_DEPTH} others: nest less deeply")
    if isinstance(value, Mapping):
        given = _with_keys(value, path).items()
        return {key: _open(item, f"{path}.{key}", depth - 1) for key, item in given}
    if isinstance(value, list | tuple):
        return [_open(item, f"{path}[{i}]", depth - 1) for i, item in enumerate(value)]
    if isinstance(value, str):
        _unicode(value, path)
    elif value is not None and not isinstance(value, bool):
        if not isinstance(value, int | float):
            raise InvalidStudyError(
                path, f"{show(value)} is a {type(value).__name__}: write it in quotes"
            )
        _finite(value, path)
    return value


def _finite(value: object, path: str) -> None:
    if not finite(value):
        raise InvalidStudyError(path, f"{show(value)} is not a finite number: give one")


def _unicode(value: str, path: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidStudyError(
            path, f"{show(value)} has half of a character (a lone surrogate): remove it"
        ) from None


def _with_keys(value: Mapping[Any, Any], path: str) -> dict[str, Any]:
    """The object with its keys as text: those of YAML may be numbers, too."""
    given = {}
    for key, item in value.items():
        if not isinstance(key, str | bool | int | float):
            raise InvalidStudyError(path, f"the key {show(key)} is not text: write it in quotes")
        name = key if isinstance(key, str) else show(key)
        _unicode(name, path)
        given[name] = item
    return given


def _object(schema: Schema, value: Mapping[str, Any], path: str) -> dict[str, Any]:
    fields: dict[str, Schema] = schema.get("properties", {})
    values: Schema | None = schema.get("additionalProperties")
    given = _with_keys(value, path)
    result: dict[str, Any] = {}
    for name, field in fields.items():
        if given.get(name) is None and "default" in field:
            given[name] = field["default"]  # to be copied below
    for name, item in given.items():
        if name in fields:
            if item is not None:
                result[name] = complete(fields[name], item, f"{path}.{name}")
        elif values is not None:
            result[name] = complete(values, item, f"{path}.{name}")
        elif schema.get(OPEN) or not fields:
            result[name] = _open(item, f"{path}.{name}")
        else:
            near = difflib.get_close_matches(name, fields, 1)
            mend = f"did you mean {near[0]}?" if near else f"use one of {', '.join(fields)}"
            raise InvalidStudyError(f"{path}.{name}", f"there is no such field: {mend}")
    for name in schema.get("required", ()):
        if name not in result:
            raise InvalidStudyError(f"{path}.{name}", _missing(fields[name]))
    _size(len(result), schema.get("minProperties"), schema.get("maxProperties"), path)
    return result


def _first_sentence(schema: Schema) -> str:
    """Of the description, without its period; one of an abbreviation or by itself ends none."""
    description = str(schema.get("description", ""))
    return re.split(r"(?<!e\.g)(?<!i\.e)(?<!\s)\. ", description, maxsplit=1)[0].rstrip(".")


def _missing(schema: Schema) -> str:
    sentence = _first_sentence(schema)
    return f"is missing: give it ({sentence})" if sentence else "is missing: give it"


def _array(schema: Schema, value: Any, path: str) -> list[Any]:
    _size(len(value), schema.get("minItems"), schema.get("maxItems"), path)
    result = [complete(schema["items"], item, f"{path}[{i}]") for i, item in enumerate(value)]
    if schema.get("x-kubernetes-list-type") == "set":
        written = [json.dumps(item) for item in result]  # 1 is not true, as it is to Python
        for i, item in enumerate(result):
            if written[i] in written[:i]:
                raise InvalidStudyError(f"{path}[{i}]", f"{show(item)} is there twice: remove one")
    return result


def _size(count: int, least: int | None, most: int | None, path: str) -> None:
    if least is not None and count < least:
        raise InvalidStudyError(path, f"has {count} items: give at least {least}")
    if most is not None and count > most:
        raise InvalidStudyError(path, f"has {count} items: give at most {most}")


def _scalar(schema: Schema, value: Any, path: str) -> None:
    if "enum" in schema and value not in schema["enum"]:
        known = ", ".join(schema["enum"])
        raise InvalidStudyError(path, f"{show(value)} is not known: use one of {known}")
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and schema.get("exclusiveMinimum") and value <= least:
        raise InvalidStudyError(path, f"{show(value)} is not above {least}: give a larger number")
    if least is not None and value < least:
        raise InvalidStudyError(path, f"{show(value)} is below {least}: give at least {least}")
    if most is not None and value > most:
        raise InvalidStudyError(path, f"{show(value)} is above {most}: give at most {most}")
    if isinstance(value, str):
        _text(schema, value, path)


def _text(schema: Schema, value: str, path: str) -> None:
    _unicode(value, path)
    if len(value) < schema.get("minLength", 0):
        raise InvalidStudyError(path, f"{show(value)} is empty: give it a value")
    longest = schema.get("maxLength")
    if longest is not None and len(value) > longest:
        raise InvalidStudyError(
            path, f"{show(value)} has {len(value)} characters: shorten it to at most {longest}"
        )
    pattern = schema.get("pattern")
    # As a server reads it: $ is the end, and not also the place before a last line break.
    if pattern is not None and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
        raise InvalidStudyError(
            path,
            f"{show(value)} does not match {pattern}: write what does ({_first_sentence(schema)})",
        )
