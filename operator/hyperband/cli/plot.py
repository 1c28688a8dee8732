"""`hyperband plot STUDY KIND`: pictures of a study, in a file or in the terminal."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.text import Text

from hyperband.api import names
from hyperband.cli.cluster import (
    DONE,
    USAGE,
    Access,
    ContextOption,
    KubeconfigOption,
    NamespaceOption,
    Session,
    ToldError,
    ended,
    run,
)
from hyperband.cli.completion import complete_studies
from hyperband.cli.local_runs import DirOption, read_locally
from hyperband.cli.output import CannotWriteError, write_file
from hyperband.cli.trials import read
from hyperband.core.records import Goal
from hyperband.plots.draw import MissingLibraryError, draw
from hyperband.plots.figure import Figure, plain
from hyperband.plots.kinds import Kind, figure_of
from hyperband.plots.page import page
from hyperband.plots.records import Records, of_objects, of_rows
from hyperband.plots.terminal import lines
from hyperband.plots.values import Over

WIDE = 80  # columns, where there is no terminal and nothing says how many
FORMS: Final = (".png", ".svg", ".html")
FROM_EXPORT: Final = "it holds no pods and no predictions: give the study's name, or kubectl's list"
NEED_VALUES: Final = (Kind.CURVES, Kind.BEST, Kind.RUNGS, Kind.IMPORTANCE)  # each at its rung
NEED_OBJECTS: Final = (Kind.TIMELINE, Kind.PREDICTED)


def plot(
    study: Annotated[
        str,
        typer.Argument(
            metavar="STUDY|FILE.json",
            help="The study's name; or a file that `hyperband export -o json` or `kubectl get "
            "hbs,hbt -o json` has written, for which no cluster is asked.",
            show_default=False,
            autocompletion=complete_studies,
        ),
    ],
    kind: Annotated[Kind, typer.Argument(help="What is drawn.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A .png, .svg or .html file. Default: the terminal."),
    ] = None,
    over: Annotated[
        Over | None, typer.Option(help="best: what it is drawn over. Default: time.")
    ] = None,
    goal: Annotated[
        Goal | None, typer.Option(help="Of exported rows, which do not tell it.")
    ] = None,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    dir: DirOption = None,
) -> None:
    """Draw a study: learning curves, the best so far, what matters, where pods ran.

    - curves: learning curves by rung
    - best: the best so far, over time, GPU-hours or values
    - parallel: parallel coordinates
    - importance: how strongly the value depends on each parameter
    - slices: the value against each parameter
    - pairs: pairs of parameters, coloured by value
    - rungs: what became of trials at each rung
    - timeline: pods on slots of nodes, and disruptions
    - predicted: what a model expected of suggestions, and what came
    """
    try:
        _check(study, kind, out, over, goal, dir)
        if study.endswith(".json"):
            _show(figure_of(_of_file(Path(study), kind, goal), kind, over), out)
            return
    except (ToldError, CannotWriteError) as error:
        raise ended("plot", error) from error

    def tell(body: Mapping[str, Any], trials: Sequence[Mapping[str, Any]]) -> int:
        _show(figure_of(of_objects(body, trials), kind, over), out)
        return DONE

    async def work(session: Session) -> int:
        body = await session.shown_study(study)
        return tell(body, await read(session.client, body))

    if dir is not None:
        read_locally("plot", dir, study, tell)
    run("plot", Access(kubeconfig, context, namespace), work)


def _check(
    study: str,
    kind: Kind,
    out: Path | None,
    over: Over | None,
    goal: Goal | None,
    folder: Path | None,
) -> None:
    """Before a cluster is asked for ten thousand trials."""
    if folder is not None and study.endswith(".json"):
        raise ToldError(f"--dir {folder}: {study} is a file already: name one of the two", USAGE)
    if out is not None and out.suffix.lower() not in FORMS:
        raise ToldError(f"--out {out}: end it with {', '.join(FORMS)}, or leave it out", USAGE)
    if over is not None and kind is not Kind.BEST:
        raise ToldError(f"--over {over}: only best has it: leave it out, or draw best", USAGE)
    if goal is not None and not study.endswith(".json"):
        raise ToldError(f"--goal {goal}: the study tells its own goal: leave it out", USAGE)


# -- files -------------------------------------------------------------------------------------


def _of_file(path: Path, kind: Kind, goal: Goal | None) -> Records:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ToldError(f"{path}: {error.strerror}: name a file, or a study", USAGE) from error
    except (ValueError, RecursionError) as error:
        raise ToldError(f"{path} is no JSON ({error}): {_mend()}", USAGE) from error
    try:
        if isinstance(content, list):
            _enough(path, content, kind, goal)
            return of_rows(content, plain(path.stem), goal.value if goal else Goal.MINIMIZE.value)
        return _of_list(path, content["items"])
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        said = f"{path} holds neither exported rows nor objects ({error!r}): {_mend()}"
        raise ToldError(said, USAGE) from error


def _mend() -> str:
    return "write it by hyperband export STUDY -o json, or kubectl get hbs,hbt -o json"


def _enough(path: Path, rows: Sequence[Mapping[str, Any]], kind: Kind, goal: Goal | None) -> None:
    """Whether exported rows hold what is to be drawn."""
    if kind in NEED_OBJECTS:
        raise ToldError(f"{path}: {kind} cannot be drawn of exported rows: {FROM_EXPORT}", USAGE)
    if kind in NEED_VALUES and rows and "level" not in rows[0]:
        mend = "write it by hyperband export STUDY --rows values -o json"
        raise ToldError(f"{path}: {kind} needs the values at all rungs: {mend}", USAGE)
    if goal is None:
        mend = "add --goal Minimize or --goal Maximize"
        raise ToldError(f"{path}: exported rows do not tell the goal: {mend}", USAGE)


def _of_list(path: Path, items: Sequence[Mapping[str, Any]]) -> Records:
    """Of one study's objects; trials of others are left alone."""
    studies = [item for item in items if item["kind"] == names.STUDY_KIND]
    if len(studies) != 1:
        said = f"{path} holds {len(studies)} studies: write one, and its trials, into it"
        raise ToldError(said, USAGE)
    of, labels = studies[0]["metadata"]["name"], names.STUDY_LABEL
    trials = [
        item
        for item in items
        if item["kind"] == names.TRIAL_KIND
        and (item["metadata"].get("labels") or {}).get(labels) == of
    ]
    return of_objects(studies[0], trials)


# -- showing -----------------------------------------------------------------------------------


def _show(figure: Figure, out: Path | None) -> None:
    if out is None:
        console = Console(highlight=False)
        for line in lines(figure, console.width):
            console.print(Text(line), soft_wrap=True)
        return
    try:
        drawn = _drawn(figure, out.suffix.lower())
    except MissingLibraryError as error:
        raise ToldError(f"--out {out}: {error}", USAGE) from error
    write_file("--out", out, drawn)
    if figure.empty:
        typer.echo(f"hyperband plot: {out}: nothing to draw yet", err=True)


def _drawn(figure: Figure, suffix: str) -> bytes:
    return page(figure).encode() if suffix == ".html" else draw(figure, suffix[1:])
