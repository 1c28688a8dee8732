"""What verbs that talk to a cluster share: kubectl's flags, the connection, and errors in words."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

import msgspec
import typer

from hyperband.api.archive import UnreadableArchiveError
from hyperband.backends.kubernetes.api_errors import KubernetesError, NotFound
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.connection import NoConnectionError, connect
from hyperband.backends.kubernetes.objects import STUDIES, TRIALS, Kind
from hyperband.backends.kubernetes.people import IMPATIENT, is_missing_object, told
from hyperband.backends.kubernetes.transport import Retry
from hyperband.cli.completion import complete_studies, complete_trials
from hyperband.cli.output import CannotWriteError
from hyperband.core.errors import InvalidStudyError, all_printable, printable

DONE, FAILED, USAGE = 0, 1, 2  # exit codes

NamespaceOption = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Default: that of the context.")
]
KubeconfigOption = Annotated[
    str | None, typer.Option(help="File to use instead of KUBECONFIG or ~/.kube/config.")
]
ContextOption = Annotated[str | None, typer.Option(help="Context of the kubeconfig.")]
StudyArgument = Annotated[
    str,
    typer.Argument(help="The study's name.", show_default=False, autocompletion=complete_studies),
]
TrialArgument = Annotated[
    str,
    typer.Argument(
        help="The trial's name, such as digits-7.",
        show_default=False,
        autocompletion=complete_trials,
    ),
]


class ToldError(Exception):
    """What a verb cannot do; the message names what, why and the mend."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Access:
    """Which cluster and namespace a person means, as the flags say."""

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """An open connection, and the namespace that is meant."""

    client: Client
    namespace: str

    async def study(self, name: str) -> dict[str, Any]:
        """A study as it stands on the server.

        Raises:
            ToldError: it is not there.
        """
        mend = "name its namespace with -n; hyperband list -A lists all"
        return await self._get(STUDIES, "study", name, mend)

    async def _get(self, kind: Kind, what: str, name: str, mend: str) -> dict[str, Any]:
        try:
            body: dict[str, Any] = await self.client.get(kind, self.namespace, name, dict)
            return body
        except NotFound as error:
            if not is_missing_object(error):
                raise
            said = f"there is no {what} '{printable(name)}' in namespace {self.namespace}"
            raise ToldError(f"{said}: {mend}") from error
        except ValueError as error:  # a name that would be no part of a path
            said = f"{what} '{printable(name)}' cannot be: give a name as kubectl get shows it"
            raise ToldError(said, USAGE) from error

    async def shown_study(self, name: str) -> dict[str, Any]:
        """A study whose texts are shown: what others wrote in it moves no cursor."""
        shown: dict[str, Any] = all_printable(await self.study(name))
        return shown

    async def trial_object(self, name: str) -> dict[str, Any] | None:
        """The object of a trial; None if it has none, or has none any more."""
        try:
            body: dict[str, Any] = await self.client.get(TRIALS, self.namespace, name, dict)
            return body
        except NotFound as error:
            if not is_missing_object(error):
                raise
            return None
        except ValueError as error:
            said = f"trial '{printable(name)}' cannot be: give its name, such as digits-7"
            raise ToldError(said, USAGE) from error


Work = Callable[[Session], Awaitable[int]]


def run(verb: str, access: Access, work: Work, retry: Retry = IMPATIENT) -> NoReturn:
    """Does a verb's work on the cluster that is meant, and ends with its exit code.

    Raises:
        typer.Exit: always; with 1 after an error, which is told on stderr, with 2 after bad usage.
    """
    try:
        code = ask(access, work, retry)
    except (
        ToldError,
        NoConnectionError,
        KubernetesError,
        UnreadableArchiveError,
        InvalidStudyError,
        CannotWriteError,
        msgspec.MsgspecError,
    ) as error:
        raise ended(verb, error) from error
    raise typer.Exit(code)


def ended(verb: str, error: Exception) -> typer.Exit:
    """Tells of an error; what is to be raised has the exit code."""
    typer.echo(f"hyperband {verb}: {told(error)}", err=True)
    if isinstance(error, ToldError):
        return typer.Exit(error.code)
    return typer.Exit(USAGE if isinstance(error, CannotWriteError) else FAILED)


def ask(access: Access, work: Work, retry: Retry) -> int:
    """Does some work on the cluster that is meant; errors are the caller's."""
    connection = connect(access.kubeconfig, access.context)
    namespace = access.namespace or connection.namespace

    async def within() -> int:
        async with Client(connection, retry=retry) as client:
            return await work(Session(client, namespace))

    return asyncio.run(within())
