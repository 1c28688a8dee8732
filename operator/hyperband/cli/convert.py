"""`hyperband convert FILE…`: studies of Polyaxon and Katib as studies of ours."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from hyperband.api import names
from hyperband.api.files import Document, read_documents
from hyperband.api.study_problems import study_problems
from hyperband.cli.converting.katib import convert_katib, is_katib
from hyperband.cli.converting.polyaxon import convert_polyaxon, is_polyaxon
from hyperband.cli.converting.source import Converted
from hyperband.cli.converting.text import study_text, told
from hyperband.cli.output import CannotWriteError, write_file
from hyperband.cli.validate import INVALID, STDIN, USAGE, content_of, shown
from hyperband.core.errors import InvalidStudyError, printable
from hyperband.core.parameters import show

_CONVERTERS: tuple[
    tuple[Callable[[Mapping[str, Any]], bool], Callable[[Mapping[str, Any], str], Converted]], ...
] = ((is_katib, convert_katib), (is_polyaxon, convert_polyaxon))


class CannotConvertError(ValueError):
    """A source that cannot be converted; the message has file, line, field, value and mend."""


def convert(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE", help="Polyaxon's or Katib's YAML files; - is standard input."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write it there; default: standard output."),
    ] = None,
) -> None:
    """Write studies that were made for Polyaxon (hptuning) or Katib (Experiment) as our own.

    What cannot be carried over as it was is told on standard error, and at the top of each study,
    with what to do instead.

    Exits with 0, with 1 if a source is invalid or of another kind, with 2 if a file cannot be read
    or written. Nothing is written unless all of it can be.
    """
    if output is not None and output.exists():
        raise _ended(f"--output {output}: is there already: name another file, or remove it", USAGE)
    texts: list[str] = []
    for file in files:
        try:
            content = content_of(file)
        except OSError as error:
            mend = "name a file, or - for standard input"
            raise _ended(f"{shown(file)}: {error.strerror}: {mend}", USAGE) from error
        try:
            found = list(convert_file(content, file))
        except CannotConvertError as error:
            raise _ended(str(error), INVALID) from error
        for made in found:
            texts.append(study_text(made, Path(shown(file)).name))
            for note in made.notes:
                typer.echo(told(note, shown(file)), err=True)
    _write("---\n".join(texts), output)


def convert_file(content: bytes, file: str) -> Iterator[Converted]:
    """The studies in a file, each of which `hyperband validate` accepts.

    Raises:
        CannotConvertError: it has none, or one that cannot be converted.
    """
    # Excerpts in Polyaxon's documentation begin with "...", which YAML takes for an end.
    content = re.sub(rb"\A(\s*)\.\.\.(?=\s)", rb"\1", content)
    try:
        documents = read_documents(content, shown(file))
    except InvalidStudyError as error:
        raise CannotConvertError(str(error)) from error
    if not documents:
        told = "has nothing in it: name a file with Polyaxon's hptuning or Katib's Experiment"
        raise CannotConvertError(f"{shown(file)}: {told}")
    name = "converted" if file == STDIN else Path(file).stem
    for document in documents:
        yield _convert(document, name, shown(file))


def _convert(document: Document, name: str, file: str) -> Converted:
    for key, line in document.twice:
        raise CannotConvertError(f"{file}:{line}: {printable(key)}: is there twice: remove one")
    try:
        return _checked(_converter(document.content)(document.content, name))
    except InvalidStudyError as error:
        raise CannotConvertError(f"{file}:{document.line(error.field)}: {error}") from error


def _converter(content: Any) -> Callable[[Mapping[str, Any], str], Converted]:
    """What reads this object.

    Raises:
        InvalidStudyError: nothing does.
    """
    if not isinstance(content, Mapping):
        told = f"{show(content)} is no object: give Polyaxon's hptuning or Katib's Experiment"
        raise InvalidStudyError("kind", told)
    for knows, converter in _CONVERTERS:
        if knows(content):
            return converter
    kind = content.get("kind")
    if kind == names.STUDY_KIND:
        told = f"is a {names.STUDY_KIND} already: there is nothing to convert"
        raise InvalidStudyError("kind", told)
    mend = "give a polyaxonfile of kind: group, with hptuning, or Katib's Experiment"
    raise InvalidStudyError("kind", f"{show(kind)} is not known: {mend}")


def _checked(made: Converted) -> Converted:
    """The study, if a server would have it.

    Raises:
        InvalidStudyError: it would not.
    """
    for problem in study_problems(made.body):
        told = f"{problem.problem} (so `hyperband validate` says of the study that comes of it)"
        raise InvalidStudyError(problem.field, told)
    return made


def _write(text: str, output: Path | None) -> None:
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        write_file("--output", output, text)
    except CannotWriteError as error:
        raise _ended(str(error), USAGE) from error
    typer.echo(f"{output}: written; see what it takes: hyperband preview {output}", err=True)


def _ended(told: str, code: int) -> typer.Exit:
    typer.echo(f"hyperband convert: {printable(told)}", err=True)
    return typer.Exit(code)
