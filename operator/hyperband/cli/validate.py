"""`hyperband validate FILE…`: what the server and the operator would refuse, before they see it."""

import errno
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from hyperband.api import names
from hyperband.api.files import MAX_BYTES, Document, NoYamlError, read_documents, read_file
from hyperband.api.study_problems import study_problems
from hyperband.api.words import counted
from hyperband.cli.output import Output, OutputOption, write
from hyperband.core.errors import InvalidStudyError, printable
from hyperband.core.parameters import show

STDIN = "-"
INVALID, USAGE = 1, 2  # exit codes


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a field, and where that stands."""

    line: int
    field: str
    problem: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """On a study, or on a document that should perhaps have been one."""

    file: str
    line: int
    name: str | None  # of the study; None if there is none
    problems: Sequence[Problem]

    @property
    def valid(self) -> bool:
        return not self.problems


def validate(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="YAML files; - is standard input."),
    ],
    output: OutputOption = Output.TABLE,
) -> None:
    """Say all that is wrong with studies in files, without a cluster.

    That is what the API server would refuse and what the operator would, with file and line.
    Other objects in the files are left alone. The pod in spec.trialTemplate is looked at only as
    far as the operator touches it: the rest of it the server judges when the study runs.

    Exits with 0 if all studies are valid, 1 if one is not, 2 if there is none or a file cannot be
    read.
    """
    verdicts: list[Verdict] = []
    code = 0
    for file in files:
        try:
            found = list(judge(content_of(file), shown(file)))
        except OSError as error:
            told = f"{shown(file)}: {error.strerror}: name a file, or - for standard input"
            typer.echo(f"hyperband validate: {told}", err=True)
            code = USAGE
            continue
        verdicts += found
    if not verdicts and not code:
        where = ", ".join(shown(file) for file in files)
        told = f"{where}: no {names.STUDY_KIND} there: name a file that has one"
        typer.echo(f"hyperband validate: {told}", err=True)
        code = USAGE
    _tell(verdicts, output)
    if code == 0 and not all(verdict.valid for verdict in verdicts):
        code = INVALID
    raise typer.Exit(code)


def content_of(file: str) -> bytes:
    """What is in a file, or comes on standard input.

    Raises:
        OSError: it cannot be read.
    """
    if file != STDIN:
        return read_file(Path(file))
    if sys.stdin is None:
        raise OSError(errno.EBADF, "is closed")
    return sys.stdin.buffer.read(MAX_BYTES + 1)


def shown(file: str) -> str:
    """A file's name, in messages."""
    return "<stdin>" if file == STDIN else printable(file)


def judge(content: bytes, file: str) -> Iterator[Verdict]:
    """One verdict for each study in a file, and for what is no object or no YAML."""
    try:
        documents = read_documents(content, file)
    except NoYamlError as error:
        yield Verdict(file, error.line, None, [Problem(error.line, "", error.problem)])
        return
    except InvalidStudyError as error:
        yield Verdict(file, 1, None, [Problem(1, "", error.problem)])
        return
    for document in documents:
        for path, body in objects(document.content, ""):
            verdict = _judge(document, path, body, file)
            if verdict is not None:
                yield verdict


def objects(content: Any, path: str) -> Iterator[tuple[str, Any]]:
    """An object, or the items of a List, as kubectl takes them."""
    items = content.get("items") if isinstance(content, Mapping) else None
    if isinstance(items, list) and content.get("kind") == "List":
        for i, item in enumerate(items):
            yield from objects(item, f"{path}items[{i}].")
    else:
        yield path, content


def _judge(document: Document, path: str, body: Any, file: str) -> Verdict | None:
    """None for the objects of others."""
    found = _stray(body)
    name = None
    if found is None and body["kind"] != names.STUDY_KIND:
        return None
    if found is None:
        name = _name(body)
        found = study_problems(body)
        twice = document.twice if path in ("", "items[0].") else ()
    else:
        twice = ()
    problems = [
        Problem(document.line(path + each.field), each.field, each.problem) for each in found
    ]
    problems += [Problem(line, key, "is there twice: remove one") for key, line in twice]
    line = document.line(path.rstrip("."))
    return Verdict(file, line, name, sorted(problems, key=lambda each: each.line))


def _stray(body: Any) -> list[InvalidStudyError] | None:
    """What is wrong with a document that is no object of Kubernetes, or of no kind of ours."""
    if not isinstance(body, Mapping):
        return [InvalidStudyError("", f"{show(body)} is no object: write a {names.STUDY_KIND}")]
    kind = body.get("kind")
    if kind is None:
        mend = f"write kind: {names.STUDY_KIND}, or what else it is"
        return [InvalidStudyError("kind", f"is missing: {mend}")]
    known = (names.STUDY_KIND, names.TRIAL_KIND, names.ARCHIVE_KIND)
    if str(body.get("apiVersion")).startswith(f"{names.GROUP}/") and kind not in known:
        problem = f"{show(kind)} is no kind of {names.GROUP}: write {names.STUDY_KIND}"
        return [InvalidStudyError("kind", problem)]
    return None


def _name(body: Mapping[str, Any]) -> str:
    metadata = body.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return printable(name) if isinstance(name, str) and name else "a study without a name"


def _tell(verdicts: Sequence[Verdict], output: Output) -> None:
    if output is not Output.TABLE:
        valid = all(verdict.valid for verdict in verdicts)
        rows = [{**asdict(verdict), "valid": verdict.valid} for verdict in verdicts]
        write({"valid": valid, "studies": rows}, output)
        return
    console = Console(highlight=False)
    for verdict in verdicts:
        for each in verdict.problems:
            field = f"{each.field}: " if each.field else ""
            where = f"{verdict.file}:{each.line}: "
            line = Text.assemble((where, "bold"), (field, "cyan"), each.problem)
            console.print(line, soft_wrap=True)
        if verdict.name is not None:
            console.print(_closing(verdict), soft_wrap=True)


def _closing(verdict: Verdict) -> Text:
    count = len(verdict.problems)
    said = counted(count, "problem") if count else "valid"
    line = Text(f"{verdict.file}: {verdict.name}: ")
    return line + Text(said, style="red" if count else "green")
