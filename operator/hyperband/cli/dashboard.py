"""`hyperband dashboard`: the page, for the current kubeconfig, a run's folder or in a cluster."""

import asyncio
from pathlib import Path
from typing import Annotated, Final

import typer

from hyperband.backends.kubernetes.telemetry.logs import LogFormat, configure
from hyperband.backends.kubernetes.telemetry.server import Address, CannotListenError
from hyperband.backends.local.store import StoreError
from hyperband.cli.cluster import FAILED, USAGE
from hyperband.core.errors import printable
from hyperband.dashboard.access import OwnMachine
from hyperband.dashboard.feeds import Feeds
from hyperband.dashboard.folder import Folder
from hyperband.dashboard.serve import LOOPBACK, serve

HERE: Final = Address("127.0.0.1", 8420)


def _address(text: str) -> Address:
    try:
        return Address.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def dashboard(
    dir: Annotated[
        Path | None,
        typer.Option(
            "--dir", metavar="FOLDER", help="Show the run of hyperband run there, and no cluster."
        ),
    ] = None,
    listen: Annotated[
        Address | None,
        typer.Option(
            metavar="[HOST]:PORT", parser=_address, help="Default: 127.0.0.1:8420; port 0: any."
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log each request too.")] = False,
) -> None:
    """Show studies in a browser, live: ladder, curves, what matters, pods, decisions, logs."""
    configure(LogFormat.TEXT, verbose=verbose)
    try:
        if dir is not None:
            asyncio.run(_of_folder(dir, listen or HERE))
    except (StoreError, CannotListenError) as error:
        typer.echo(f"hyperband dashboard: {printable(str(error))}", err=True)
        raise typer.Exit(USAGE if isinstance(error, StoreError) else FAILED) from error


async def _of_folder(folder: Path, address: Address) -> None:
    access, source = OwnMachine(), Folder(folder)
    feeds = Feeds(source)

    def started(port: int) -> None:
        typer.echo(f"http://127.0.0.1:{port}/#token={access.token}")
        typer.echo("This address is for you alone; Ctrl-C ends it.", err=True)

    await serve(source, feeds, access, address, [source.watch()], started, hosts=LOOPBACK)
