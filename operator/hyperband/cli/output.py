"""`-o json|yaml|table`: what verbs that answer a question have in common."""

import json
from enum import StrEnum
from typing import Annotated, Any

import typer
import yaml


class Output(StrEnum):
    """How an answer is written."""

    TABLE = "table"  # for people
    JSON = "json"
    YAML = "yaml"


OutputOption = Annotated[
    Output,
    typer.Option("--output", "-o", help="table for people; json or yaml for scripts."),
]


def write(answer: Any, output: Output) -> None:
    """Writes plain data as JSON or YAML."""
    if output is Output.JSON:
        typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        text = yaml.safe_dump(answer, sort_keys=False, allow_unicode=True, width=100)
        typer.echo(text, nl=False)
