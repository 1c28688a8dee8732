"""The `hyperband` command and its verbs, each of which is loaded when it is asked for."""

from importlib import import_module
from inspect import cleandoc
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from hyperband.version import VERSION

# In the order of `hyperband --help`: where each is, and the first line of what it says of itself,
# so that no verb waits for what the others load.
VERBS: Final = {
    "operator": (
        "operator:operator",
        "Run the operator until it is interrupted; started again, it goes on where studies were.",
    ),
    "init": (
        "init:init",
        "Write a study to begin with: what is not given as an option is asked for on a terminal.",
    ),
    "convert": (
        "convert:convert",
        "Write studies that were made for Polyaxon (hptuning) or Katib (Experiment) as our own.",
    ),
    "validate": (
        "validate:validate",
        "Say all that is wrong with studies in files, without a cluster.",
    ),
    "preview": (
        "preview:preview",
        "Show brackets and rungs, how many trials reach each, and what the study takes in all.",
    ),
    "simulate": (
        "simulate:simulate",
        "Run a study on simulated workers and a virtual clock, with the operator's own decisions.",
    ),
    "run": (
        "run:run",
        "Run a study on this machine: trials are processes, and no cluster is needed.",
    ),
    "submit": (
        "submit:submit",
        "Create studies, or bring them up to date with their files, as kubectl apply does.",
    ),
    "watch": ("watch:watch", "Follow a study until it is done and print the best configuration."),
    "list": (
        "list_studies:list_studies",
        "List studies: how each searches, how it stands, and its best value so far.",
    ),
    "describe": (
        "describe:describe",
        "Show a study: what it searches, how it stands, its rungs, its best, what it has spent.",
    ),
    "suspend": (
        "lifecycle:suspend",
        "Let a study pause: its pods end, nothing is lost, resume goes on.",
    ),
    "resume": ("lifecycle:resume", "Let a suspended study go on."),
    "stop": (
        "lifecycle:stop",
        "End a study for good, with what it has found; this cannot be undone.",
    ),
    "best": (
        "best:best",
        "Show the best configuration of a study so far, or write what trains it in full.",
    ),
    "logs": ("logs:logs", "Show the log of a trial's pod: the one that runs, or the last one."),
    "explain": (
        "explain:explain",
        "Tell the life of a trial: each decision with the numbers that made it, what it waits for.",
    ),
    "export": (
        "export:export",
        "Write all trials of a study, archived ones included, by index; or all values, in order.",
    ),
    "plot": (
        "plot:plot",
        "Draw a study: learning curves, the best so far, what matters, where pods ran.",
    ),
    "compare": (
        "compare:compare",
        "Compare studies of a namespace: best value and its parameters, and what each has spent.",
    ),
    "dashboard": (
        "dashboard:dashboard",
        "Show studies in a browser, live: ladder, curves, what matters, pods, decisions, logs.",
    ),
}


def load(verb: str) -> Any:
    """The command of a verb, of which all is loaded."""
    module, _, function = VERBS[verb][0].partition(":")
    called = getattr(import_module(f"hyperband.cli.{module}"), function)
    made = typer.Typer(add_completion=False)
    made.command(verb, help=_flowing(called.__doc__ or ""))(called)
    return typer.main.get_command(made)


def _flowing(text: str) -> str:
    """A line for each paragraph, which a terminal of any width wraps; lists keep theirs."""
    paragraphs = cleandoc(text).split("\n\n")
    return "\n\n".join(p if p.startswith("- ") else p.replace("\n", " ") for p in paragraphs)


class _Verb(TyperCommand):
    """Stands for a verb where the verbs are listed."""

    def make_context(self, *args: Any, **more: Any) -> Any:
        return load(str(self.name)).make_context(*args, **more)


class _Verbs(TyperGroup):
    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        for name, (_, says) in VERBS.items():
            self.add_command(_Verb(name, help=says))


app = typer.Typer(
    cls=_Verbs,
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
