"""`hyperband best STUDY`: the best configuration, to read, to source, or to train in full."""

import shlex
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.text import Text

from hyperband.api.words import number
from hyperband.cli.cluster import (
    DONE,
    USAGE,
    Access,
    ContextOption,
    KubeconfigOption,
    NamespaceOption,
    Session,
    StudyArgument,
    ToldError,
    ended,
    run,
)
from hyperband.cli.local_runs import DirOption, read_locally
from hyperband.cli.output import Output, write
from hyperband.cli.tables import console, pairs
from hyperband.core.errors import all_printable

Body = Mapping[str, Any]


class Form(StrEnum):
    """How the best configuration is written."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    ENV = "env"


class Manifest(StrEnum):
    """What trains the best configuration."""

    POD = "pod"
    JOB = "job"


def best(
    study: StudyArgument,
    output: Annotated[
        Form | None,
        typer.Option(
            "--output", "-o", help="env: lines for a shell, as the training is given them."
        ),
    ] = None,
    manifest: Annotated[
        Manifest | None,
        typer.Option(help="What trains it at the full resource, for kubectl create -f -."),
    ] = None,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    dir: DirOption = None,
) -> None:
    """Show the best configuration of a study so far, or write what trains it in full.

    The best value is that at any rung. A study that has none exits with 1.
    """

    if manifest is not None and output in (Form.ENV, Form.TABLE):
        said = f"--manifest is an object, no {output}: use -o yaml or json"
        raise ended("best", ToldError(said, USAGE))

    async def work(session: Session) -> int:
        return tell(await session.study(study))

    def tell(body: Body) -> int:
        found = (body.get("status") or {}).get("best")
        if not found:
            raise ToldError(f"study {study} has no result yet: hyperband watch {study}")
        _write(body, found, output, manifest)
        return DONE

    if dir is not None:
        read_locally("best", dir, study, lambda body, _: tell(body))
    run("best", Access(kubeconfig, context, namespace), work)


def _write(body: Body, found: Body, output: Form | None, manifest: Manifest | None) -> None:
    if manifest is not None or output is Form.ENV:
        # Here, as it loads scipy, for which whoever looks at the best alone does not wait.
        from hyperband.cli.best_training import environment, training
    if manifest is not None:
        write(training(body, job=manifest is Manifest.JOB), Output(output or Output.YAML))
    elif output is Form.ENV:
        # Quoted as a shell reads it, so whatever a value holds it is a value.
        for name, value in environment(body).items():
            typer.echo(f"export {name}={shlex.quote(value)}")
    elif output in (Form.JSON, Form.YAML):
        keys = ("trial", "value", "resource", "parameters")
        write({key: found[key] for key in keys}, Output(output))
    else:
        shown, spec = all_printable(found), all_printable(body["spec"])
        where = f"{shown['resource']:g} {spec['resource']['name']}"
        line = f"{spec['objective']['metric']} {shown['text']} at {where}, trial {shown['trial']}"
        rows = {f"  {name}": number(value) for name, value in shown["parameters"].items()}
        console().print(Group(Text(line, style="bold"), pairs(rows)))
