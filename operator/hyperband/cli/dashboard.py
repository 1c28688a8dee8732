"""`hyperband dashboard`: the page, for the current kubeconfig, a run's folder or in a cluster."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final

import typer

from hyperband.backends.kubernetes.api_errors import Forbidden, KubernetesError
from hyperband.backends.kubernetes.client import Client
from hyperband.backends.kubernetes.connection import Connection, NoConnectionError, connect
from hyperband.backends.kubernetes.objects import STUDIES, Object
from hyperband.backends.kubernetes.people import IMPATIENT, told
from hyperband.backends.kubernetes.telemetry.logs import LogFormat, configure
from hyperband.backends.kubernetes.telemetry.server import Address, CannotListenError
from hyperband.backends.local.store import StoreError
from hyperband.cli.cluster import (
    FAILED,
    USAGE,
    ContextOption,
    KubeconfigOption,
    ToldError,
)
from hyperband.dashboard.access import Access, OwnMachine
from hyperband.dashboard.cluster import Cluster
from hyperband.dashboard.feeds import Feeds
from hyperband.dashboard.folder import Folder
from hyperband.dashboard.pages import MISSING, built
from hyperband.dashboard.reviews import Reviewed
from hyperband.dashboard.serve import LOOPBACK, serve
from hyperband.dashboard.tls import CertificateError, Files

HERE: Final = Address("127.0.0.1", 8420)
EVERYWHERE: Final = Address(None, 8080)


@dataclass(frozen=True, slots=True)
class _Options:
    namespaces: list[str]
    listen: Address | None
    in_cluster: bool
    files: Files | None


def _address(text: str) -> Address:
    try:
        return Address.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def dashboard(
    namespace: Annotated[
        list[str] | None,
        typer.Option(
            "--namespace",
            "-n",
            help="Show this one only; repeat it for others. Default: all, or the context's where "
            "you may not list those of all.",
        ),
    ] = None,
    dir: Annotated[
        Path | None,
        typer.Option(
            "--dir", metavar="FOLDER", help="Show the run of hyperband run there, and no cluster."
        ),
    ] = None,
    listen: Annotated[
        Address | None,
        typer.Option(
            metavar="[HOST]:PORT",
            parser=_address,
            help="Default: 127.0.0.1:8420; in a cluster :8080. Port 0 takes any that is free.",
        ),
    ] = None,
    in_cluster: Annotated[
        bool,
        typer.Option(
            "--in-cluster",
            help="Serve everybody, and ask the API server who each is and what each may see. "
            "The chart runs it so.",
        ),
    ] = False,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Serve with this certificate, as PEM.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its key.")] = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    log_format: Annotated[
        LogFormat, typer.Option(help="Lines for people, or JSON for a collector of logs.")
    ] = LogFormat.TEXT,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log each request to the API server too.")
    ] = False,
) -> None:
    """Show studies in a browser, live: ladder, curves, what matters, pods, decisions, logs.

    On your machine it writes an address that is for you alone, and shows what your kubeconfig may
    see. It reads, and changes nothing.
    """
    configure(log_format, verbose=verbose)
    try:
        files = _files(tls_cert, tls_key)
        options = _Options(namespace or [], listen, in_cluster, files)
        _check(options, dir)
        if dir is not None:
            asyncio.run(_of_folder(dir, options))
        else:
            asyncio.run(_of_cluster(connect(kubeconfig, context), options))
    except (
        ToldError,
        StoreError,
        NoConnectionError,
        KubernetesError,
        CannotListenError,
        CertificateError,
    ) as error:
        typer.echo(f"hyperband dashboard: {told(error)}", err=True)
        code = USAGE if isinstance(error, StoreError) else FAILED
        raise typer.Exit(error.code if isinstance(error, ToldError) else code) from error


def _files(certificate: Path | None, key: Path | None) -> Files | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise ToldError("--tls-cert and --tls-key: give both, or none", USAGE)
    return Files(certificate, key)


def _check(options: _Options, folder: Path | None) -> None:
    if folder is not None and (options.in_cluster or options.namespaces):
        raise ToldError(f"--dir {folder}: a run is in no cluster: leave the others out", USAGE)
    listen = options.listen
    if not options.in_cluster and listen is not None and not _loopback(listen.host):
        mend = "listen at 127.0.0.1, and come from elsewhere by ssh -L 8420:127.0.0.1:8420"
        raise ToldError(f"--listen {listen}: others could ask there: {mend}", USAGE)


def _loopback(host: str | None) -> bool:
    return host in ("127.0.0.1", "localhost", "::1")


def _started(options: _Options, access: Access, port: int) -> None:
    scheme = "http" if options.files is None else "https"
    if isinstance(access, OwnMachine):
        address = replace(options.listen or HERE, port=port)
        typer.echo(f"{scheme}://{address}/#token={access.token}")
        typer.echo("This address is for you alone. Ctrl-C ends it.", err=True)
    else:
        typer.echo(f"{scheme}: port {port}", err=True)
    if not built():
        typer.echo(f"hyperband dashboard: {MISSING}", nl=False, err=True)


async def _of_folder(folder: Path, options: _Options) -> None:
    access, source = OwnMachine(), Folder(folder)
    await serve(
        source,
        Feeds(source),
        access,
        options.listen or HERE,
        [source.watch()],
        lambda port: _started(options, access, port),
        hosts=LOOPBACK,
        files=options.files,
    )


async def _of_cluster(connection: Connection, options: _Options) -> None:
    async with AsyncExitStack() as clients:

        async def client() -> Client:
            return await clients.enter_async_context(Client(connection, retry=IMPATIENT))

        asking, watching = await client(), await client()
        namespaces = await _scopes(asking, options.namespaces, connection.namespace)
        source = Cluster(watching, namespaces)
        feeds = Feeds(source)
        source.on_change(feeds.changed)
        # Reviews have a client of their own: whoever reads much holds up nobody's.
        access: Access = Reviewed(asking) if options.in_cluster else OwnMachine()
        await serve(
            source,
            feeds,
            access,
            options.listen or (EVERYWHERE if options.in_cluster else HERE),
            [source.watch()],
            lambda port: _started(options, access, port),
            hosts=frozenset() if options.in_cluster else LOOPBACK,
            files=options.files,
        )


async def _scopes(client: Client, wanted: list[str], own: str) -> list[str]:
    """The namespaces to show, none for all.

    Raises:
        KubernetesError: their studies may not be listed, or there are no such objects.
    """
    for namespace in wanted:
        await _list(client, namespace)
    if wanted:
        return wanted
    try:
        await _list(client, None)
    except Forbidden:
        await _list(client, own)
        typer.echo(f"You may not list studies of all namespaces: these are {own}'s.", err=True)
        return [own]
    return []


async def _list(client: Client, namespace: str | None) -> None:
    async for _ in client.pages(STUDIES, Object, namespace, limit=1):
        return
