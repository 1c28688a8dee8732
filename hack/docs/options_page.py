"""The verbs of the command line as Markdown, from the functions that they are: as `--help` says."""

import types
from collections.abc import Iterator, Mapping
from enum import Enum
from importlib import import_module
from inspect import cleandoc, signature
from typing import Any, Union, get_args, get_origin

from hack.docs.schema_page import cell
from hyperband.cli.main import VERBS, load


def options_page() -> str:
    """A section for each verb, in the order of `hyperband --help`."""
    return "\n\n".join(_section(name, verb) for name, verb in verbs().items()) + "\n"


def verbs() -> dict[str, Any]:
    """The commands by their names, as typer makes them."""
    return {name: load(name) for name in VERBS}


def option_names(verb: Any) -> set[str]:
    """All that begins with a dash and that the verb takes."""
    return {name for each in verb.params for name in (*each.opts, *each.secondary_opts)}


def _section(name: str, verb: Any) -> str:
    kinds = _kinds(name)
    arguments = [each for each in verb.params if each.param_type_name == "argument"]
    options = [each for each in verb.params if each.param_type_name == "option"]
    usage = " ".join(["hyperband", name, *map(_usage, arguments), *(["[OPTIONS]"] * bool(options))])
    told = [f"## {name}", f"`{usage}`", *map(_paragraph, cleandoc(verb.help or "").split("\n\n"))]
    for head, parameters in (("argument", arguments), ("option", options)):
        if parameters:
            told.append("\n".join(_table(head, parameters, kinds)))
    return "\n\n".join(told)


def _kinds(name: str) -> Mapping[str, Any]:
    """The types of a verb's parameters: what Annotated[…, typer.Option(…)] is of."""
    module, _, function = VERBS[name][0].partition(":")
    found = signature(getattr(import_module(f"hyperband.cli.{module}"), function), eval_str=True)
    return {key: get_args(each.annotation)[0] for key, each in found.parameters.items()}


def _paragraph(text: str) -> str:
    if text.startswith("- "):
        return "\n".join(f"- {cell(line)}" for line in text.removeprefix("- ").split("\n- "))
    return cell(text)


def _usage(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    name = f"{name}…" if argument.nargs == -1 else name
    return str(name if argument.required else f"[{name}]")


def _table(head: str, parameters: list[Any], kinds: Mapping[str, Any]) -> Iterator[str]:
    yield f"| {head} | values | default | |"
    yield "|---|---|---|---|"
    for each in parameters:
        names = each.metavar or each.name.upper()
        if head == "option":
            names = ", ".join((*each.opts, *each.secondary_opts))
        shown = f"`{names}`".replace("|", "\\|")
        told = cell(getattr(each, "help", None) or "")
        yield f"| {shown} | {_values(each, kinds[each.name])} | {_default(each)} | {told} |"


def _values(parameter: Any, kind: Any) -> str:
    """What may follow: the words of an enumeration, or what stands for the value."""
    while get_origin(kind) in (Union, types.UnionType, list, tuple):
        kind = next(each for each in get_args(kind) if each is not type(None))
    if kind is bool:
        return ""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(f"`{each.value}`" for each in kind)
    if parameter.param_type_name == "option" and parameter.metavar:
        return f"`{parameter.metavar}`".replace("|", "\\|")
    return {str: "text", int: "whole number", float: "number"}.get(kind, "file")


def _default(parameter: Any) -> str:
    if parameter.required:
        return "must be given"
    value = parameter.default
    if value is None or value is False or value in ([], ()) or callable(value):
        return ""
    return f"`{value.value if isinstance(value, Enum) else value}`"
