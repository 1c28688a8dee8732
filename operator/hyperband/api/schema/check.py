"""Completes and checks a value against the schema, as an API server would.

For studies that have not been through one: in tests, in the simulator, on the command line. It
knows the part of OpenAPI that `build.py` makes; CEL rules are checked by `hyperband.api.study`.
"""

import copy
import difflib
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from hyperband.api.schema.build import OPEN, Schema
from hyperband.core.errors import InvalidStudyError
from hyperband.core.parameters import show

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
        return copy.deepcopy(value)
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
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidStudyError(path, f"{value} is not a finite number: give one")
    return value


def _object(schema: Schema, value: Mapping[str, Any], path: str) -> dict[str, Any]:
    fields: dict[str, Schema] = schema.get("properties", {})
    values: Schema | None = schema.get("additionalProperties")
    given = {str(key): item for key, item in value.items()}
    result: dict[str, Any] = {}
    for name, field in fields.items():
        if given.get(name) is None and "default" in field:
            given[name] = copy.deepcopy(field["default"])
    for name, item in given.items():
        if name in fields:
            if item is not None:
                result[name] = complete(fields[name], item, f"{path}.{name}")
        elif values is not None:
            result[name] = complete(values, item, f"{path}.{name}")
        elif schema.get(OPEN) or not fields:
            result[name] = copy.deepcopy(item)
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
    if len(value) < schema.get("minLength", 0):
        raise InvalidStudyError(path, f"{show(value)} is empty: give it a value")
    longest = schema.get("maxLength")
    if longest is not None and len(value) > longest:
        raise InvalidStudyError(
            path, f"{show(value)} has {len(value)} characters: shorten it to at most {longest}"
        )
    pattern = schema.get("pattern")
    if pattern is not None and not re.search(pattern, value):
        raise InvalidStudyError(
            path,
            f"{show(value)} does not match {pattern}: write what does ({_first_sentence(schema)})",
        )
