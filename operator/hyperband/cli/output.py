"""`-o json|yaml|table`: what verbs that answer a question have in common."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml


class CannotWriteError(Exception):
    """A file cannot be written; the message has its option, its name and the mend."""


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


def write_file(option: str, path: Path, content: str | bytes) -> None:
    """Writes what a verb has made into the file that an option names.

    Raises:
        CannotWriteError: it cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        path.write_bytes(data)
    except OSError as error:
        mend = "name a file that can be written"
        raise CannotWriteError(f"{option} {path}: {error.strerror}: {mend}") from error
