"""The `hyperband` command and its verbs."""

from typing import Annotated

import typer

from hyperband.cli.best import best
from hyperband.cli.compare import compare
from hyperband.cli.convert import convert
from hyperband.cli.dashboard import dashboard
from hyperband.cli.describe import describe
from hyperband.cli.explain import explain
from hyperband.cli.export import export
from hyperband.cli.init import init
from hyperband.cli.lifecycle import resume, stop, suspend
from hyperband.cli.list_studies import list_studies
from hyperband.cli.logs import logs
from hyperband.cli.operator import operator
from hyperband.cli.plot import plot
from hyperband.cli.preview import preview
from hyperband.cli.run import run
from hyperband.cli.simulate import simulate
from hyperband.cli.submit import submit
from hyperband.cli.validate import validate
from hyperband.cli.watch import watch
from hyperband.version import VERSION

app = typer.Typer(
    help="Asynchronous Hyperband on Kubernetes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hyperband {VERSION}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


app.command()(operator)
app.command()(init)
app.command()(convert)
app.command()(validate)
app.command()(preview)
app.command()(simulate)
app.command()(run)
app.command()(submit)
app.command()(watch)
app.command("list")(list_studies)
app.command()(describe)
app.command()(suspend)
app.command()(resume)
app.command()(stop)
app.command()(best)
app.command()(logs)
app.command()(explain)
app.command()(export)
app.command()(plot)
app.command()(compare)
app.command()(dashboard)
