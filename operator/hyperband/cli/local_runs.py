"""`--dir FOLDER`: verbs that read a run of `hyperband run` where others read a cluster."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from hyperband.cli.cluster import USAGE, ToldError, ended
from hyperband.cli.output import CannotWriteError
from hyperband.core.errors import all_printable, printable

DirOption = Annotated[
    Path | None,
    typer.Option(
        "--dir", metavar="FOLDER", help="Read the run of hyperband run there, and no cluster."
    ),
]
RunsOption = Annotated[
    Path | None,
    typer.Option(
        "--dir",
        metavar="FOLDER",
        help="Read the run of hyperband run there, or all runs in folders there, and no cluster.",
    ),
]
Body = dict[str, Any]
Work = Callable[[Body, list[Body]], int]  # is given the study and its trials by index


def read_locally(verb: str, folder: Path, study: str, work: Work) -> NoReturn:
    """Does a verb's work on a run, and ends with its exit code.

    Raises:
        typer.Exit: always; with 1 after an error, which is told on stderr, with 2 after bad usage.
    """
    tell_locally(verb, lambda: work(*_read(folder, study)))


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


def local_trial(body: Body, trials: Sequence[Body], name: str) -> Body:
    """A trial of a run by its name.

    Raises:
        ToldError: there is none.
    """
    found = next((each for each in trials if each["metadata"]["name"] == name), None)
    if found is None:
        study = body["metadata"]["name"]
        raise ToldError(f"study {study} has no trial '{printable(name)}': of {len(trials)}")
    return found


def local_studies(folder: Path) -> list[Body]:
    """The study of a run, or those of all runs in a folder, by name; their texts are shown.

    Raises:
        ToldError: there is no run.
    """
    from hyperband.backends.local.store import FILE, StoreError, read_study

    places = [folder] if (folder / FILE).exists() else sorted(folder.glob(f"*/{FILE}"))
    if not places:
        mend = "name the folder of a run, or one that holds such folders"
        raise ToldError(f"{folder} has no run of hyperband run: {mend}", USAGE)
    found = []
    for place in places:
        try:
            found.append(all_printable(read_study(place if place is folder else place.parent)))
        except StoreError as error:
            if len(places) == 1:
                raise ToldError(str(error), USAGE) from error
            typer.echo(f"hyperband: left out: {printable(str(error))}", err=True)
    return sorted(found, key=lambda body: str(body["metadata"]["name"]))


def tell_locally(verb: str, work: Callable[[], int]) -> NoReturn:
    """Does a verb's work where nothing is asked of a cluster, and ends with its exit code.

    Raises:
        typer.Exit: always; with 1 after an error, which is told on stderr, with 2 after bad usage.
    """
    try:
        code = work()
    except (ToldError, CannotWriteError) as error:
        raise ended(verb, error) from error
    raise typer.Exit(code)
