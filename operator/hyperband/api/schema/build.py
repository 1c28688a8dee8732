"""Small builders of OpenAPI v3 schema nodes, in the dialect that custom resources take.

Each returns a plain dict in the order in which it is to be read: description first.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Schema = dict[str, Any]

OPEN = "x-kubernetes-preserve-unknown-fields"


def rule(
    expression: str,
    message: str,
    *values: str,
    field: str | None = None,
) -> Schema:
    """A CEL rule.

    `message` has one ``%s`` for each of `values`, CEL expressions whose results it shows (not
    ``string(…)``, which exceeds the cost budget); `field` is the path below the node that the
    error is reported at.
    """
    node: Schema = {"rule": expression}
    if values:
        node["message"] = message.replace("%s", "…")
        node["messageExpression"] = f"{cel_text(message)}.format([{', '.join(values)}])"
    else:
        node["message"] = message.replace("%%", "%")
    if field is not None:
        node["fieldPath"] = field
    return node


def immutable(name: str) -> Schema:
    """The rule that spec.NAME stays as it was created."""
    return rule(
        "self == oldSelf",
        f"spec.{name} cannot change while the study exists, its trials would no longer be "
        "comparable: create a new study (delete this one, or take another name)",
    )


def cel_text(value: str) -> str:
    """A CEL string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _with_default(description: str, more: Schema) -> str:
    """kubectl explain does not show defaults: the description does."""
    if "default" not in more or "default" in description:
        return description
    return f"{description} Default: {more['default']}."


def text(description: str, *, rules: Sequence[Schema] = (), **more: Any) -> Schema:
    """A string."""
    node = {"description": _with_default(description, more), "type": "string", **more}
    if rules:
        node["x-kubernetes-validations"] = list(rules)
    return node


def choice(description: str, values: Sequence[str], **more: Any) -> Schema:
    """One of a few strings."""
    return {"description": description, "type": "string", "enum": list(values), **more}


def integer(description: str, **more: Any) -> Schema:
    """A whole number of 64 bits."""
    return {
        "description": _with_default(description, more),
        "type": "integer",
        "format": "int64",
        **more,
    }


def number(description: str, **more: Any) -> Schema:
    """Any number that JSON can carry."""
    return {"description": _with_default(description, more), "type": "number", **more}


def boolean(description: str, **more: Any) -> Schema:
    """True or false."""
    return {"description": description, "type": "boolean", **more}


def moment(description: str, **more: Any) -> Schema:
    """A time, RFC 3339."""
    return {"description": description, "type": "string", "format": "date-time", **more}


def record(
    description: str,
    properties: Mapping[str, Schema],
    *,
    required: Sequence[str] = (),
    rules: Sequence[Schema] = (),
    **more: Any,
) -> Schema:
    """An object with named fields."""
    node: Schema = {"description": description, "type": "object"}
    if required:
        node["required"] = list(required)
    node.update(more)
    if rules:
        node["x-kubernetes-validations"] = list(rules)
    node["properties"] = dict(properties)
    return node


def table(description: str, values: Schema, **more: Any) -> Schema:
    """An object whose keys are the user's own."""
    return {"description": description, "type": "object", **more, "additionalProperties": values}


def many(
    description: str,
    items: Schema,
    *,
    key: str | None = None,
    unique: bool = False,
    rules: Sequence[Schema] = (),
    **more: Any,
) -> Schema:
    """A list: of objects that differ in the field `key`, or of `unique` scalars."""
    node: Schema = {"description": description, "type": "array", **more}
    if key is not None:
        node["x-kubernetes-list-type"] = "map"
        node["x-kubernetes-list-map-keys"] = [key]
    if unique:
        node["x-kubernetes-list-type"] = "set"
    if rules:
        node["x-kubernetes-validations"] = list(rules)
    node["items"] = items
    return node


def anything(description: str, **more: Any) -> Schema:
    """A value of any type. CRD rules cannot see it; an admission policy can."""
    return {"description": description, **more, OPEN: True}


def column(name: str, path: str, kind: str = "string", **more: Any) -> Schema:
    """A column of ``kubectl get``."""
    return {"name": name, "type": kind, "jsonPath": path, **more}
