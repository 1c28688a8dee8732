"""The `hyperband` command and its verbs."""

import typer

from hyperband.cli.operator import operator
from hyperband.cli.simulate import simulate
from hyperband.cli.watch import watch

app = typer.Typer(
    help="Asynchronous Hyperband on Kubernetes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(operator)
app.command()(simulate)
app.command()(watch)
