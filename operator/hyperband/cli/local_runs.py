"""`--dir FOLDER`: verbs that read a run of `hyperband run` where others read a cluster."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from hyperband.cli.cluster import USAGE, ToldError, told
from hyperband.core.errors import printable

DirOption = Annotated[
    Path | None,
    typer.Option(
        "--dir", metavar="FOLDER", help="Read the run of hyperband run there, and no cluster."
    ),
]
Body = dict[str, Any]
Work = Callable[[Body, list[Body]], int]  # is given the study and its trials by index


def read_locally(verb: str, folder: Path, study: str, work: Work) -> NoReturn:
    """Does a verb's work on a run, and ends with its exit code.

    Raises:
        typer.Exit: always; with 1 after an error, which is told on stderr, with 2 after bad usage.
    """
    try:
        body, trials = _read(folder, study)
        code = work(body, trials)
    except ToldError as error:
        typer.echo(f"hyperband {verb}: {told(error)}", err=True)
        code = error.code
    raise typer.Exit(code)


def _read(folder: Path, study: str) -> tuple[Body, list[Body]]:
    # Here, as it loads scipy, for which whoever asks a cluster does not wait.
    from hyperband.backends.local.store import StoreError, read_run

    try:
        body, trials = read_run(folder)
    except StoreError as error:
        raise ToldError(str(error), USAGE) from error
    name = body["metadata"]["name"]
    if name != study:
        said = f"{folder} is a run of study {name}, not of '{printable(study)}': name that one"
        raise ToldError(said, USAGE)
    return body, trials
