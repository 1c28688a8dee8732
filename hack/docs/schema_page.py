"""The fields of our kinds as Markdown, from the schemas that the API server is given.

Pure. A section for each object, a row for each field: what is read here is what `kubectl explain`
says, with types, defaults and bounds, and with the rules that the server holds a study to.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from hyperband.api.schema.build import Schema

RULES: Final = "x-kubernetes-validations"
_BOUNDS: Final = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} entries",
    "maxItems": "at most {} entries",
    "minProperties": "at least {} entries",
    "maxProperties": "at most {} entries",
}


def kind_page(definition: Mapping[str, Any]) -> str:
    """All of a kind: its spec, and its status where it has one."""
    (version,) = definition["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    parts = [
        section
        for name in ("spec", "status")
        if name in schema["properties"]
        for section in _sections(name, schema["properties"][name])
    ]
    return "\n\n".join(parts) + "\n"


def _sections(path: str, node: Schema) -> Iterator[str]:
    """An object's own section, then those of the objects in it."""
    fields = _fields(node)
    told = [f"## {path}", cell(node.get("description", ""))]
    rules = [*_rules(node)]
    for name, field in fields.items():
        if not _fields(field):  # those of objects stand in their own sections
            rules += _rules(field, f"`{name}`: ")
    required = node.get("required", ())
    if fields:
        rows = [_row(name, field, name in required) for name, field in fields.items()]
        head = ["| field | value | |", "|---|---|---|"]
        told.append("\n".join([*head, *rows]))
    if rules:
        told.append("\n".join(["The server refuses, saying so:", "", *(f"- {r}" for r in rules)]))
    yield "\n\n".join(told)
    for name, field in fields.items():
        if _fields(field):
            suffix = "[]" if field.get("type") == "array" else ""
            yield from _sections(f"{path}.{name}{suffix}", _inner(field))


def _inner(node: Schema) -> Schema:
    """The objects of a list, with the list's description; any other node as it is."""
    if node.get("type") != "array":
        return node
    items: Schema = node["items"]
    told = node.get("description", "")
    return {**items, "description": told, RULES: [*node.get(RULES, ()), *items.get(RULES, ())]}


def _fields(node: Schema) -> Mapping[str, Schema]:
    """The named fields of an object, or of the objects in a list."""
    fields: Mapping[str, Schema] = _inner(node).get("properties", {})
    return fields


def _row(name: str, node: Schema, required: bool) -> str:
    value = [_type(node), *_bounds(node)]
    if "default" in node:
        value.append(f"default `{_shown(node['default'])}`")
    elif required:
        value.append("**must be given**")
    return f"| `{name}` | {'; '.join(value)} | {cell(node.get('description', ''))} |"


def _type(node: Schema) -> str:
    kind = node.get("type")
    if kind == "array":
        return f"list of {_type(node['items'])}"
    if kind == "object" and "additionalProperties" in node:
        return f"map to {_type(node['additionalProperties'])}"
    if node.get("format") == "date-time":
        return "time"
    return str(kind or "any")


def _bounds(node: Schema) -> Iterator[str]:
    if "enum" in node:
        yield "one of " + ", ".join(f"`{value}`" for value in node["enum"])
    for key, words in _BOUNDS.items():
        if key not in node:
            continue
        if node.get(f"exclusive{key.capitalize()}"):
            words = words.replace("at least", "above").replace("at most", "below")
        value = node[key]
        yield words.format(f"{value:,}" if isinstance(value, int) else f"{value:g}")
    if "pattern" in node:
        yield f"`{node['pattern']}`".replace("|", "\\|")


def _rules(node: Schema, place: str = "") -> Iterator[str]:
    """The messages of the rules that stand at the node itself, … for what they fill in."""
    for each in node.get(RULES, ()):
        field = each.get("fieldPath", "").lstrip(".")
        yield cell((f"`{field}`: " if field else place) + each["message"])


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_shown(each)}" for key, each in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_shown, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def cell(text: str) -> str:
    """Plain text as one line of Markdown that stands for itself, `code` aside."""
    line = " ".join(text.split())
    parts = line.split("`")
    if len(parts) % 2 == 0:  # a lone backtick is no code
        return _plain(line).replace("`", "\\`")
    return "`".join(_plain(part) if i % 2 == 0 else part for i, part in enumerate(parts)).replace(
        "|", "\\|"
    )


def _plain(text: str) -> str:
    for character in "\\*_[]<>{}$":
        text = text.replace(character, f"\\{character}")
    return text
