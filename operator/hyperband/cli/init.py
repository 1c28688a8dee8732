"""`hyperband init`: a study to begin with, from a training command, options and answers."""

import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from hyperband.api.files import read_documents
from hyperband.api.study_problems import study_problems
from hyperband.cli.init_text import Wanted, study_text
from hyperband.cli.output import CannotWriteError, write_file
from hyperband.cli.parameter_option import (
    EXAMPLES,
    BadParameterError,
    parse_parameter,
)
from hyperband.core.errors import printable
from hyperband.core.records import Goal
from hyperband.core.schedulers import SCHEDULERS


def init(
    name: Annotated[str | None, typer.Argument(help="The study's name.")] = None,
    image: Annotated[str | None, typer.Option(help="Image with the training.")] = None,
    command: Annotated[
        str | None, typer.Option(help="What trains, as a shell has it: 'python3 train.py'.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="The metric to optimize, as the training reports it.")
    ] = None,
    goal: Annotated[Goal | None, typer.Option(help="Whether it is to be small or large.")] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=KIND(…)", help=f"Repeat it for others. KIND(…): {EXAMPLES}."),
    ] = None,
    resource: Annotated[
        str, typer.Option(help="What training spends, as it reports it.")
    ] = "epochs",
    minimum: Annotated[
        int, typer.Option("--min", min=1, help="The least that tells a good trial from a bad one.")
    ] = 1,
    maximum: Annotated[
        int | None, typer.Option("--max", min=2, help="What a full training takes.")
    ] = None,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs of each trial.")] = 1,
    trials: Annotated[int, typer.Option(min=1, help="Configurations to try.")] = 50,
    parallelism: Annotated[int, typer.Option(min=1, help="Trials at a time.")] = 4,
    claim: Annotated[
        str | None,
        typer.Option(help="A ReadWriteMany claim for checkpoints: trials then pause and resume."),
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(SCHEDULERS), help="Default: Promotion with --claim, else Stopping."
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Write it there; default: standard output.")
    ] = None,
) -> None:
    """Write a study to begin with: what is not given as an option is asked for on a terminal.

    Exits with 0, or with 2 if something is missing and there is no terminal to ask on, or cannot
    be as given.
    """
    if file is not None and file.exists():
        raise _ended([f"--file {file}: is there already: name another file, or remove it"])
    ask = _Asker(on_a_terminal())
    wanted = Wanted(
        name=ask.text("NAME", "Name of the study", name, "digits"),
        image=ask.text("--image", "Image with the training", image, "registry.example.com/train:1"),
        command=split_command(
            ask.text("--command", "Command that trains", command, "'python3 train.py'")
        ),
        metric=ask.text("--metric", "Metric that it reports", metric, "val_loss"),
        goal=ask.text("--goal", "Minimize or Maximize it", goal, "Minimize", _goal),
        resource=resource,
        minimum=minimum,
        maximum=int(ask.text("--max", f"{resource} of a full training", maximum, "27", _whole)),
        parameters=ask.parameters(parameter or []),
        gpus=gpus,
        trials=trials,
        parallelism=parallelism,
        claim=claim,
        mode=mode or ("Promotion" if claim else "Stopping"),
    )
    if ask.wrong:
        raise _ended(ask.wrong)
    text = study_text(wanted, str(file) if file else "study.yaml")
    (document,) = read_documents(text.encode(), "study")
    wrong = [str(problem) for problem in study_problems(document.content)]
    if wrong:
        raise _ended(wrong)
    if file is None:
        typer.echo(text, nl=False)
        return
    try:
        write_file("--file", file, text)
    except CannotWriteError as error:
        raise _ended([str(error)]) from error
    typer.echo(f"{file}: written; see what it takes: hyperband preview {file}", err=True)


def on_a_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin is not None and sys.stdin.isatty()


def _ended(told: list[str]) -> typer.Exit:
    for each in told:
        typer.echo(f"hyperband init: {printable(each)}", err=True)
    return typer.Exit(2)


def split_command(command: str) -> list[str]:
    """The words of a command; one with an open quote stays whole, for the shell of the image."""
    try:
        return shlex.split(command)
    except ValueError:
        return [command]


def _goal(text: str) -> str:
    return Goal(text.capitalize()).value


def _whole(text: str) -> str:
    return str(int(text))


@dataclass
class _Asker:
    """Gives what was given, else asks, else notes what is missing."""

    interactive: bool
    wrong: list[str] = field(default_factory=list)

    def text(
        self,
        option: str,
        question: str,
        given: object,
        example: str,
        read: Callable[[str], str] = str,
    ) -> str:
        """The value of an option, in words."""
        if given is not None:
            return str(given)
        if self.interactive:
            return str(typer.prompt(question, value_proc=_again(read, example), err=True))
        words = example if option == "NAME" else f"{option} {example}"
        self.wrong.append(f"{option} is missing: give it, such as {words}")
        return "0"

    def parameters(self, given: list[str]) -> list[dict[str, Any]]:
        """Each of `--parameter`; asked for one after the other until an empty line if none."""
        found = []
        for text in given:
            try:
                found.append(parse_parameter(text))
            except BadParameterError as error:
                self.wrong.append(f"--parameter {error}")
        if given:
            return found
        if not self.interactive:
            self.wrong.append("--parameter is missing: give one for each, such as rate=" + EXAMPLES)
            return []
        typer.echo(f"Parameters, such as rate={EXAMPLES}", err=True)
        while answer := typer.prompt(
            "Another one, or nothing" if found else "Parameter",
            default="" if found else None,
            show_default=False,
            value_proc=lambda text: text and _again(_parameter, EXAMPLES)(text),
            err=True,
        ):
            found.append(parse_parameter(answer))
        return found


def _parameter(text: str) -> str:
    parse_parameter(text)
    return text


def _again(read: Callable[[str], str], example: str) -> Callable[[str], str]:
    """Has typer ask again where an answer cannot be read."""

    def checked(text: str) -> str:
        try:
            return read(text)
        except BadParameterError as error:
            raise typer.BadParameter(str(error)) from error
        except ValueError as error:
            raise typer.BadParameter(f"{text}: write something such as {example}") from error

    return checked
